"""Place the landmarks at the ends of A bodies: crown, rump, palms and soles."""

from __future__ import annotations

import numpy as np

from fetusmap.simulate.body.measures import Measures
from fetusmap.types import FloatArray, RotationMatrix

# Foot: points in its frame (y to the toes, z to the knee, origin in the ankle joint), in lengths of
# the foot from heel to toe. The heights are multiplied by the measure `foot_height`.
HEEL_AT, BALL_AT = (-0.092, -0.075), (0.52, -0.11)
HEEL_RADIUS, BALL_RADIUS = 0.16, 0.117
TOES_AT = 0.565
PALM_AT = 0.32  # from the wrist to the middle of the palm, in lengths of the hand
ROUNDS = 4  # of turning the longest line; the ends then move by less than a micrometre


def sole(measures: Measures, side: str) -> FloatArray:
    """Return (A, 3) middles of the sole in the frame of the foot, mm.

    It lies on the skin, halfway between the back of the heel and the roots of the toes.
    """
    foot, height = measures[f"{side}_foot"], measures["foot_height"]
    along = (HEEL_AT[0] - HEEL_RADIUS * height + TOES_AT) / 2
    part = (along - HEEL_AT[0]) / (BALL_AT[0] - HEEL_AT[0])
    axis = HEEL_AT[1] + part * (BALL_AT[1] - HEEL_AT[1])
    radius = HEEL_RADIUS + part * (BALL_RADIUS - HEEL_RADIUS)
    return np.stack([np.zeros_like(foot), along * foot, (axis - radius) * height * foot], axis=-1)


def crown_and_rump(
    measures: Measures,
    head: FloatArray,
    head_frame: RotationMatrix,
    sacrum: FloatArray,
    sacrum_frame: RotationMatrix,
) -> tuple[FloatArray, FloatArray]:
    """Return the (A, 3) ends of the longest line from the skin of the head to that of the rump.

    The crown lies in the median plane of the head, on an ellipse: the skull with its scalp. The
    rump lies in the median plane of the pelvis, on a circle. Each end is the point of its curve
    that is farthest from the other end.

    Args:
        measures: measures of A fetuses.
        head: (A, 3) middles of the skull.
        head_frame: (A, 3, 3) right, ventral and cranial axis of the head.
        sacrum: (A, 3) sacral landmarks.
        sacrum_frame: (A, 3, 3) axes of the sacrum.
    """
    center = sacrum + rump_center(measures, sacrum_frame)
    semi = np.stack([measures["occipitofrontal_diameter"], measures["head_height"]], axis=-1) / 2
    semi = semi + measures["scalp"][:, None]
    crown = head + head_frame[..., 2] * semi[:, 1:]
    rump = center
    for _ in range(ROUNDS):
        rump = center + measures["rump_radius"][:, None] * _away(crown, center, sacrum_frame)
        crown = head + _farthest_on_ellipse(rump - head, head_frame, semi)
    return crown, rump


def rump_center(measures: Measures, sacrum_frame: RotationMatrix) -> FloatArray:
    """Return (A, 3) steps from the sacral landmark to the middle of the rump, mm."""
    ventral, caudal = measures["rump_ventral"], measures["rump_caudal"]
    return np.asarray(
        sacrum_frame[..., 1] * ventral[:, None] - sacrum_frame[..., 2] * caudal[:, None]
    )


def _away(point: FloatArray, center: FloatArray, frame: RotationMatrix) -> FloatArray:
    """Return unit vectors away from a point, within the median plane of a frame."""
    away = center - point
    away = away - (away * frame[..., 0]).sum(-1, keepdims=True) * frame[..., 0]
    return np.asarray(away / np.linalg.norm(away, axis=-1, keepdims=True))


def _farthest_on_ellipse(other: FloatArray, frame: RotationMatrix, semi: FloatArray) -> FloatArray:
    """Return the point of a median ellipse that is farthest from another point, from its centre.

    The ellipse has the semi-axes `semi` (A, 2) along the ventral and the cranial axis. At the
    farthest point the normal of the ellipse leads away from the other point, which gives a fixed
    point iteration for the direction of the normal.
    """
    p = np.stack([(other * frame[..., 1]).sum(-1), (other * frame[..., 2]).sum(-1)], axis=-1)
    normal = -p
    point = np.zeros_like(p)
    for _ in range(30):
        point = semi**2 * normal / np.linalg.norm(semi * normal, axis=-1, keepdims=True)
        normal = point - p
    return np.asarray(frame[..., 1] * point[:, :1] + frame[..., 2] * point[:, 1:])

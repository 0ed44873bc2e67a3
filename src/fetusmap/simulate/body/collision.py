"""Detect bodies that intersect themselves or do not fit into their sac, batched over bodies."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from fetusmap.simulate.body.measures import SIDES
from fetusmap.simulate.body.posture import Posture
from fetusmap.types import BoolArray, FloatArray

MAX_OVERLAP = 0.28  # of the summed radii of two parts; soft tissue can be compressed that much

MAX_FILLED = 1.0  # volume of the smallest ellipsoid around a body over the volume of its sac

# Each part with its two ends, and its radius as a fraction of the crown-rump length.
_PARTS: dict[str, tuple[str, str, float]] = {
    "head": ("head", "head", 0.195),
    "chest": ("spine", "neck", 0.14),
    "belly": ("sacrum", "spine", 0.15),
    **{
        f"{side}_{name}": (f"{side}_{near}", f"{side}_{far}", radius)
        for side in SIDES
        for name, near, far, radius in (
            ("upper_arm", "shoulder", "elbow", 0.040),
            ("forearm", "elbow", "wrist", 0.033),
            ("hand", "wrist", "hand", 0.035),
            ("thigh", "hip", "knee", 0.055),
            ("leg", "knee", "ankle", 0.038),
            ("foot", "ankle", "foot", 0.025),
        )
    },
}
# Parts that meet at a joint, or lie close to one, always touch.
_LIMB_NEIGHBOURS = (
    ("upper_arm", "forearm"), ("forearm", "hand"), ("upper_arm", "hand"),
    ("thigh", "leg"), ("leg", "foot"), ("thigh", "foot"),
)  # fmt: skip
_NEIGHBOURS = {
    frozenset(pair)
    for pair in (
        ("head", "chest"),
        ("chest", "belly"),
        ("left_thigh", "right_thigh"),
        *((f"{side}_{a}", f"{side}_{b}") for side in SIDES for a, b in _LIMB_NEIGHBOURS),
        *(("chest", f"{side}_upper_arm") for side in SIDES),
        *(("belly", f"{side}_thigh") for side in SIDES),
    )
}
_PAIRS = tuple(
    (first, second)
    for first, second in combinations(_PARTS, 2)
    if frozenset((first, second)) not in _NEIGHBOURS
)
JOINTS = 16  # the first landmarks; the others lie on the skin or in hands and feet
HAND_PART, FOOT_PART = 0.10, 0.09  # lengths of hand and foot over the crown-rump length


def intersects_itself(posture: Posture, crl_mm: FloatArray) -> BoolArray:
    """Return (A,) whether any two parts that are not neighbours overlap by more than 28 %.

    The overlap is one minus the distance of the axes of two parts over the sum of their radii.

    Args:
        posture: A bodies.
        crl_mm: (A,) crown-rump lengths, which determine the radii.
    """
    first = np.array([list(_PARTS).index(a) for a, _ in _PAIRS])
    second = np.array([list(_PARTS).index(b) for _, b in _PAIRS])
    starts, ends, radii = _capsules(posture, crl_mm)
    apart = distance_between_segments(
        starts[:, first], ends[:, first], starts[:, second], ends[:, second]
    )
    reach = radii[:, first] + radii[:, second]
    return np.asarray((apart < (1 - MAX_OVERLAP) * reach).any(axis=1))


def outgrows_sac(posture: Posture, crl_mm: FloatArray, sac_ml: FloatArray) -> BoolArray:
    """Return (A,) whether a body is too extended to fit into a sac of a given volume.

    The volume of the smallest ellipsoid around a body is estimated as 1.35 times the volume of an
    ellipsoid along the principal axes of the landmarks, whose semi-axes are half the extents of the
    landmarks plus a layer of tissue. The factor was fitted to 250 simulated bodies; the estimate is
    within -18 and +27 % for nine of ten.

    Args:
        posture: A bodies.
        crl_mm: (A,) crown-rump lengths, which determine the layer of tissue.
        sac_ml: (A,) volumes of the sacs.
    """
    points = posture.landmarks_mm[:, :JOINTS]
    centered = points - points.mean(axis=1, keepdims=True)
    _, axes = np.linalg.eigh(np.swapaxes(centered, 1, 2) @ centered)
    extents = np.ptp(centered @ axes, axis=1) / 2 + 0.1 * crl_mm[:, None]
    return np.asarray(1.35 * 4 / 3 * np.pi * extents.prod(axis=1) > 1000 * MAX_FILLED * sac_ml)


def distance_between_segments(
    start_a: FloatArray, end_a: FloatArray, start_b: FloatArray, end_b: FloatArray
) -> FloatArray:
    """Return the (...) smallest distances of two line segments, each from (..., 3) to (..., 3).

    Segments may have no length. Ericson, Real-Time Collision Detection (2005), section 5.1.9.
    """
    along_a, along_b, between = end_a - start_a, end_b - start_b, start_a - start_b
    aa, bb = (along_a**2).sum(-1), (along_b**2).sum(-1)
    ab = (along_a * along_b).sum(-1)
    to_a, to_b = (along_a * between).sum(-1), (along_b * between).sum(-1)
    tiny = 1e-12
    determinant = aa * bb - ab**2
    s = np.where(determinant > tiny, (ab * to_b - to_a * bb) / np.maximum(determinant, tiny), 0.0)
    s = np.clip(s, 0, 1)
    t = np.clip((ab * s + to_b) / np.maximum(bb, tiny), 0, 1)
    s = np.clip((ab * t - to_a) / np.maximum(aa, tiny), 0, 1)
    apart = between + s[..., None] * along_a - t[..., None] * along_b
    return np.asarray(np.linalg.norm(apart, axis=-1))


def _capsules(posture: Posture, crl_mm: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (A, P, 3) starts, (A, P, 3) ends and (A, P) radii of the parts."""
    length = crl_mm[:, None]
    ventral = {
        "chest": posture.frames["thorax"][..., 1] * 0.10 * length,
        "belly": posture.frames["pelvis"][..., 1] * 0.11 * length,
    }

    def end(part: str, point: str) -> FloatArray:
        side = part.partition("_")[0]
        if point.endswith("_hand"):
            away = posture.frames[f"{side}_hand"][..., 2] * (-HAND_PART * length)
            return posture[f"{side}_wrist"] + away
        if point.endswith("_foot"):
            away = posture.frames[f"{side}_foot"][..., 1] * (FOOT_PART * length)
            return posture[f"{side}_ankle"] + away
        return posture[point] + ventral.get(part, 0.0)

    starts = np.stack([end(part, a) for part, (a, _, _) in _PARTS.items()], axis=1)
    ends = np.stack([end(part, b) for part, (_, b, _) in _PARTS.items()], axis=1)
    radii = np.array([radius for _, _, radius in _PARTS.values()]) * length
    return starts, ends, radii

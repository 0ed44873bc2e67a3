"""Convert joint angles into landmarks and frames (forward kinematics), and back.

All functions are batched over A fetuses. The body frame is x right, y ventral, z cranial, with the
sacrum at the origin. A rotation about +x by a positive angle moves a limb that points along -z
towards the belly. The landmarks are those of fetus-22.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fetusmap.anatomy import Skeleton, load_skeleton
from fetusmap.geometry import rotation_about, rotation_from_vector
from fetusmap.simulate.body.ends import PALM_AT, crown_and_rump, sole
from fetusmap.simulate.body.measures import SIDES, Measures
from fetusmap.types import FloatArray, RotationMatrix

BODY_SKELETON = "fetus-22"
"""Skeleton of the landmarks of a simulated body; its order is that of `Posture.landmarks_mm`."""

MIDLINE_ANGLES = (
    "spine_flexion", "spine_lateral", "spine_twist",
    "neck_flexion", "neck_lateral", "neck_rotation",
)  # fmt: skip
ARM_ANGLES = (
    "shoulder_flexion", "shoulder_abduction", "shoulder_rotation", "elbow_flexion",
    "wrist_rotation", "wrist_flexion",
)  # fmt: skip
LEG_ANGLES = (
    "hip_flexion", "hip_abduction", "hip_rotation", "knee_flexion",
    "ankle_rotation", "ankle_flexion",
)  # fmt: skip
ANGLES = MIDLINE_ANGLES + tuple(
    f"{side}_{name}" for side in SIDES for name in ARM_ANGLES + LEG_ANGLES
)
Angles = Mapping[str, FloatArray]


@dataclass(frozen=True)
class Posture:
    """Positions and orientations of the parts of A bodies in the body frame.

    Attributes:
        landmarks_mm: (A, 22, 3) in the order of fetus-22.
        frames: name to (A, 3, 3) frames with the columns right, ventral, cranial: "sacrum",
            "pelvis", "waist", "thorax", "nape", "head", and for each side "upper_arm", "forearm",
            "hand", "thigh", "leg", "foot", whose -z points along the limb away from the trunk.
    """

    landmarks_mm: FloatArray
    frames: Mapping[str, RotationMatrix]

    def __getitem__(self, landmark: str) -> FloatArray:
        """Return the (A, 3) positions of a landmark."""
        return np.asarray(self.landmarks_mm[:, load_skeleton(BODY_SKELETON).index(landmark)])


def pose_body(angles: Angles, measures: Measures) -> Posture:
    """Place the landmarks of A bodies (forward kinematics).

    The trunk consists of a lumbar and a thoracic arc, which share its flexion; their chords have
    the given lengths. Pelvis and thorax have the orientation at the middle of their arc.

    Args:
        angles: each name of ANGLES to (A,) degrees.
        measures: measures of A fetuses, see `draw_measures`.
    """
    a = {name: np.radians(angles[name]) for name in ANGLES}
    bend = np.stack([-a["spine_flexion"], a["spine_lateral"], a["spine_twist"]], axis=-1)
    part = measures["lumbar_part"][:, None]
    lumbar, thoracic = part * bend, (1 - part) * bend
    frames = {"sacrum": rotation_about([1.0, 0, 0], a["spine_flexion"] / 2)}
    frames["pelvis"] = frames["sacrum"] @ rotation_from_vector(lumbar / 2)
    frames["waist"] = frames["sacrum"] @ rotation_from_vector(lumbar)
    frames["thorax"] = frames["waist"] @ rotation_from_vector(thoracic / 2)
    frames["nape"] = frames["waist"] @ rotation_from_vector(thoracic)
    nod = np.stack([-a["neck_flexion"], a["neck_lateral"], a["neck_rotation"]], axis=-1)
    frames["head"] = frames["nape"] @ rotation_from_vector(nod)

    at = {"sacrum": np.zeros((len(bend), 3))}
    at["spine"] = at["sacrum"] + _along(frames["pelvis"], measures["sacrum_spine"])
    at["neck"] = at["spine"] + _along(frames["thorax"], measures["spine_neck"])
    at["head"] = at["neck"] + _along(frames["head"], measures["neck_head"])
    at["crown"], at["rump"] = crown_and_rump(
        measures, at["head"], frames["head"], at["sacrum"], frames["sacrum"]
    )
    for side in SIDES:
        sign = 1.0 if side == "right" else -1.0
        for trunk, start, limb, names, bones, joints, bends in (
            ("thorax", "neck", "shoulder", ("upper_arm", "forearm", "hand"),
             ("humerus", "forearm"), ("shoulder", "elbow", "wrist"), 1.0),
            ("pelvis", "sacrum", "hip", ("thigh", "leg", "foot"),
             ("femur", "leg"), ("hip", "knee", "ankle"), -1.0),
        ):  # fmt: skip
            aside = np.stack(
                [sign * measures[f"half_{limb}"], measures[f"{limb}_ventral"],
                 -measures[f"{limb}_caudal"]], axis=-1,
            )  # fmt: skip
            at[f"{side}_{limb}"] = at[start] + _in_parent(frames[trunk], aside)
            frame = frames[trunk]
            for name, turn in zip(names, _limb(a, side, sign, joints, bends), strict=True):
                frame = frames[f"{side}_{name}"] = frame @ turn
            for name, bone, near, far in zip(names[:2], bones, joints, joints[1:], strict=False):
                step = _along(frames[f"{side}_{name}"], -measures[f"{side}_{bone}"])
                at[f"{side}_{far}"] = at[f"{side}_{near}"] + step
        palm = _along(frames[f"{side}_hand"], -PALM_AT * measures[f"{side}_hand"])
        at[f"{side}_hand"] = at[f"{side}_wrist"] + palm
        under = _in_parent(frames[f"{side}_foot"], sole(measures, side))
        at[f"{side}_foot"] = at[f"{side}_ankle"] + under
    landmarks = load_skeleton(BODY_SKELETON).landmarks
    return Posture(np.stack([at[name] for name in landmarks], axis=1), frames)


def limb_angles(landmarks_mm: FloatArray, skeleton: Skeleton) -> dict[str, FloatArray]:
    """Return the limb angles that `pose_body` would need (inverse kinematics), degrees.

    Shoulders and elbows are measured relative to the thorax (axis from spine to neck, side from
    shoulder to shoulder), hips and knees relative to the pelvis. Hands and feet are left out.

    Args:
        landmarks_mm: (A, N, 3) in any right-handed frame.
        skeleton: skeleton of the landmarks, which has those of fetus-16.

    Returns:
        (A,) degrees of each side's shoulder, elbow, hip and knee angles; NaN where landmarks are
        absent. At a straight elbow or knee the rotation of the limb is arbitrary.
    """
    at = {name: landmarks_mm[:, skeleton.index(name)] for name in skeleton.landmarks}
    thorax = _frame(at["right_shoulder"] - at["left_shoulder"], at["neck"] - at["spine"])
    pelvis = _frame(at["right_hip"] - at["left_hip"], at["spine"] - at["sacrum"])
    angles = {}
    for side in SIDES:
        sign = 1.0 if side == "right" else -1.0
        for frame, (near, middle, far), bends in (
            (thorax, ("shoulder", "elbow", "wrist"), 1.0),
            (pelvis, ("hip", "knee", "ankle"), -1.0),
        ):
            upper = _unit(at[f"{side}_{middle}"] - at[f"{side}_{near}"])
            lower = _unit(at[f"{side}_{far}"] - at[f"{side}_{middle}"])
            x, y, z = np.moveaxis(_in_parent(np.swapaxes(frame, -1, -2), upper), -1, 0)
            flexion, abduction = np.arctan2(y, -z), np.arcsin(np.clip(sign * x, -1, 1))
            straight = frame @ _swing(flexion, abduction, sign)
            x, y, z = np.moveaxis(_in_parent(np.swapaxes(straight, -1, -2), lower), -1, 0)
            angles[f"{side}_{near}_flexion"] = flexion
            angles[f"{side}_{near}_abduction"] = abduction
            angles[f"{side}_{near}_rotation"] = np.arctan2(-sign * x, bends * y)
            angles[f"{side}_{middle}_flexion"] = np.arccos(np.clip(-z, -1, 1))
    return {name: np.degrees(values) for name, values in angles.items()}


def _limb(
    a: Mapping[str, FloatArray],
    side: str,
    sign: float,
    joints: tuple[str, str, str],
    bends: float,
) -> tuple[RotationMatrix, RotationMatrix, RotationMatrix]:
    """Return the rotations of the upper part of a limb, its lower part and its end.

    Each is relative to the part before it, the first one relative to the trunk.

    `bends` is 1 where the middle joint closes towards the belly (elbow), -1 where it closes
    towards the back (knee).
    """
    near, middle, end = (f"{side}_{joint}" for joint in joints)
    swing = _swing(a[f"{near}_flexion"], a[f"{near}_abduction"], sign)
    # The sign makes a positive angle bring the lower part of a bent limb to the midline.
    turn = rotation_about([0, 0, 1.0], sign * bends * a[f"{near}_rotation"])
    hinge = rotation_about([1.0, 0, 0], bends * a[f"{middle}_flexion"])
    last = rotation_about([1.0, 0, 0], a[f"{end}_flexion"])
    last = rotation_about([0, 0, 1.0], sign * a[f"{end}_rotation"]) @ last
    return swing @ turn, hinge, last


def _swing(flexion: FloatArray, abduction: FloatArray, sign: float) -> RotationMatrix:
    """Return the rotation of a straight limb by flexion and abduction."""
    about_x = rotation_about([1.0, 0, 0], flexion)
    return np.asarray(about_x @ rotation_about([0, 1.0, 0], -sign * abduction))


def _along(frame: RotationMatrix, length: FloatArray) -> FloatArray:
    """Return (A, 3) steps of a length along the cranial axis of the frame."""
    return np.asarray(frame[..., 2] * np.asarray(length)[:, None])


def _in_parent(frame: RotationMatrix, vectors: FloatArray) -> FloatArray:
    """Return (A, 3) vectors of a frame in its parent frame."""
    return np.asarray((frame @ vectors[..., None])[..., 0])


def _unit(vectors: FloatArray) -> FloatArray:
    """Return unit vectors; NaN for a vector without length."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, np.nan))


def _frame(right: FloatArray, cranial: FloatArray) -> RotationMatrix:
    """Return (A, 3, 3) frames (right, ventral, cranial) that are exact along cranial."""
    z = _unit(cranial)
    x = _unit(right - (right * z).sum(-1, keepdims=True) * z)
    return np.stack([x, np.cross(z, x), z], axis=-1)

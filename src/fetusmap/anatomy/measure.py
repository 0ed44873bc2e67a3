"""Measurements on a pose: lengths, joint angles, trunk flexion, and all in one list.

All functions accept a pose in any frame of millimetres. Their results are NaN if a landmark is
absent, and do not change when the pose is moved or rotated. Distances run from joint to joint; a
clinical bone length is that of the ossified shaft and is shorter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fetusmap.anatomy.crown_rump import crown_rump_length
from fetusmap.anatomy.growth import gestational_age_interval
from fetusmap.anatomy.pose import Pose
from fetusmap.anatomy.skeleton import Skeleton
from fetusmap.types import ArrayLike, FloatArray, Points3, RotationMatrix


def joint_angles_deg(pose: Pose) -> dict[str, float]:
    """Return each joint angle of the skeleton, degrees in [0, 180]; NaN if a landmark is absent."""
    angles = joint_angles_of(pose.skeleton, pose.positions_mm)
    return {name: float(angle) for name, angle in angles.items()}


def joint_angles_of(skeleton: Skeleton, positions_mm: ArrayLike) -> dict[str, FloatArray]:
    """Return each joint angle of many poses: (..., N, 3) positions to (...) degrees per name."""
    points = np.asarray(positions_mm, np.float64)

    def direction(pair: tuple[str, str]) -> FloatArray:
        start, end = skeleton.indices(pair)
        return np.asarray(points[..., end, :] - points[..., start, :])

    return {
        angle.name: np.degrees(_angle(direction(angle.first), direction(angle.second)))
        for angle in skeleton.angles
    }


def trunk_length_mm(pose: Pose) -> float:
    """Return the distance from sacrum to neck, mm; NaN if one of them is absent."""
    if pose.skeleton.trunk is None:
        return float("nan")
    sacrum, _, neck = pose.skeleton.trunk
    return float(np.linalg.norm(pose[neck].position_mm - pose[sacrum].position_mm))


def body_axes(pose: Pose) -> RotationMatrix:
    """Return the axes of the body: (3, 3) unit columns right, ventral, cranial; determinant +1.

    Cranial points from sacrum to neck. Right is the mean of the left-to-right directions of the
    lateral pairs that are present, made perpendicular to cranial. Ventral = cranial x right. The
    axes are NaN if the trunk or all lateral pairs are absent, or if they are parallel.
    """
    return body_axes_of(pose.skeleton, pose.positions_mm)


def body_axes_of(skeleton: Skeleton, positions_mm: ArrayLike) -> RotationMatrix:
    """Return the axes of many bodies, see `body_axes`: (..., N, 3) positions to (..., 3, 3)."""
    points = np.asarray(positions_mm, np.float64)
    unknown = np.full((*points.shape[:-2], 3, 3), np.nan)
    if skeleton.trunk is None or not skeleton.lateral_pairs:
        return unknown
    sacrum, _, neck = skeleton.indices(skeleton.trunk)
    left, right = (skeleton.indices(side) for side in zip(*skeleton.lateral_pairs, strict=True))
    across = points[..., right, :] - points[..., left, :]
    there = np.isfinite(across).all(axis=-1, keepdims=True)
    cranial = points[..., neck, :] - points[..., sacrum, :]
    rightwards = np.where(there, across, 0.0).sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        length = np.linalg.norm(cranial, axis=-1, keepdims=True)
        cranial = cranial / length
        rightwards -= cranial * (cranial * rightwards).sum(axis=-1, keepdims=True)
        width = np.linalg.norm(rightwards, axis=-1, keepdims=True)
        rightwards /= width
    axes = np.stack([rightwards, np.cross(cranial, rightwards), cranial], axis=-1)
    known = (length > 0) & (width > 1e-6 * length)
    return np.where(known[..., None], axes, unknown)


def in_body_frame(
    skeleton: Skeleton, positions_mm: ArrayLike, trunk_mm: float | None = None
) -> Points3:
    """Map poses into the body frame: origin sacrum, x right, y ventral, z cranial.

    Args:
        skeleton: skeleton of the poses.
        positions_mm: (..., N, 3) landmarks in any frame.
        trunk_mm: scale each pose to this distance from sacrum to neck; None keeps its size.

    Returns:
        (..., N, 3) landmarks; all NaN for a pose without body axes.
    """
    points = np.asarray(positions_mm, np.float64)
    axes = body_axes_of(skeleton, points)
    if skeleton.trunk is None:
        return np.full_like(points, np.nan)
    sacrum, _, neck = skeleton.indices(skeleton.trunk)
    turned = (points - points[..., [sacrum], :]) @ axes
    if trunk_mm is not None:
        turned *= trunk_mm / turned[..., [neck], 2:]
    return turned


def trunk_flexion_deg(pose: Pose) -> float:
    """Return the bend of the trunk at the spine, degrees: 0 straight, positive towards the belly.

    This is the angle from (sacrum to spine) to (spine to neck) after both are projected onto the
    sagittal plane of `body_axes`, so bending to the side does not count. It is NaN without trunk or
    body axes.
    """
    axes = body_axes(pose)
    if pose.skeleton.trunk is None or not np.isfinite(axes).all():
        return float("nan")
    sacrum, spine, neck = (pose[name].position_mm for name in pose.skeleton.trunk)
    lower, upper = (spine - sacrum) @ axes, (neck - spine) @ axes
    bend = np.arctan2(upper[1], upper[2]) - np.arctan2(lower[1], lower[2])
    return float(np.degrees(bend))


@dataclass(frozen=True)
class Measurement:
    """One measured value for tables and figures; NaN if a landmark is absent."""

    kind: str
    name: str
    value: float
    unit: str


def measurements(pose: Pose) -> tuple[Measurement, ...]:
    """Return all measurements: lengths, angles, trunk flexion, crown-rump length, gestational age.

    The kind of the crown-rump length is the method: "measured" or "estimated".
    """
    crl = crown_rump_length(pose)
    age = gestational_age_interval(crl.length_mm, crl.half_width_mm)
    return (
        *(Measurement("length", name, v, "mm") for name, v in pose.lengths_mm().items()),
        *(Measurement("angle", name, v, "deg") for name, v in joint_angles_deg(pose).items()),
        Measurement("angle", "trunk_flexion", trunk_flexion_deg(pose), "deg"),
        Measurement(crl.method, "crown_rump_length", crl.length_mm, "mm"),
        Measurement(crl.method, "crown_rump_length_low", crl.low_mm, "mm"),
        Measurement(crl.method, "crown_rump_length_high", crl.high_mm, "mm"),
        Measurement("age", "gestational_age", age.days, "days"),
        Measurement("age", "gestational_age_low", age.low_days, "days"),
        Measurement("age", "gestational_age_high", age.high_days, "days"),
    )


def _angle(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the angles between vectors, exact also near 0 and 180 degrees; NaN for length 0."""
    sine = np.linalg.norm(np.cross(first, second), axis=-1)
    cosine = (first * second).sum(axis=-1)
    return np.where((sine == 0) & (cosine == 0), np.nan, np.arctan2(sine, cosine))

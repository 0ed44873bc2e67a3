"""Skeletons, poses, and what can be measured on them."""

from fetusmap.anatomy.growth import (
    CHARTS,
    DATING,
    GestationalAge,
    centile,
    crown_rump_length_at,
    gestational_age,
)
from fetusmap.anatomy.measure import (
    CrownRumpLength,
    Measurement,
    body_axes,
    crown_rump_length,
    implausibilities,
    joint_angles_deg,
    measurements,
    trunk_flexion_deg,
    trunk_length_mm,
)
from fetusmap.anatomy.pose import Pose, PosedLandmark, reference_pose
from fetusmap.anatomy.skeleton import CrownRumpModel, JointAngle, Segment, Skeleton
from fetusmap.anatomy.skeleton_file import (
    built_in_skeleton,
    load_skeleton,
    plain_from_skeleton,
    skeleton_from_plain,
)

__all__ = [
    "CHARTS",
    "DATING",
    "CrownRumpLength",
    "CrownRumpModel",
    "GestationalAge",
    "JointAngle",
    "Measurement",
    "Pose",
    "PosedLandmark",
    "Segment",
    "Skeleton",
    "body_axes",
    "built_in_skeleton",
    "centile",
    "crown_rump_length",
    "crown_rump_length_at",
    "gestational_age",
    "implausibilities",
    "joint_angles_deg",
    "load_skeleton",
    "measurements",
    "plain_from_skeleton",
    "reference_pose",
    "skeleton_from_plain",
    "trunk_flexion_deg",
    "trunk_length_mm",
]

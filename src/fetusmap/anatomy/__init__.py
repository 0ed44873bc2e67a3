"""Skeletons, poses, and measurements on poses."""

from fetusmap.anatomy.channels import Channels, channel_per_landmark, channel_per_pair
from fetusmap.anatomy.growth import (
    CHARTS,
    DATING,
    GestationalAge,
    centile,
    crown_rump_length_at,
    gestational_age,
)
from fetusmap.anatomy.limbs import Limb
from fetusmap.anatomy.measure import (
    CrownRumpLength,
    Measurement,
    body_axes,
    body_axes_of,
    crown_rump_length,
    implausibilities,
    in_body_frame,
    joint_angles_deg,
    joint_angles_of,
    measurements,
    trunk_flexion_deg,
    trunk_length_mm,
)
from fetusmap.anatomy.pose import Pose, PosedLandmark, reference_pose
from fetusmap.anatomy.records import Provenance, Quality
from fetusmap.anatomy.skeleton import CrownRumpModel, JointAngle, Segment, Side, Skeleton
from fetusmap.anatomy.skeleton_file import (
    built_in_skeleton,
    built_in_skeletons,
    entry_from_skeleton,
    load_skeleton,
    plain_from_skeleton,
    skeleton_from_entry,
    skeleton_from_plain,
)

__all__ = [
    "CHARTS",
    "DATING",
    "Channels",
    "CrownRumpLength",
    "CrownRumpModel",
    "GestationalAge",
    "JointAngle",
    "Limb",
    "Measurement",
    "Pose",
    "PosedLandmark",
    "Provenance",
    "Quality",
    "Segment",
    "Side",
    "Skeleton",
    "body_axes",
    "body_axes_of",
    "built_in_skeleton",
    "built_in_skeletons",
    "centile",
    "channel_per_landmark",
    "channel_per_pair",
    "crown_rump_length",
    "crown_rump_length_at",
    "entry_from_skeleton",
    "gestational_age",
    "implausibilities",
    "in_body_frame",
    "joint_angles_deg",
    "joint_angles_of",
    "load_skeleton",
    "measurements",
    "plain_from_skeleton",
    "reference_pose",
    "skeleton_from_entry",
    "skeleton_from_plain",
    "trunk_flexion_deg",
    "trunk_length_mm",
]

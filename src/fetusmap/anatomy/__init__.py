"""Skeletons, poses, and measurements on poses."""

from fetusmap.anatomy.channels import Channels, channel_per_landmark, channel_per_pair
from fetusmap.anatomy.crown_rump import (
    CrownRumpLength,
    crown_rump_length,
    fit_length_interval,
)
from fetusmap.anatomy.growth import (
    CHARTS,
    DATING,
    GestationalAge,
    GestationalAgeInterval,
    centile,
    crown_rump_length_at,
    gestational_age,
    gestational_age_interval,
)
from fetusmap.anatomy.limbs import Limb, name_without_side
from fetusmap.anatomy.measure import (
    Measurement,
    body_axes,
    body_axes_of,
    implausibilities,
    in_body_frame,
    joint_angles_deg,
    joint_angles_of,
    measurements,
    trunk_flexion_deg,
    trunk_length_mm,
)
from fetusmap.anatomy.pose import Pose, PosedLandmark, reference_pose
from fetusmap.anatomy.records import (
    MAX_CORRECT_ERROR_MM,
    LengthInterval,
    Provenance,
    Quality,
)
from fetusmap.anatomy.skeleton import CrownRumpModel, JointAngle, Segment, Side, Skeleton
from fetusmap.anatomy.skeleton_file import (
    built_in_skeleton,
    built_in_skeleton_for,
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
    "MAX_CORRECT_ERROR_MM",
    "Channels",
    "CrownRumpLength",
    "CrownRumpModel",
    "GestationalAge",
    "GestationalAgeInterval",
    "JointAngle",
    "LengthInterval",
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
    "built_in_skeleton_for",
    "built_in_skeletons",
    "centile",
    "channel_per_landmark",
    "channel_per_pair",
    "crown_rump_length",
    "crown_rump_length_at",
    "entry_from_skeleton",
    "fit_length_interval",
    "gestational_age",
    "gestational_age_interval",
    "implausibilities",
    "in_body_frame",
    "joint_angles_deg",
    "joint_angles_of",
    "load_skeleton",
    "measurements",
    "name_without_side",
    "plain_from_skeleton",
    "reference_pose",
    "skeleton_from_entry",
    "skeleton_from_plain",
    "trunk_flexion_deg",
    "trunk_length_mm",
]

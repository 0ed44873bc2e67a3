"""Pose files: one module per format; `load_pose` and `save_pose` choose the format."""

from fetusmap.io.poses.cohort_table import (
    MAX_LANDMARK_TABLE_BYTES,
    check_pyarrow,
    load_landmark_table,
    write_landmark_table,
)
from fetusmap.io.poses.dicom_file import (
    check_highdicom,
    write_dicom_picture,
    write_dicom_report,
)
from fetusmap.io.poses.landmark_table import write_measurements_csv
from fetusmap.io.poses.pose_file import load_pose, save_pose
from fetusmap.io.poses.pose_json import plain_from_pose, pose_from_plain, pose_schema

__all__ = [
    "MAX_LANDMARK_TABLE_BYTES",
    "check_highdicom",
    "check_pyarrow",
    "load_landmark_table",
    "load_pose",
    "plain_from_pose",
    "pose_from_plain",
    "pose_schema",
    "save_pose",
    "write_dicom_picture",
    "write_dicom_report",
    "write_landmark_table",
    "write_measurements_csv",
]

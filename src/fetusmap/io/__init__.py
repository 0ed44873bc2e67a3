"""Files in and out: one module per format behind four functions."""

from fetusmap.io.files import (
    LIBRARY_SUFFIXES,
    POSE_SUFFIXES,
    VOLUME_SUFFIXES,
    case_name,
    suffix_of,
)
from fetusmap.io.library_file import load_library, save_library
from fetusmap.io.limits import DEFAULT_LIMITS, ReadLimits
from fetusmap.io.pose_json import plain_from_pose, pose_from_plain, pose_schema
from fetusmap.io.poses import load_pose, save_pose
from fetusmap.io.tables import write_measurements_csv
from fetusmap.io.volumes import (
    WRITABLE_SUFFIXES,
    load_grid,
    load_volume,
    read_volume_header,
    save_volume,
)

__all__ = [
    "DEFAULT_LIMITS",
    "LIBRARY_SUFFIXES",
    "POSE_SUFFIXES",
    "VOLUME_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "ReadLimits",
    "case_name",
    "load_grid",
    "load_library",
    "load_pose",
    "load_volume",
    "plain_from_pose",
    "pose_from_plain",
    "pose_schema",
    "read_volume_header",
    "save_library",
    "save_pose",
    "save_volume",
    "suffix_of",
    "write_measurements_csv",
]

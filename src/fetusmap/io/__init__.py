"""Files in and out: volumes, poses, and the sandbox that decodes untrusted bytes."""

from fetusmap.io.poses import (
    load_pose,
    plain_from_pose,
    pose_from_plain,
    pose_schema,
    save_pose,
    write_measurements_csv,
)
from fetusmap.io.volumes import (
    DEFAULT_LIMITS,
    WRITABLE_SUFFIXES,
    ReadLimits,
    load_grid,
    load_volume,
    read_volume_header,
    save_volume,
)

__all__ = [
    "DEFAULT_LIMITS",
    "WRITABLE_SUFFIXES",
    "ReadLimits",
    "load_grid",
    "load_pose",
    "load_volume",
    "plain_from_pose",
    "pose_from_plain",
    "pose_schema",
    "read_volume_header",
    "save_pose",
    "save_volume",
    "write_measurements_csv",
]

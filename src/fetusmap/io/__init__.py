"""Reading and writing of volumes and poses; untrusted voxels are decoded in a sandbox."""

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
    OpenedSource,
    ReadLimits,
    Source,
    find_sources,
    load_grid,
    load_volume,
    open_source,
    read_volume_header,
    save_volume,
    volume_of,
)

__all__ = [
    "DEFAULT_LIMITS",
    "WRITABLE_SUFFIXES",
    "OpenedSource",
    "ReadLimits",
    "Source",
    "find_sources",
    "load_grid",
    "load_pose",
    "load_volume",
    "open_source",
    "plain_from_pose",
    "pose_from_plain",
    "pose_schema",
    "read_volume_header",
    "save_pose",
    "save_volume",
    "volume_of",
    "write_measurements_csv",
]

"""Volume files: one module per format behind four functions."""

from fetusmap.io.volumes.limits import DEFAULT_LIMITS, ReadLimits
from fetusmap.io.volumes.volume_file import (
    WRITABLE_SUFFIXES,
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
    "load_volume",
    "read_volume_header",
    "save_volume",
]

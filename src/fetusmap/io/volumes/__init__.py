"""Volume files: one module per format, and the functions that read and write any of them."""

from fetusmap.io.volumes.limits import DEFAULT_LIMITS, ReadLimits
from fetusmap.io.volumes.source import OpenedSource, Source, find_sources, open_source
from fetusmap.io.volumes.volume_file import (
    WRITABLE_SUFFIXES,
    load_grid,
    load_volume,
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
    "load_volume",
    "open_source",
    "read_volume_header",
    "save_volume",
    "volume_of",
]

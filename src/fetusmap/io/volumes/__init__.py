"""Volume files: one module per format, and the functions that read and write any of them."""

from fetusmap.io.volumes.dicom_age import gestational_age_days
from fetusmap.io.volumes.dicom_series import series_in
from fetusmap.io.volumes.dicom_study import DicomStudy, new_study, study_of
from fetusmap.io.volumes.dicomdir import DICOMDIR, check_dicomdir
from fetusmap.io.volumes.limits import DEFAULT_LIMITS, ReadLimits
from fetusmap.io.volumes.raw import RawLayout
from fetusmap.io.volumes.source import (
    OpenedSource,
    Source,
    count_frames,
    find_sources,
    is_volume_file,
    only_source,
    open_source,
)
from fetusmap.io.volumes.swept import AS_STORED, Conversion
from fetusmap.io.volumes.volume_file import (
    WRITABLE_SUFFIXES,
    load_grid,
    load_sequence,
    load_volume,
    read_volume_header,
    save_volume,
    volume_of,
)

__all__ = [
    "AS_STORED",
    "DEFAULT_LIMITS",
    "DICOMDIR",
    "WRITABLE_SUFFIXES",
    "Conversion",
    "DicomStudy",
    "OpenedSource",
    "RawLayout",
    "ReadLimits",
    "Source",
    "check_dicomdir",
    "count_frames",
    "find_sources",
    "gestational_age_days",
    "is_volume_file",
    "load_grid",
    "load_sequence",
    "load_volume",
    "new_study",
    "only_source",
    "open_source",
    "read_volume_header",
    "save_volume",
    "series_in",
    "study_of",
    "volume_of",
]

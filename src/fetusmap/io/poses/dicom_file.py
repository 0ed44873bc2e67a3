"""Writing of DICOM reports; the package highdicom is imported only here, when it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fetusmap.anatomy import Pose
from fetusmap.errors import BadInput
from fetusmap.files.writing import atomic_path
from fetusmap.io.volumes.dicom_study import DicomStudy

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def write_dicom_report(
    pose: Pose,
    study: DicomStudy,
    path: Path,
    *,
    clinical_limb_codes: bool = False,
    overwrite: bool = True,
) -> None:
    """Write a pose as a DICOM structured report, atomically.

    Args:
        pose: the pose, LPS mm in the frame of reference of the study.
        study: the study that the report becomes part of.
        path: the file.
        clinical_limb_codes: whether distances of limbs get the codes of clinical bone lengths.
        overwrite: whether an existing file may be replaced.

    Raises:
        BadInput: highdicom is not installed, or the file cannot be written.
    """
    check_highdicom()
    from fetusmap.io.poses.dicom_report import report_of

    report = report_of(pose, study, clinical_limb_codes=clinical_limb_codes)
    _write(report, path, overwrite)


def write_dicom_picture(
    picture: Path, study: DicomStudy, path: Path, *, overwrite: bool = True
) -> None:
    """Write a PNG picture as a DICOM secondary capture, atomically.

    Raises:
        BadInput: highdicom is not installed, or the file cannot be written.
        UnreadableFile: the picture cannot be read.
    """
    check_highdicom()
    from fetusmap.io.poses.dicom_picture import picture_of

    _write(picture_of(picture, study), path, overwrite)


def check_highdicom() -> None:
    """Refuse to write DICOM without the package for it.

    Raises:
        BadInput: highdicom is not installed.
    """
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise BadInput(
            "DICOM reports",
            expected="the package highdicom",
            found="none",
            remedy="pip install 'fetusmap[dicom]'",
        ) from error


def _write(instance: Dataset, path: Path, overwrite: bool) -> None:
    with atomic_path(path, overwrite=overwrite) as temporary:
        instance.save_as(temporary, enforce_file_format=True)

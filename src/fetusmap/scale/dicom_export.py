"""DICOM reports about predicted cases: which scan a case is of, and what is written about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from fetusmap.anatomy import NO_FETUS, Pose, Skeleton
from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.estimate import input_sha256
from fetusmap.files import POSE_SUFFIXES, suffix_of
from fetusmap.io import (
    DEFAULT_LIMITS,
    DicomStudy,
    OpenedSource,
    ReadLimits,
    Source,
    check_highdicom,
    load_pose,
    new_study,
    only_source,
    open_source,
    study_of,
    volume_of,
    write_dicom_picture,
    write_dicom_report,
)
from fetusmap.scale.records import (
    DONE_FILE,
    PREVIEW_FILE,
    REPORT_FILE,
    RESULT_FILES,
    read_done,
)
from fetusmap.scale.volume_file import VolumeFile

NEW_STUDY = (
    "the report stands in a study of its own, without a patient: a viewer cannot draw its "
    "positions on the scan"
)
NEW_FRAME = (
    "the scan states no frame of reference for its voxels, or the pose was predicted with another "
    "spacing: the report has the measurements, but a viewer cannot draw its positions on the scan"
)
UNCHECKED = "the pose does not say which volume it was predicted from: check that it is this scan"


@dataclass(frozen=True)
class ReportSettings:
    """How a DICOM report is written.

    Attributes:
        scan: file or folder of the DICOM scan; None for the one that the case was predicted from.
        frame: number of the volume in a sequence, from 0.
        anonymous: write a report without a patient, in a study of its own.
        clinical_limb_codes: give distances of limbs the codes of clinical bone lengths.
        skeleton: skeleton of the pose, if its file does not define it.
        overwrite: replace existing files.
        limits: limits for reading the scan.
    """

    scan: Path | None = None
    frame: int | None = None
    anonymous: bool = False
    clinical_limb_codes: bool = False
    skeleton: Skeleton | None = None
    overwrite: bool = True
    limits: ReadLimits = DEFAULT_LIMITS


def pose_file(path: Path) -> Path | None:
    """Return the pose file that a path names, or that a case's folder holds; None if none does."""
    pose = path / RESULT_FILES[0] if path.is_dir() else path
    return pose if pose.is_file() and suffix_of(pose, POSE_SUFFIXES) else None


def export_report(
    pose_path: Path, report: Path, settings: ReportSettings
) -> tuple[list[Path], tuple[str, ...]]:
    """Write the DICOM report of a pose, and the picture of its case if there is one beside it.

    Args:
        pose_path: file of the pose; record and picture of its case may lie beside it.
        report: file of the report; the picture gets the same name with `-picture`.
        settings: how to write it.

    Returns:
        The written files, and doubts in words.

    Raises:
        BadInput: the pose is that of a volume without a fetus; the scan is not the one that the
            pose was predicted from, is not DICOM, or states no study; a file exists; or highdicom
            is missing.
    """
    check_highdicom()
    pose = load_pose(pose_path, settings.skeleton)
    case = pose_path.parent
    paths = [report, report.with_name(f"{report.stem}-picture{report.suffix}")]
    if not (case / PREVIEW_FILE).is_file():
        del paths[1:]
    _check(pose, pose_path, paths, settings)
    study, doubts = _study_of_case(case, pose, settings)
    write_dicom_report(
        pose,
        study,
        report,
        clinical_limb_codes=settings.clinical_limb_codes,
        overwrite=settings.overwrite,
    )
    for path in paths[1:]:
        write_dicom_picture(case / PREVIEW_FILE, study, path, overwrite=settings.overwrite)
    return paths, (*study.warnings, *doubts)


def export_case_report(volume: VolumeFile, output: Path, limits: ReadLimits) -> tuple[str, ...]:
    """Write the report of a predicted case into its folder, unless it is there already.

    Args:
        volume: the case.
        output: folder of the results.
        limits: limits for reading the scan.

    Returns:
        Doubts in words; none if the report was there.

    Raises:
        BadInput: as `export_report`.
    """
    folder = output / volume.case
    report = folder / REPORT_FILE
    if report.is_file() and report.stat().st_mtime >= (folder / DONE_FILE).stat().st_mtime:
        return ()
    settings = ReportSettings(scan=volume.path, frame=volume.frame, limits=limits)
    return export_report(folder / RESULT_FILES[0], report, settings)[1]


def _check(pose: Pose, pose_path: Path, paths: list[Path], settings: ReportSettings) -> None:
    """Refuse a report about nothing, and one that would replace a file, before anything is read."""
    if NO_FETUS in pose.quality.reasons:
        raise BadInput(
            pose_path,
            expected="the pose of a fetus, for a DICOM report",
            found=NO_FETUS,
            remedy="look at the picture of the case",
        )
    for path in paths:
        if path.exists() and not settings.overwrite:
            raise BadInput(
                path,
                expected="a new file",
                found="an existing one",
                remedy="choose another name or allow it with --overwrite",
            )


def _study_of_case(
    case: Path, pose: Pose, settings: ReportSettings
) -> tuple[DicomStudy, tuple[str, ...]]:
    """Return the study of a report; refuse a scan that is not the one of the pose."""
    if settings.anonymous:
        return new_study(), (NEW_STUDY,)
    done = read_done(case)
    path = settings.scan or (Path(done.source) if done else None)
    if path is None:
        raise BadInput(
            case,
            expected="the scan that the report is about",
            found="no record of it beside the pose",
            remedy="give the DICOM file with --source, or write a report without a patient with "
            "--anonymous",
        )
    scan = replace(only_source(path) if path.is_dir() else Source(path), frame=settings.frame)
    with open_source(scan, settings.limits) as opened:
        study = study_of(opened, path, settings.limits)
        if done is None and not pose.provenance.input_sha256:
            return study, (UNCHECKED,)
        same_grid = _is_volume_of(pose, scan, opened, settings.limits)
        same_file = done is not None and opened.sha256() == done.input_sha256
    if not (same_grid or same_file):
        raise BadInput(
            path,
            expected="the scan that the pose was predicted from",
            found="another volume",
            remedy="give that scan, or predict this one",
        )
    if same_grid and study.has_positions_of_images:
        return study, ()
    return study.with_new_frame_of_reference(), (NEW_FRAME,)


def _is_volume_of(pose: Pose, scan: Source, opened: OpenedSource, limits: ReadLimits) -> bool:
    """Whether a scan, as its file states its geometry, is the volume that a pose is of."""
    try:
        volume = volume_of(scan, opened, limits=limits)
    except UnreadableFile:  # the pose needed a spacing that the file does not state
        return False
    return input_sha256(volume) == pose.provenance.input_sha256

"""DICOM reports on the command line: of a pose or case, and of all cases of a prediction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fetusmap.cli.console import err, out, warn
from fetusmap.errors import BadInput, FetusmapError
from fetusmap.io import ReadLimits
from fetusmap.scale import (
    CaseResult,
    ReportSettings,
    VolumeFile,
    export_case_report,
    export_report,
    pose_file,
)

LIMB_WARNING = (
    "lengths of limbs have clinical codes, but they are distances between joints and longer than "
    "the ossified shaft: do not compare them with growth charts"
)


def write_report(source: Path, report: Path, settings: ReportSettings) -> None:
    """Write the DICOM report of a pose or a case, and print what was written and is doubtful.

    Args:
        source: file of the pose, or folder of the case.
        report: file of the report.
        settings: how to write it.

    Raises:
        BadInput: the source is no pose, or as `export_report`.
    """
    pose = pose_file(source)
    if pose is None:
        raise BadInput(
            source,
            expected="a pose, or the folder of a predicted case, for a DICOM report",
            found="none",
            remedy="predict the volume first; DICOM volumes are not written",
        )
    written, doubts = export_report(pose, report, settings)
    for doubt in doubts:
        warn(doubt)
    if settings.clinical_limb_codes:
        warn(LIMB_WARNING)
    for path in written:
        out.print(str(path))


def write_reports(
    volumes: Sequence[VolumeFile], results: Sequence[CaseResult], output: Path, limits: ReadLimits
) -> int:
    """Write the DICOM reports of predicted cases; return how many could not be written."""
    predicted = {result.case for result in results if result.pose is not None}
    failed = 0
    for volume in volumes:
        if volume.case not in predicted:
            continue
        try:
            doubts = export_case_report(volume, output, limits)
        except FetusmapError as error:
            err.print(f"{volume.case}: no DICOM report: {error}")
            failed += 1
        else:
            for doubt in doubts:
                warn(f"{volume.case}: {doubt}")
    return failed

"""DICOM reports on the command line: the options of `convert`, and the last step of `predict`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

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

REPORT_SUFFIX = ".dcm"
LIMB_WARNING = (
    "lengths of limbs have clinical codes, but they are distances between joints and longer than "
    "the ossified shaft: do not compare them with growth charts"
)
Scan = Annotated[
    Path | None,
    typer.Option(
        "--source",
        metavar="DICOM",
        help="DICOM file or folder that a report is about; by default the one that the case was "
        "predicted from.",
    ),
]
Anonymous = Annotated[
    bool,
    typer.Option(
        "--anonymous", help="Write a DICOM report without a patient, in a study of its own."
    ),
]
ClinicalLimbCodes = Annotated[
    bool,
    typer.Option(
        "--clinical-limb-codes",
        help="Give distances of limbs in a DICOM report the codes of femur, humerus, tibia and "
        "ulna length, although they run from joint to joint.",
    ),
]


def is_report(target: Path) -> bool:
    """Return whether a file that is to be written is a DICOM report, by its suffix."""
    return target.suffix.lower() == REPORT_SUFFIX


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

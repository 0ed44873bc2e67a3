"""The table of a cohort: one row for every case of the output folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isnan
from pathlib import Path

from fetusmap.anatomy import Pose, crown_rump_length, gestational_age_interval
from fetusmap.anatomy.measure import trunk_length_mm
from fetusmap.errors import FetusmapError
from fetusmap.files import read_rows, write_rows
from fetusmap.io import load_pose
from fetusmap.scale.records import (
    DONE_FILE,
    FAILED_FILE,
    STARTED_FILE,
    SUMMARY_FILE,
    owner_of,
    read_done,
    read_failed,
)

RECORDS = (STARTED_FILE, FAILED_FILE, DONE_FILE)
INTERRUPTED = "the run was interrupted while it worked on this case; repeat the command"

SUMMARY_COLUMNS = (
    "case",
    "status",
    "quality",
    "reasons",
    "changes",
    "warnings",
    "crown_rump_length_mm",
    "crown_rump_low_mm",
    "crown_rump_high_mm",
    "crown_rump_method",
    "gestational_age_days",
    "gestational_age_low_days",
    "gestational_age_high_days",
    "trunk_length_mm",
    "seconds",
    "file",
)


@dataclass(frozen=True)
class CaseResult:
    """The result of one case.

    Attributes:
        case: name of the case.
        path: path of its volume.
        pose: the pose; None if the case failed.
        error: why it failed, in one line.
        seconds: duration of the prediction; None if an earlier run had finished it.
    """

    case: str
    path: Path
    pose: Pose | None = None
    error: str = ""
    seconds: float | None = None


def write_summary(output: Path, results: Sequence[CaseResult]) -> None:
    """Write the table of all cases of the output folder, sorted by name.

    Rows of cases that this run did not work on are taken from the earlier table. If it lacks them,
    or if a run that was killed has changed a case since, they are made from the case's folder.
    """
    table = output / SUMMARY_FILE
    earlier = {row["case"]: row for row in _earlier_rows(table)}
    rows: dict[str, Mapping[str, object]] = {}
    of_this_run = {result.case for result in results}
    for folder in folders_of_cases(output):
        if folder.name in of_this_run:
            continue
        if folder.name in earlier and not has_changed_since(table, folder):
            row = earlier[folder.name]
            rows[folder.name] = {name: row[name] for name in SUMMARY_COLUMNS}
            continue
        with suppress(FetusmapError):  # a damaged case is predicted anew by the next run
            rows[folder.name] = _summary_row(_result_in(folder))
    rows |= {result.case: _summary_row(result) for result in results}
    ordered = [rows[name] for name in sorted(rows)]
    write_rows(output / SUMMARY_FILE, SUMMARY_COLUMNS, ordered)


def joined(sentences: Iterable[str]) -> str:
    """Join sentences of a pose's quality or provenance into one line."""
    return "; ".join(sentences)


def changes_of(pose: Pose) -> str:
    """Describe what a refinement changed, or why its result was rejected, in one line."""
    rejected_because = pose.provenance.rejected_because
    return (
        f"not refined: {rejected_because}" if rejected_because else joined(pose.provenance.changes)
    )


def _earlier_rows(path: Path) -> list[dict[str, str]]:
    try:
        return read_rows(path, SUMMARY_COLUMNS)
    except FetusmapError:  # there is no table yet, a damaged one, or one of an earlier version
        return []


def folders_of_cases(output: Path, folders: Iterable[Path] | None = None) -> Iterable[Path]:
    """Yield the folders of an output folder, or those of the given ones, that a record claims."""
    for folder in output.iterdir() if folders is None else folders:
        if any((folder / name).is_file() for name in RECORDS):
            yield folder


def has_changed_since(table: Path, folder: Path) -> bool:
    """Return whether a case has no record, or one that is newer than the table of all cases."""
    ended = [folder / name for name in (FAILED_FILE, DONE_FILE) if (folder / name).is_file()]
    times = [path.stat().st_mtime_ns for path in ended]
    return not ended or max(times) > table.stat().st_mtime_ns


def _result_in(folder: Path) -> CaseResult:
    """The result of a case, from the files in its folder."""
    failed = read_failed(folder)
    if failed is not None:
        return CaseResult(folder.name, Path(failed.source), error=failed.error)
    if not (folder / DONE_FILE).is_file():
        source, _ = owner_of(folder) or ("", "")
        return CaseResult(folder.name, Path(source), error=INTERRUPTED)
    done = read_done(folder)
    source = done.source if done is not None else ""
    return CaseResult(folder.name, Path(source), load_pose(folder / "pose.json"))


def _summary_row(result: CaseResult) -> Mapping[str, object]:
    row: dict[str, object] = {"case": result.case, "file": str(result.path)}
    if result.pose is None:
        return {**row, "status": "failed", "reasons": result.error}
    quality = result.pose.quality
    return {
        **row,
        "status": "done",
        "quality": quality.score,
        "reasons": joined(quality.reasons),
        "changes": changes_of(result.pose),
        "warnings": joined(result.pose.provenance.warnings),
        **_crown_rump_columns(result.pose),
        "trunk_length_mm": round(trunk_length_mm(result.pose), 1),
        "seconds": None if result.seconds is None else round(result.seconds, 2),
    }


def _crown_rump_columns(pose: Pose) -> Mapping[str, object]:
    crl = crown_rump_length(pose)
    age = gestational_age_interval(crl.length_mm, crl.half_width_mm)
    return {
        "crown_rump_length_mm": round(crl.length_mm, 1),
        "crown_rump_low_mm": round(crl.low_mm, 1),
        "crown_rump_high_mm": round(crl.high_mm, 1),
        "crown_rump_method": "" if isnan(crl.length_mm) else crl.method,
        "gestational_age_days": round(age.days, 1),
        "gestational_age_low_days": round(age.low_days, 1),
        "gestational_age_high_days": round(age.high_days, 1),
    }

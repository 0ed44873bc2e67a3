"""The table of a cohort: one row per case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fetusmap.anatomy import Pose, crown_rump_length
from fetusmap.anatomy.measure import trunk_length_mm
from fetusmap.files.tables import write_rows

SUMMARY_FILE = "summary.csv"
SUMMARY_COLUMNS = (
    "case", "status", "quality", "reasons", "changes", "crown_rump_length_mm", "trunk_length_mm",
    "seconds", "file",
)  # fmt: skip


@dataclass(frozen=True)
class CaseResult:
    """What became of a case.

    Attributes:
        case: its name.
        path: of its volume.
        pose: None where it failed.
        error: why it failed, in one line.
        seconds: it took; None where an earlier run had finished it.
    """

    case: str
    path: Path
    pose: Pose | None = None
    error: str = ""
    seconds: float | None = None


def write_summary(path: Path, results: Sequence[CaseResult]) -> None:
    """Write one row per case."""
    write_rows(path, SUMMARY_COLUMNS, [_summary_row(result) for result in results])


def joined(sentences: object) -> str:
    """Sentences of a pose's quality or provenance in one line."""
    return "; ".join(str(s) for s in sentences) if isinstance(sentences, (list, tuple)) else ""


def changes_of(pose: Pose) -> str:
    """What a refinement changed, or why it was not taken, in one line."""
    kept = pose.provenance.rejected_because
    return f"kept as found: {kept}" if kept else joined(pose.provenance.changes)


def _summary_row(result: CaseResult) -> Mapping[str, object]:
    row: dict[str, object] = {"case": result.case, "file": str(result.path)}
    if result.pose is None:
        return {**row, "status": "failed", "reasons": result.error}
    quality = result.pose.quality
    reasons = quality.reasons
    return {
        **row,
        "status": "done",
        "quality": quality.score,
        "reasons": joined(reasons),
        "changes": changes_of(result.pose),
        "crown_rump_length_mm": round(crown_rump_length(result.pose).length_mm, 1),
        "trunk_length_mm": round(trunk_length_mm(result.pose), 1),
        "seconds": None if result.seconds is None else round(result.seconds, 2),
    }

"""Pages for browsers in a folder of results: one of each case, and one of all cases.

OUT/<case>/report.html     the page of the case
OUT/<case>/thumbnail.jpg   its small picture
OUT/index.html             a table of all cases with links to their pages
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, nan
from pathlib import Path

from fetusmap.anatomy import GestationalAgeInterval, Pose
from fetusmap.files import read_rows, write_bytes, write_text
from fetusmap.report import CohortRow, case_page, cohort_page, thumbnail
from fetusmap.scale.records import INDEX_FILE, PAGE_FILE, SUMMARY_FILE, THUMBNAIL_FILE
from fetusmap.scale.summary import SUMMARY_COLUMNS
from fetusmap.volume import Volume


def write_case_page(folder: Path, volume: Volume, pose: Pose, case: str) -> None:
    """Write the page and the small picture of a case into its folder."""
    write_bytes(folder / THUMBNAIL_FILE, thumbnail(volume, pose))
    write_text(folder / PAGE_FILE, case_page(volume, pose, case))


def has_case_page(folder: Path) -> bool:
    """Whether the folder of a case holds its page; the page is written last."""
    return (folder / PAGE_FILE).is_file()


def write_cohort_page(output: Path) -> None:
    """Write the page of all cases of an output folder, from its `summary.csv`.

    Raises:
        BadInput: there is no such table, or the folder cannot be written.
    """
    rows = read_rows(output / SUMMARY_FILE, SUMMARY_COLUMNS)
    page = cohort_page([_cohort_row(output, row) for row in rows], output.resolve().name)
    write_text(output / INDEX_FILE, page)


def _cohort_row(output: Path, row: Mapping[str, str]) -> CohortRow:
    days = _number(row["gestational_age_days"])
    return CohortRow(
        case=row["case"],
        is_done=row["status"] == "done",
        quality=_number(row["quality"]),
        crown_rump_length_mm=_number(row["crown_rump_length_mm"]),
        age="" if days is None else str(GestationalAgeInterval(days, nan, nan)),
        age_days=days,
        remarks=row["reasons"],
        warnings=row["warnings"],
        changes=row["changes"],
        has_page=has_case_page(output / row["case"]),
    )


def _number(cell: str) -> float | None:
    """Return the number that this package wrote into a cell; None for none."""
    value = float(cell or nan)
    return value if isfinite(value) else None

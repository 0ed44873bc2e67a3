"""The page of a cohort: a table of all cases that a browser sorts and filters, worst first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from fetusmap.report.page import render_page


@dataclass(frozen=True)
class CohortRow:
    """One case of the table.

    Attributes:
        case: name of the case, which is also that of its folder.
        is_done: False if the case failed.
        quality: quality score; None if it is not known.
        crown_rump_length_mm: the length; None if it is not known.
        age: gestational age as weeks + days, or "".
        age_days: the same in days; None if it is not known.
        remarks: why the case failed, or the reasons to doubt it.
        warnings: warnings about its volume.
        changes: what the refinement changed.
        has_page: whether its folder holds a page and a small picture.
    """

    case: str
    is_done: bool
    quality: float | None
    crown_rump_length_mm: float | None
    age: str
    age_days: float | None
    remarks: str
    warnings: str
    changes: str
    has_page: bool


def cohort_page(rows: Sequence[CohortRow], name: str) -> str:
    """Return the page of a cohort: one HTML file with links to the pages of the cases beside it.

    Args:
        rows: the cases, in any order.
        name: name of the folder of results.

    Raises:
        ResourceError: the package was installed without its bundle for browsers.
    """
    return render_page(
        "cohort.html",
        "cohort.js",
        # The small pictures are files in the folders of the cases.
        images="file: 'self'",
        name=name,
        count=len(rows),
        failed=sum(not row.is_done for row in rows),
        doubtful=sum(row.is_done and bool(row.remarks) for row in rows),
        rows=[asdict(row) for row in rows],
    )

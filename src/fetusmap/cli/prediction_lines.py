"""What `fetusmap predict` prints about its cases: their quality, remarks, and warnings."""

from __future__ import annotations

from collections.abc import Sequence

from fetusmap.cli.console import out, print_table, warn
from fetusmap.scale import SUMMARY_FILE, CaseResult, changes_of, joined

SHOWN = 20
"""So many cases, and warnings, are printed; summary.csv holds all of them."""

NAMED = 3
"""So many cases that share a warning are named."""


def print_results(results: Sequence[CaseResult]) -> None:
    """Print a table of the cases; of many, those with remarks come first."""
    many = len(results) > SHOWN
    ordered = sorted(results, key=lambda r: not _remarks(r)) if many else results  # stable
    rows = []
    for result in ordered[:SHOWN]:
        if result.pose is None:
            rows.append((result.case, "failed", "", ""))
            continue
        seconds = "earlier" if result.seconds is None else f"{result.seconds:.1f} s"
        quality = f"{result.pose.quality.score:.2f}"
        rows.append((result.case, quality, seconds, _remarks(result)))
    print_table("Predictions", ("case", "quality", "time", "remarks"), rows)
    if many:
        remarked = sum(bool(_remarks(result)) for result in ordered[SHOWN:])
        what = f", {remarked} of them with remarks, see {SUMMARY_FILE}" if remarked else ""
        out.print(f"... and {len(results) - SHOWN} more{what}")
    out.print()


def print_warnings(results: Sequence[CaseResult]) -> None:
    """Print each warning of the file reader and of the estimator once, with the cases it is about.

    summary.csv holds the warnings of each case.
    """
    cases: dict[str, list[str]] = {}
    for result in results:
        if result.pose is not None:
            for warning in result.pose.provenance.warnings:
                cases.setdefault(warning, []).append(result.case)
    for warning, named in [*cases.items()][:SHOWN]:
        more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
        warn(f"{', '.join(named[:NAMED])}{more}: {warning}")
    if len(cases) > SHOWN:
        warn(f"{len(cases) - SHOWN} more warnings are in {SUMMARY_FILE}")


def _remarks(result: CaseResult) -> str:
    if result.pose is None:
        return "failed"
    return "; ".join(filter(None, (joined(result.pose.quality.reasons), changes_of(result.pose))))

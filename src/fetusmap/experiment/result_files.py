"""The results folder of an experiment: tables, numbers, errors, and the page with all of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from fetusmap.evaluate import Pairs, write_errors_csv
from fetusmap.experiment.dose import Dose
from fetusmap.experiment.profile import Profile
from fetusmap.experiment.report_page import StagesOfCode, report_page
from fetusmap.experiment.results import Results
from fetusmap.experiment.results_file import plain_from_results
from fetusmap.experiment.tables import (
    claims_table,
    dose_table,
    landmark_table,
    order_table,
    overview_table,
    paper_order,
)
from fetusmap.experiment.text_table import TextTable
from fetusmap.files import write_text

RESULTS = "results"

OPTIONAL_TABLES = {"order", "claims", "our-claims", "dose"}
"""Tables that are not written if none of their rows is finished."""


def write_results(
    results: Results,
    pairs: Mapping[str, Pairs],
    profile: Profile,
    folder: Path,
    stages: StagesOfCode | None = None,
    dose: Dose | None = None,
) -> list[Path]:
    """Write everything but the figures into a folder; equal predictions give equal bytes.

    Args:
        results: numbers of the finished rows.
        pairs: predictions and annotations of each row by its name.
        profile: profile of the experiment.
        folder: folder for the files.
        stages: states of the code with which the predictions were made.
        dose: the chosen dose of the test-time training; None if it was not chosen.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = render_results(results, profile, stages, dose)
    for name in OPTIONAL_TABLES:  # an earlier evaluation, of more rows, may have left it
        for suffix in ("md", "csv", "tex"):
            if f"{name}.{suffix}" not in texts:
                (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    for name, text in texts.items():
        write_text(folder / name, text)
    skeleton = results.skeleton
    write_errors_csv(
        folder / "errors.csv",
        pairs,
        method_column="row",
        landmarks=[skeleton.landmarks[row] for row in paper_order(skeleton)],
    )
    return [*(folder / name for name in texts), folder / "errors.csv"]


def render_results(
    results: Results,
    profile: Profile,
    stages: StagesOfCode | None = None,
    dose: Dose | None = None,
) -> dict[str, str]:
    """Return the tables, the numbers and the page as texts by the name of their file."""
    tables = tables_of(results, dose)
    texts = {
        f"{name}.{suffix}": text
        for name, table in tables.items()
        for suffix, text in (
            ("md", table.markdown()), ("csv", table.csv()), ("tex", table.latex()),
        )
    }  # fmt: skip
    texts["results.json"] = json.dumps(plain_from_results(results, profile), indent=1) + "\n"
    texts["report.md"] = report_page(results, profile, tables, stages or {})
    return texts


def tables_of(results: Results, dose: Dose | None = None) -> dict[str, TextTable]:
    """Return all tables that have a row, by the name of their files."""
    tables = {
        "table1": landmark_table(results, "mean_mm"),
        "table2": landmark_table(results, "auc_percent"),
        "overview": overview_table(results),
        "order": order_table(results),
        "claims": claims_table(results.claims, of_paper=True),
        "our-claims": claims_table(results.claims, of_paper=False),
    } | ({} if dose is None else {"dose": dose_table(dose)})
    return {name: table for name, table in tables.items() if table.rows}

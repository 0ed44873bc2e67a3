"""The tables of an experiment: the paper's two, an overview, the order of the rows, the claims."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.evaluate import (
    SUMMARY_COLUMNS,
    Interval,
    Summary,
    format_interval,
    format_number,
    format_p_value,
    summary_cells,
)
from fetusmap.experiment.claims import ClaimResult, Verdict
from fetusmap.experiment.dose import Dose
from fetusmap.experiment.published import Metric, published
from fetusmap.experiment.results import Results
from fetusmap.experiment.text_table import Cell, TextTable

CAPTIONS: dict[Metric, str] = {
    "mean_mm": "Table 1. Euclidean distance in mm, mean over the test cases; lower is better.",
    "auc_percent": "Table 2. Area under the PCK curve to 10 mm in %; higher is better.",
}
BASELINE = "Land-R4"
"""Row over which relative gains are given."""

CONTRARY = " (the paper's table says worse)"
"""Added to a verdict where the paper's table contradicts the claim of its text."""

WORDS_OF_VERDICT: dict[Verdict, str] = {
    "reproduced": "holds",
    "not reproduced": "does not hold",
    "undecided": "undecided",
}
"""Verdicts on claims that the paper does not make."""


def paper_order(skeleton: Skeleton) -> list[int]:
    """Return the rows (indices) of the paper's landmarks L1 to L16."""
    ranked = sorted(skeleton.paper_index, key=lambda name: skeleton.paper_index[name])
    return [skeleton.index(name) for name in ranked]


def landmark_table(results: Results, metric: Metric) -> TextTable:
    """Return table 1 or 2 of the paper with the numbers of this experiment.

    The paper's own numbers stand below each of its eight rows; our rows and the peers follow.
    The best of the paper's rows and the best of all rows are printed in bold.
    """
    order = paper_order(results.skeleton)
    values = {row.name: _values(results.summaries[row.name], metric, order) for row in results.rows}
    of_paper = {row.name for row in results.rows if row.group == "paper"}
    best_of_all = _best_of(list(values.values()), metric)
    best_of_paper = _best_of([values[name] for name in of_paper], metric)
    lines: list[tuple[Cell, ...]] = []
    for row in results.rows:
        interval: Interval = getattr(results.summaries[row.name], metric)
        best = best_of_paper if row.name in of_paper else best_of_all
        cells = [
            Cell(_number(value), strong=value == top)
            for value, top in zip(values[row.name], best, strict=True)
        ]
        mean = Cell(format_interval(interval), strong=cells[-1].strong)
        lines.append((Cell(row.name), *cells[:-1], mean))
        if row.name in published(metric):
            *values_in_paper, mean_in_paper = published(metric)[row.name]
            texts = (
                f"{row.name}, paper",
                *map(_number, values_in_paper),
                format_number(mean_in_paper),
            )
            lines.append(tuple(Cell(text, faint=True) for text in texts))
    columns = ("", *(f"L{n}" for n in range(1, len(order) + 1)), "mean (95 %)")
    return TextTable(CAPTIONS[metric], columns, tuple(lines))


def overview_table(results: Results) -> TextTable:
    """Return a table with all metrics of each row."""
    lines = (
        tuple(map(Cell, (row.name, *summary_cells(results.summaries[row.name]))))
        for row in results.rows
    )
    columns = ("", *SUMMARY_COLUMNS)
    return TextTable("All metrics, with 95 % intervals by subject.", columns, tuple(lines))


def order_table(results: Results) -> TextTable:
    """Return the place and relative gain of each row of the paper, here and in the paper.

    These two may be compared between simulated and recorded volumes; millimetres may not.
    """
    names = [row.name for row in results.rows if row.group == "paper"]
    lines: list[tuple[Cell, ...]] = []
    signs: dict[Metric, float] = {"mean_mm": -1.0, "auc_percent": 1.0}
    for name in names if BASELINE in names else ():
        cells = [name]
        for metric, better in signs.items():
            here = {n: getattr(results.summaries[n], metric).value for n in names}
            there = {n: published(metric)[n][-1] for n in names}
            for values in (here, there):
                place = 1 + sum(better * v > better * values[name] for v in values.values())
                cells += [f"{place}", _gain(better * values[name], better * values[BASELINE])]
        lines.append(tuple(map(Cell, cells)))
    columns = tuple(
        f"{metric} {where}: {what}"
        for metric in ("mm", "AUC")
        for where in ("here", "paper")
        for what in ("place", "gain %")
    )
    title = f"Order and relative gain over {BASELINE}: positive is better."
    return TextTable(title, ("", *columns), tuple(lines))


def claims_table(results: Sequence[ClaimResult], *, of_paper: bool) -> TextTable:
    """Return a table of claims with their paired differences, the paper's, and the verdicts.

    Args:
        results: results of all claims.
        of_paper: whether the table is about the claims of the paper, or about the others.
    """
    lines = []
    for one in results:
        if (one.published_mm is not None) != of_paper:
            continue
        verdicts = [one.verdict_mm, one.verdict_auc]
        against = [one.against_table_mm, one.against_table_auc]
        words = [
            f"{each}{CONTRARY * contrary}" if of_paper else WORDS_OF_VERDICT[each]
            for each, contrary in zip(verdicts, against, strict=True)
        ]
        cells = [
            one.claim.words,
            f"{one.claim.better} minus {one.claim.worse}",
            *([_signed(one.published_mm)] if of_paper else []),
            format_interval(one.mean_mm.difference, signed=True),
            format_p_value(one.mean_mm.p_value),
            words[0],
            *([_signed(one.published_auc)] if of_paper else []),
            format_interval(one.auc_percent.difference, signed=True),
            format_p_value(one.auc_percent.p_value),
            words[1],
        ]
        lines.append(tuple(map(Cell, cells)))
    columns = [
        "claim", "rows", *(["paper, mm"] if of_paper else []), "here, mm", "p", "mm",
        *(["paper, AUC"] if of_paper else []), "here, AUC", "p", "AUC",
    ]  # fmt: skip
    whose = "Claims of the paper" if of_paper else "Our rows and the peers"
    title = (
        f"{whose}: paired differences on the same test cases, with 95 % intervals and p values of "
        "Wilcoxon's test over subjects."
    )
    return TextTable(title, tuple(columns), tuple(lines))


def dose_table(dose: Dose) -> TextTable:
    """Return the mean error after each step of the test-time training, by learning rate."""
    count = len(next(iter(dose.errors_mm.values())))
    lines = [
        (
            Cell(name),
            *(
                Cell(
                    format_number(error),
                    strong=(float(name), step) == (dose.learning_rate, dose.iterations),
                )
                for step, error in enumerate(errors)
            ),
        )
        for name, errors in dose.errors_mm.items()
    ]
    title = (
        "Dose of the test-time training: mean error in mm before the first step and after each "
        f"step, on {dose.cases} training cases that the network was not trained on. The rows "
        "SSL-tuned use the dose in bold; the paper's is 0.0005 with 6 steps."
    )
    columns = ("learning rate", "before", *map(str, range(1, count)))
    return TextTable(title, columns, tuple(lines))


def _gain(value: float, baseline: float) -> str:
    """Return the gain over a baseline in percent, or a dash if it cannot be computed."""
    if not baseline or not np.isfinite([value, baseline]).all():
        return "-"
    return f"{round(100 * (value - baseline) / abs(baseline)):+d}"


def _values(summary: Summary, metric: Metric, order: list[int]) -> list[float]:
    each = {"mean_mm": summary.landmark_mean_mm, "auc_percent": summary.landmark_auc_percent}
    interval: Interval = getattr(summary, metric)
    return [*(each[metric][row] for row in order), interval.value]


def _best_of(rows: list[list[float]], metric: Metric) -> list[float]:
    """Return the best value of each column; NaN, which nothing equals, if no row has a value."""
    pick = np.fmin if metric == "mean_mm" else np.fmax
    return [float(value) for value in pick.reduce(np.array(rows), axis=0)] if rows else []


def _number(value: float) -> str:
    return f"{value:.1f}" if 10 <= abs(round(value, 2)) < np.inf else format_number(value)


def _signed(value: float | None) -> str:
    return "-" if value is None else format_number(value, signed=True)

"""The results of an experiment as files: tables, numbers, and a page with all of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fetusmap.evaluate import Interval
from fetusmap.experiment.profile import Profile
from fetusmap.experiment.results import Results, Tested
from fetusmap.experiment.table import Table
from fetusmap.experiment.tables import (
    claims_table,
    landmark_table,
    order_table,
    overview_table,
    paper_order,
)
from fetusmap.files.tables import write_rows
from fetusmap.files.writing import write_text

RESULTS = "results"
StatesOfCode = Mapping[str, Sequence[str]]
"""Hash of the code to the stages of an experiment that it has done."""

EMPTIABLE = {"order", "claims", "our-claims"}
"""Tables that are not written where the rows that they are about are not finished."""

VERDICTS = (
    "*Reproduced*: the interval lies on the side of zero on which the difference in the paper's "
    "own table lies; *not reproduced*: on the other side; *undecided*: it holds zero, whatever p "
    "says, which is about another question, the median of the differences. Each claim is judged by "
    "itself, without a correction for their number; the intervals are over test subjects, and "
    "another training seed would move the rows as well. The mean error is over what was found: "
    "read it beside the misses."
)
FIGURES = {
    "figure-1c.png": "All test poses in the body's own frame (as figure 1c of the paper).",
    "figure-5.png": "PCK curves with 95 % bands (as figure 5).",
    "figure-6.png": "Three cases, chosen by the quartiles of the first row's error (as figure 6). "
    "Numbers on the segments are lengths in mm; red ones are errors above 5 mm.",
}


def write_results(
    results: Results, profile: Profile, folder: Path, states: StatesOfCode | None = None
) -> list[Path]:
    """Write everything but the figures into a folder; the same bytes for the same predictions.

    Args:
        results: to be written.
        profile: of the experiment.
        folder: for the files.
        states: of the code that the predictions were made with, told where they are several.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables = tables_of(results)
    for name in EMPTIABLE - set(tables):  # an earlier evaluation, of more rows, may have left it
        for suffix in ("md", "csv", "tex"):
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    texts = {
        f"{name}.{suffix}": text
        for name, table in tables.items()
        for suffix, text in (
            ("md", table.markdown()), ("csv", table.csv()), ("tex", table.latex()),
        )
    }  # fmt: skip
    texts["results.json"] = json.dumps(plain_results(results, profile), indent=1) + "\n"
    texts["report.md"] = report_page(results, profile, tables, states or {})
    for name, text in texts.items():
        write_text(folder / name, text)
    _write_errors(results, folder / "errors.csv")
    return [*(folder / name for name in texts), folder / "errors.csv"]


def tables_of(results: Results) -> dict[str, Table]:
    """File name to table."""
    tables = {
        "table1": landmark_table(results, "mean_mm"),
        "table2": landmark_table(results, "auc_percent"),
        "overview": overview_table(results),
        "order": order_table(results),
        "claims": claims_table(results.tested, of_paper=True),
        "our-claims": claims_table(results.tested, of_paper=False),
    }
    return {name: table for name, table in tables.items() if table.rows}


def report_page(
    results: Results, profile: Profile, tables: dict[str, Table], states: StatesOfCode
) -> str:
    """One page of Markdown: what differs from the paper first, then tables and figures."""
    cases = len(next(iter(results.pairs.values())).cases)
    parts = [
        f"# The paper's experiment, profile {profile.name}",
        f"Simulated data: {cases} test fetuses of {profile.cases}, seed {profile.seed}. In italics "
        "the paper's own numbers, which are of recorded volumes: compare orders and relative "
        "gains, never millimetres.",
        f"Landmarks: {_landmarks(results)}.",
        "What differs from the paper:",
        "\n".join(f"- {line}" for line in profile.differences),
    ]
    if results.unfinished:
        parts.append(f"Unfinished rows: {', '.join(results.unfinished)}.")
    if len(states) > 1:
        made = [f"{', '.join(stages)} ({code[:8]})" for code, stages in states.items()]
        parts.append(f"Not all was made with one state of the code: {'; '.join(made)}.")
    for name, table in tables.items():
        parts += [table.markdown().rstrip(), *([VERDICTS] if name == "claims" else [])]
    told = [f"- {row.name}: {row.about}" for row in results.rows if row.about]
    if told:
        parts += ["Rows that are not the paper's:", "\n".join(told)]
    parts += [f"![{words}]({name})\n\n{words}" for name, words in FIGURES.items()]
    return "\n\n".join(parts) + "\n"


def _landmarks(results: Results) -> str:
    skeleton = next(iter(results.pairs.values())).skeleton
    names = (skeleton.landmarks[row].replace("_", " ") for row in paper_order(skeleton))
    return ", ".join(f"L{number} {name}" for number, name in enumerate(names, start=1))


def plain_results(results: Results, profile: Profile) -> dict[str, Any]:
    """All numbers, ready for JSON."""
    return {
        "profile": profile.model_dump(mode="json"),
        "differences": list(profile.differences),
        "unfinished": list(results.unfinished),
        "rows": {
            row.name: {"group": row.group, "about": row.about}
            | _plain(asdict(results.summaries[row.name]))
            for row in results.rows
        },
        "claims": [_plain_claim(one) for one in results.tested],
    }


def _plain_claim(one: Tested) -> dict[str, Any]:
    return {
        "claim": one.claim.words,
        "better": one.claim.better,
        "worse": one.claim.worse,
        "mean_mm": _plain(one.mean_mm.difference),
        "verdict_mm": one.verdict_mm,
        "auc_percent": _plain(one.auc_percent.difference),
        "verdict_auc": one.verdict_auc,
        "p_value_mm": float(f"{one.mean_mm.p_value:.3g}"),
        "p_value_auc": float(f"{one.auc_percent.p_value:.3g}"),
        "published_mm": one.published_mm,
        "published_auc": one.published_auc,
    }


def _plain(value: Any) -> Any:
    """Rounded, and null for what is not a number."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (tuple, list, Interval)):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return round(value, 4) if abs(value) < float("inf") else None
    return value


def _write_errors(results: Results, path: Path) -> None:
    """Every error, so that anyone can compute another statistic."""
    skeleton = next(iter(results.pairs.values())).skeleton
    order = paper_order(skeleton)
    names = [skeleton.landmarks[row] for row in order]
    lines = [
        {"row": name, "case": case}
        | {n: round(float(e), 3) for n, e in zip(names, errors[order], strict=True) if e == e}
        for name, pairs in results.pairs.items()
        for case, errors in zip(pairs.cases, pairs.errors_mm, strict=True)
    ]
    write_rows(path, ("row", "case", *names), lines)

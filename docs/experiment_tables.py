"""Make the tables of the documentation pages about the experiment from its result files."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from fetusmap.experiment import published

HERE = Path(__file__).parent
RESULTS = HERE / "experiment" / "cpu" / "results.json"
README = HERE.parent / "README.md"
BEGIN, END = "<!-- experiment: begin -->", "<!-- experiment: end -->"
GROUPS = {"paper": "as in the paper", "ours": "ours", "peer": "peer"}


def headline_table(results: dict[str, Any], published: dict[str, float]) -> str:
    """Markdown: every row's mean error, area and exchanged pairs, the paper's error beside."""
    lines = [
        "| row | source | mean, mm | AUC to 10 mm, % | pairs exchanged, % | in the paper, mm |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for name, row in results["rows"].items():
        in_paper = f"{published[name]:.2f}" if name in published else ""
        cells = [_interval(row[key]) for key in ("mean_mm", "auc_percent", "swap_percent")]
        lines.append(f"| {name} | {GROUPS[row['group']]} | {' | '.join(cells)} | {in_paper} |")
    return "\n".join(lines) + "\n"


def readme_part() -> str:
    """What stands between the marks of the README."""
    means = {name: values[-1] for name, values in published("mean_mm").items()}
    results = json.loads(RESULTS.read_text())
    profile = results["profile"]
    unfinished = results["unfinished"]
    rest = f" Unfinished rows: {', '.join(unfinished)}." if unfinished else ""
    return (
        f"{BEGIN}\n{headline_table(results, means)}\n"
        f"*{profile['cases'] - profile['training_cases']} simulated test fetuses, seed "
        f"{profile['seed']}, profile `{profile['name']}`; brackets are 95 % intervals by subject. "
        "The paper's numbers were measured on recorded volumes: compare the order of the rows, "
        f"not the millimetres.{rest}*\n{END}"
    )


def _interval(values: list[float | None]) -> str:
    value, low, high = ("-" if x is None else f"{x:.1f}" for x in values)
    return f"{value} ({low} to {high})"


def take_over(run: Path) -> None:
    """Copy the results and manifests of a finished experiment beside this page."""
    if not (run / "manifests" / "draw.json").exists():
        raise SystemExit(f"{run}: expected a finished experiment, found none of its figures")
    profile = json.loads((run / "results" / "results.json").read_text())["profile"]["name"]
    place = HERE / "experiment" / profile
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(run / "results", place)
    shutil.copytree(
        run / "manifests", place / "manifests", ignore=shutil.ignore_patterns("*.begun")
    )


def main() -> None:
    """Take over a run, if one is given, and write the README's part anew."""
    if len(sys.argv) > 1:
        take_over(Path(sys.argv[1]))
    text = README.read_text()
    start, stop = text.index(BEGIN), text.index(END) + len(END)
    README.write_text(text[:start] + readme_part() + text[stop:])


if __name__ == "__main__":
    main()

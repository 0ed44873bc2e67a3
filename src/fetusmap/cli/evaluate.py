"""`fetusmap evaluate`: how far predictions are from annotations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from fetusmap.anatomy import Skeleton
from fetusmap.cli.console import out, print_table, warn
from fetusmap.dataset import Case, load_dataset
from fetusmap.errors import BadInput
from fetusmap.evaluate import (
    SUMMARY_COLUMNS,
    Pairs,
    auc_percent,
    compare,
    find_poses,
    interval_words,
    mean_error_mm,
    p_words,
    pair_with_truth,
    summarize,
    summary_cells,
)
from fetusmap.files.tables import write_rows
from fetusmap.report import draw_pck, save_figure

NAMED = 5

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command(
    epilog="Examples:\n\n  fetusmap evaluate results --truth DATASET\n\n  fetusmap evaluate before "
    "after --truth DATASET --split test -o comparison"
)
def evaluate(
    predictions: Annotated[
        list[Path],
        typer.Argument(
            metavar="PREDICTIONS...",
            help="Folders that predict wrote, or folders of pose files named after their cases.",
        ),
    ],
    truth: Annotated[Path, typer.Option(metavar="DATASET", help="With the annotations.")],
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the dataset; all cases unless told.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Tables and curves go into this folder."),
    ] = None,
) -> int:
    """Measure how far predicted poses are from annotations: errors, curves, sides, intervals.

    The intervals of 95 % come from drawing subjects with replacement. With several folders each is
    compared with the first, case by case. A case without a prediction counts as missed.
    """
    dataset = load_dataset(truth)
    cases = dataset.cases if split is None else dataset.split(split)
    methods = {
        name: _pairs(folder, cases, dataset.skeleton)
        for name, folder in _named(predictions).items()
    }
    rows = [(name, *summary_cells(summarize(pairs))) for name, pairs in methods.items()]
    columns = ("method", *SUMMARY_COLUMNS)
    # Methods side by side: a terminal has more lines than room for intervals in one.
    turned = list(zip(columns, *rows, strict=True))
    count = len(next(iter(methods.values())).cases)
    print_table(f"{count} cases of {truth}", ("", *turned[0][1:]), turned[1:])
    if len(methods) > 1:
        title = f"Minus {next(iter(methods))}, case by case"
        print_table(title, ("", "mean, mm", "p (Wilcoxon)", "AUC, %"), _differences(methods))
    if output is not None:
        _write(output, methods, columns, rows)
        out.print(f"\nsee {output}")
    return 0


def _named(folders: list[Path]) -> dict[str, Path]:
    """By their own names, with their parents' where two are called alike."""
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [f"{folder.resolve().parent.name}/{folder.resolve().name}" for folder in folders]
    if len(set(names)) < len(names):
        raise BadInput(
            "PREDICTIONS",
            expected="folders that differ in their names",
            found="two that are called alike",
            remedy="rename one, or give each once",
        )
    return dict(zip(names, folders, strict=True))


def _pairs(folder: Path, cases: tuple[Case, ...], skeleton: Skeleton) -> Pairs:
    found = find_poses(folder, skeleton)
    pairs = pair_with_truth(found, cases)
    missing = pairs.without_prediction
    if len(missing) == len(pairs.cases):
        raise BadInput(
            folder,
            expected=f"predictions of the dataset's cases, such as {pairs.cases[0]}",
            found=f"others, such as {next(iter(found))}",
            remedy="give the dataset that was predicted, or another --split",
        )
    if missing:
        named = ", ".join(missing[:NAMED]) + ", ..." * (len(missing) > NAMED)
        count = f"{len(missing)} case{'s' * (len(missing) > 1)}"
        warn(f"{folder}: {count} without a prediction, counted as missed: {named}")
    return pairs


def _differences(methods: Mapping[str, Pairs]) -> list[tuple[str, ...]]:
    (_, first), *others = methods.items()
    rows: list[tuple[str, ...]] = []
    for name, pairs in others:
        mean, auc = (
            compare(pairs.errors_mm, first.errors_mm, statistic, subjects=first.subjects)
            for statistic in (mean_error_mm, auc_percent)
        )
        words = [interval_words(one.difference, signed=True) for one in (mean, auc)]
        rows.append((name, words[0], p_words(mean.p_value), words[1]))
    return rows


def _write(
    folder: Path,
    methods: Mapping[str, Pairs],
    columns: tuple[str, ...],
    rows: list[tuple[str, ...]],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [dict(zip(columns, row, strict=True)) for row in rows]
    write_rows(folder / "summary.csv", columns, lines)
    first = next(iter(methods.values()))
    landmarks = first.skeleton.landmarks
    each = [
        {"method": name, "case": case}
        | {
            landmark: None if np.isnan(error) else round(float(error), 3)
            for landmark, error in zip(landmarks, errors, strict=True)
        }
        for name, pairs in methods.items()
        for case, errors in zip(pairs.cases, pairs.errors_mm, strict=True)
    ]
    write_rows(folder / "errors.csv", ("method", "case", *landmarks), each)
    curves = {"all landmarks": {name: pairs.errors_mm for name, pairs in methods.items()}}
    save_figure(draw_pck(curves, subjects=first.subjects), folder / "pck.png")

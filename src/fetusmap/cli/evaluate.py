"""`fetusmap evaluate`: measure how far predictions are from annotations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from fetusmap.anatomy import built_in_skeletons, load_skeleton
from fetusmap.cli.console import out, print_table, warn
from fetusmap.cli.evaluated_cases import (
    UNMATCHED_FILE,
    Matching,
    describe_cases,
    load_annotations,
    pair_cases,
    write_unmatched,
)
from fetusmap.cli.options import SkeletonName, skeleton_named
from fetusmap.errors import BadInput
from fetusmap.evaluate import (
    SUMMARY_COLUMNS,
    Pairs,
    Summary,
    abbreviate_names,
    auc_percent,
    compare,
    describe_landmarks,
    format_interval,
    format_number,
    format_p_value,
    mean_error_mm,
    summarize,
    summary_cells,
    write_errors_csv,
)
from fetusmap.files import write_rows
from fetusmap.report import draw_pck, save_figure

EVALUATION_FILE = "evaluation.csv"
"""Not summary.csv, which is the table of `predict` and may be in the same folder."""

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command(
    epilog="Examples:\n\n  fetusmap evaluate results --truth DATASET\n\n  fetusmap evaluate before "
    "after --truth DATASET --split test -o comparison\n\n  fetusmap evaluate results --truth "
    "annotations.csv --names names.csv"
)
def evaluate(
    predictions: Annotated[
        list[Path],
        typer.Argument(
            metavar="PREDICTIONS...",
            help="Folders that predict wrote, folders of pose files named after their cases, "
            "tables of landmarks, or datasets.",
        ),
    ],
    truth: Annotated[
        Path,
        typer.Option(
            metavar="DATASET|FOLDER|TABLE",
            help="Dataset with the annotations, or whatever holds predictions.",
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Split of the dataset; without it, all of its cases."),
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="CSV with the columns prediction and truth, for cases whose names differ.",
        ),
    ] = None,
    match: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="What is the same in the names of a prediction and its annotation, for example "
            r"(.+)_0000 or (\d+).",
        ),
    ] = None,
    landmarks: Annotated[
        str | None,
        typer.Option(
            metavar="SKELETON|NAME,NAME",
            help="Compare only these landmarks: those of a skeleton, such as fetus-16, or some by "
            "name.",
        ),
    ] = None,
    skeleton: SkeletonName = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder into which tables and curves are written."),
    ] = None,
) -> int:
    """Measure how far predicted poses are from annotations: errors, curves, sides, intervals.

    The 95 % intervals come from drawing subjects with replacement. Several folders are each
    compared with the first one, case by case. A case without a prediction counts as missed.
    Predictions and annotations are compared over the landmarks whose names they share, such as
    those of fetus-16 if one side has the landmarks of fetus-22.

    Names of cases that differ only by a usual ending, such as case_0000 and case, belong together.
    """
    annotations = load_annotations(truth, split, skeleton_named(skeleton))
    matching = Matching(names, match)
    wanted = None if landmarks is None else _named_landmarks(landmarks)
    paired = {
        name: pair_cases(place, annotations, matching)
        for name, place in _by_name(predictions).items()
    }
    methods = _comparable(
        {name: _restricted(name, each.pairs, wanted) for name, each in paired.items()}
    )
    summaries = {name: summarize(pairs) for name, pairs in methods.items()}
    rows = [(name, *summary_cells(summary)) for name, summary in summaries.items()]
    columns = ("method", *SUMMARY_COLUMNS)
    # Methods side by side: a terminal is not wide enough for a row of five intervals.
    transposed = list(zip(columns, *rows, strict=True))
    first = next(iter(methods.values()))
    title = f"{len(first.cases)} cases of {truth}"
    print_table(title, ("", *transposed[0][1:]), transposed[1:])
    by_landmark = _by_landmark(first.skeleton.landmarks, summaries)
    print_table("Mean error by landmark, mm", ("", *summaries), by_landmark)
    out.print(f"compared: {describe_landmarks(first.skeleton.landmarks)}")
    for name, each in paired.items():
        out.print(f"{name}: {describe_cases(each)}")
    if len(methods) > 1:
        title = f"Difference from {next(iter(methods))}, case by case"
        print_table(title, ("", "mean, mm", "p (Wilcoxon)", "AUC, %"), _differences(methods))
    if output is not None:
        _write(output, methods, columns, rows)
        write_unmatched(output / UNMATCHED_FILE, paired)
        out.print(f"\nsee {output}")
    return 0


def _by_name(folders: list[Path]) -> dict[str, Path]:
    """Return the folders by name, with the parent's name where two have the same one."""
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [f"{folder.resolve().parent.name}/{folder.resolve().name}" for folder in folders]
    if len(set(names)) < len(names):
        raise BadInput(
            "PREDICTIONS",
            expected="folders that differ in their names",
            found="two of one name",
            remedy="rename one, or give each once",
        )
    return dict(zip(names, folders, strict=True))


def _named_landmarks(text: str) -> tuple[str, ...]:
    """Return the landmarks of a skeleton, or those that the text names, separated by commas."""
    if text in built_in_skeletons() or text.endswith(".json"):
        return load_skeleton(text).landmarks
    return tuple(name.strip() for name in text.split(","))


def _by_landmark(names: tuple[str, ...], summaries: Mapping[str, Summary]) -> list[tuple[str, ...]]:
    means = [summary.landmark_mean_mm for summary in summaries.values()]
    return [
        (name.replace("_", " "), *map(format_number, row))
        for name, *row in zip(names, *means, strict=True)
    ]


def _restricted(method: str, pairs: Pairs, landmarks: tuple[str, ...] | None) -> Pairs:
    """Return pairs over the wanted landmarks; warn if each side has some that the other lacks."""
    if landmarks is not None:
        return pairs.restricted_to(landmarks)
    if not (pairs.only_found and pairs.only_true):  # one side has all landmarks of the other
        return pairs
    left_out = [
        f"only {where}: {', '.join(names)}"
        for names, where in ((pairs.only_found, "predicted"), (pairs.only_true, "annotated"))
    ]
    shared = f"{len(pairs.skeleton)} landmark" + "s" * (len(pairs.skeleton) > 1)
    warn(
        f"{method}: compared over the {shared} that predictions and annotations share; "
        + "; ".join(left_out)
    )
    return pairs


def _comparable(methods: Mapping[str, Pairs]) -> dict[str, Pairs]:
    """Restrict all methods to the landmarks that each of them shares with the annotations."""
    names = [pairs.skeleton.landmarks for pairs in methods.values()]
    shared = [name for name in names[0] if all(name in others for others in names)]
    if not shared:
        raise BadInput(
            "PREDICTIONS",
            expected="folders whose predictions have a landmark in common",
            found=" and ".join(abbreviate_names(each) for each in names),
            remedy="evaluate them one by one",
        )
    if any(len(each) > len(shared) for each in names):
        landmarks = "landmark" + "s" * (len(shared) > 1)
        warn(f"methods are compared over the {len(shared)} {landmarks} that all of them predict")
    return {name: pairs.restricted_to(shared) for name, pairs in methods.items()}


def _differences(methods: Mapping[str, Pairs]) -> list[tuple[str, ...]]:
    (_, first), *others = methods.items()
    rows: list[tuple[str, ...]] = []
    for name, pairs in others:
        mean, auc = (
            compare(pairs.errors_mm, first.errors_mm, statistic, subjects=first.subjects)
            for statistic in (mean_error_mm, auc_percent)
        )
        words = [format_interval(one.difference, signed=True) for one in (mean, auc)]
        rows.append((name, words[0], format_p_value(mean.p_value), words[1]))
    return rows


def _write(
    folder: Path,
    methods: Mapping[str, Pairs],
    columns: tuple[str, ...],
    rows: list[tuple[str, ...]],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [dict(zip(columns, row, strict=True)) for row in rows]
    write_rows(folder / EVALUATION_FILE, columns, lines)
    write_errors_csv(folder / "errors.csv", methods)
    curves = {"all landmarks": {name: pairs.errors_mm for name, pairs in methods.items()}}
    subjects = next(iter(methods.values())).subjects
    save_figure(draw_pck(curves, subjects=subjects), folder / "pck.png")

"""`fetusmap train`: the networks from simulated volumes or a dataset, and the model of both."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from fetusmap.cli.console import err, out
from fetusmap.documents import parse_document
from fetusmap.errors import BadInput
from fetusmap.train import ProductConfig, TrainingConfig, train_product

COARSE_PART = 0.4
"""Of the minutes; the first pass has the easier task."""

DEFAULT_STEPS = {"coarse": 6000, "canonical": 7500}

SETTABLE = [name for name in TrainingConfig.model_fields if name not in ("stage", "dataset")]

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command(
    epilog="Examples:\n\n  fetusmap train -o run\n\n  fetusmap train -o run --minutes 30\n\n  "
    "fetusmap train DATASET -o run --minutes 120 --set learning_rate=1e-3 --set canonical.batch=4"
)
def train(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder of the run; the model goes to model/."),
    ],
    dataset: Annotated[
        Path | None, typer.Argument(help="Dataset to train on; simulated volumes without it.")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="Of training in all; without it, the steps of the model that ships."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="One field of the configuration, of both networks or, with coarse. or canonical. "
            "in front, of one.",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder for cases, 1 MB each; cases/ in the run if unset."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that make samples.")] = 2,
) -> int:
    """Train the networks that `predict` uses, learn how far to trust them, and write a model.

    Repeat the command to go on with a run that was broken off: its losses are the same as if it
    had not been.
    """
    if minutes is not None and not 0 < minutes < inf:
        raise BadInput(
            "--minutes", expected="more than 0", found=f"{minutes}", remedy="try --minutes 60"
        )
    config = ProductConfig(
        _config("coarse", COARSE_PART, dataset, minutes, settings or []),
        _config("canonical", 1 - COARSE_PART, dataset, minutes, settings or []),
        name=output.resolve().name,
    )
    with Progress(
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    ) as progress:
        task = progress.add_task("making the first cases")

        def report(name: str, metrics: dict[str, float]) -> None:
            progress.update(task, description=_line(name, metrics))
            if "validation_mm" in metrics:
                out.print(
                    f"{name} step {metrics['step']}: held-out loss "
                    f"{metrics['validation_loss']:.3f}, "
                    f"median error {metrics['validation_median_mm']:.2f} mm"
                )

        card = train_product(
            config, output, cache or output / "cases", workers=workers, report=report
        )
    out.print(
        f"{output / 'model'}: mean error {card.metrics['mean_mm']} mm over "
        f"{card.metrics['cases']} held-out cases; use it with --model {output / 'model'}"
    )
    return 0


def _line(name: str, metrics: dict[str, float]) -> str:
    steps = metrics.get("steps")
    planned = f"/{steps:.0f}" if steps else ""
    left = ""
    if steps:
        # The pace of this run, so that a run that goes on does not count its earlier steps.
        minutes = (steps - metrics["step"]) * metrics["pace"] / 60
        left = f", {minutes:.0f} min left"
    return f"{name} {metrics['step']:.0f}{planned}: loss {metrics['loss']:.3f}{left}"


def _config(
    stage: str, part: float, dataset: Path | None, minutes: float | None, settings: list[str]
) -> TrainingConfig:
    plain: dict[str, Any] = {"stage": stage, "dataset": None if dataset is None else str(dataset)}
    if minutes is None:
        plain["steps"] = DEFAULT_STEPS[stage]
    else:
        plain["minutes"] = minutes * part
    for text in settings:
        key, equals, value = text.partition("=")
        where, dot, name = key.rpartition(".")
        known = name in SETTABLE and (not dot or where in DEFAULT_STEPS)
        if not equals or not known:
            raise BadInput(
                "--set",
                expected=f"KEY=VALUE with a key of {', '.join(SETTABLE)}",
                found=repr(text),
                remedy="try learning_rate=1e-3",
            )
        if where in ("", stage):
            plain[name] = value.split(",") if name == "widths" else value
    return parse_document(TrainingConfig, plain, "--set")

"""`fetusmap train`: train networks on simulated volumes or a dataset, and write a model."""

from __future__ import annotations

from contextlib import nullcontext
from enum import StrEnum
from itertools import chain
from math import inf
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from fetusmap.cli.console import err, out, warn
from fetusmap.dataset import is_dataset, load_dataset
from fetusmap.errors import BadInput
from fetusmap.model import ModelCard
from fetusmap.network import device_named
from fetusmap.train import (
    CONFIG_OF_STAGE,
    PAPER_STEPS,
    CanonicalConfig,
    CoarseConfig,
    LandConfig,
    ProductConfig,
    Report,
    TensorBoard,
    fit_into_memory,
    parse_training_config,
    train_product,
    train_single_pass,
)

COARSE_PART = 0.4
"""Fraction of the minutes for the first pass, which has the easier task."""

DEFAULT_STEPS = {"coarse": 6000, "canonical": 7500, "land": PAPER_STEPS}

PLANNED = ("spacing_mm", "checkpointing")
"""Fields that `--memory` chooses."""

NOT_SETTABLE = ("stage", "dataset")

Configs = tuple[CoarseConfig, CanonicalConfig] | tuple[LandConfig]

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


class Profile(StrEnum):
    """The kind of model to train."""

    product = "product"
    land = "land"


MAX_NAMED = 10
"""Number of cases that a warning names."""

STAGES = {Profile.product: ("coarse", "canonical"), Profile.land: ("land",)}


@app.command(
    epilog="Examples:\n\n  fetusmap train -o run\n\n  fetusmap train -o run --minutes 30\n\n  "
    "fetusmap train DATASET -o run --minutes 120 --set learning_rate=1e-3 --set canonical.batch=4"
    "\n\n  fetusmap train -o run --profile land --memory 12GB"
)
def train(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder of the run; the model goes to model/."),
    ],
    dataset: Annotated[
        Path | None, typer.Argument(help="Dataset to train on; simulated volumes without it.")
    ] = None,
    profile: Annotated[
        Profile,
        typer.Option(help="product: the networks that predict uses; land: the paper's network."),
    ] = Profile.product,
    minutes: Annotated[
        float | None,
        typer.Option(help="Duration of the training; without it, the default number of steps."),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="With --profile land: memory for a training step, such as 12GB. The largest input "
            "that fits is taken, with the cheapest checkpointing that allows it."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Set one field of the configuration for all networks or, with coarse., canonical. "
            "or land. in front, for one.",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder for prepared cases, 1 MB each; cases/ in the run if unset."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Number of processes that make samples.")] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the metrics for TensorBoard as well.")
    ] = False,
) -> int:
    """Train networks, calibrate their confidences, and write a model for `predict --model`.

    The model has the skeleton of the dataset. Repeat the command to continue a run that was
    interrupted: its losses are the same as without the interruption.
    """
    _check_options(profile, minutes, memory)
    configs = _configs(profile, dataset, minutes, settings or [])
    if memory is not None and len(configs) == 1:
        configs = (_fitting(configs[0], memory, settings or []),)
    _name_unchecked(configs[0].dataset)
    where = device_named(device).type
    board = TensorBoard(output) if tensorboard else None
    card = _train_visibly(configs, output, cache or output / "cases", workers, where, board)
    out.print(
        f"{output / 'model'}: mean error {card.metrics['mean_mm']} mm over "
        f"{card.metrics['cases']} held-out cases; use it with --model {output / 'model'}"
    )
    return 0


def _name_unchecked(dataset: str | None) -> None:
    """Name the cases of a dataset that are left out because their annotation is to be checked."""
    if dataset is None or not is_dataset(Path(dataset)):  # the training refuses what is no dataset
        return
    cases = load_dataset(dataset).cases
    names = [case.name for case in cases if case.to_check]
    if names:
        shown = ", ".join(names[:MAX_NAMED]) + (" and others" if len(names) > MAX_NAMED else "")
        warn(
            f"{len(names)} cases are left out because their annotation is to be checked: {shown}; "
            f"'fetusmap info {dataset}' says why, and an empty cell to_check in cases.csv takes "
            "them in"
        )


def _check_options(profile: Profile, minutes: float | None, memory: str | None) -> None:
    """Refuse options that contradict each other.

    Raises:
        BadInput: the minutes are not positive, or memory is given for networks of one size.
    """
    if minutes is not None and not 0 < minutes < inf:
        raise BadInput(
            "--minutes", expected="more than 0", found=f"{minutes}", remedy="try --minutes 60"
        )
    if memory is not None and profile is not Profile.land:
        raise BadInput(
            "--memory",
            expected="--profile land, whose steps can be made smaller",
            found=f"--profile {profile}, which takes about 1.5 GB",
            remedy="leave --memory out",
        )


def _train_visibly(
    configs: Configs,
    output: Path,
    cache: Path,
    workers: int,
    device: str,
    board: TensorBoard | None,
) -> ModelCard:
    """Train with a progress line, and print a line for each validation."""
    with (
        Progress(
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        ) as progress,
        board or nullcontext(),
    ):
        task = progress.add_task("making the first cases")

        def report(name: str, metrics: dict[str, float]) -> None:
            progress.update(task, description=_line(name, metrics))
            if board is not None:
                board(name, metrics)
            if "validation_mm" in metrics:
                out.print(
                    f"{name} step {metrics['step']}: held-out loss "
                    f"{metrics['validation_loss']:.3f}, "
                    f"median error {metrics['validation_median_mm']:.2f} mm"
                )

        return _train(configs, output, cache, workers, report, device)


def _train(
    configs: Configs, output: Path, cache: Path, workers: int, report: Report, device: str
) -> ModelCard:
    name = output.resolve().name
    if len(configs) == 1:
        return train_single_pass(
            configs[0], output, cache, name=name, workers=workers, report=report, device=device
        )
    config = ProductConfig(*configs, name=name)
    return train_product(config, output, cache, workers=workers, report=report, device=device)


def _configs(
    profile: Profile, dataset: Path | None, minutes: float | None, settings: list[str]
) -> Configs:
    """Return the configuration of each network.

    Raises:
        BadInput: a setting is wrong, or contradicts an option.
    """
    _check_settings(settings, STAGES[profile])
    if minutes is not None and any(_name_of(text) == "steps" for text in settings):
        raise BadInput(
            "--minutes",
            expected="either minutes or steps",
            found="both",
            remedy="leave one of the two out",
        )
    parsed = [
        parse_training_config(_plain(stage, dataset, minutes, settings), "--set")
        for stage in STAGES[profile]
    ]
    for config in parsed:
        if config.dataset is None and config.case_seed == config.validation_seed:
            raise BadInput(
                "--set",
                expected="a case_seed other than the validation_seed, whose cases are held out",
                found=f"{config.case_seed} for both",
                remedy="choose another",
            )
    match parsed:
        case [CoarseConfig() as coarse, CanonicalConfig() as canonical]:
            return coarse, canonical
        case [LandConfig() as land]:
            return (land,)
    raise AssertionError(profile)


def _fitting(config: LandConfig, memory: str, settings: list[str]) -> LandConfig:
    """Return the configuration whose training step fits into memory, and print the plan.

    Raises:
        BadInput: a setting contradicts the plan, or nothing fits.
    """
    given = [text for text in settings if _name_of(text) in PLANNED]
    if given:
        raise BadInput(
            "--memory",
            expected="spacing_mm and checkpointing left to the plan",
            found=given[0],
            remedy="leave one of the two out",
        )
    fitting, found = fit_into_memory(config, memory)
    out.print(
        f"{memory}: checkpointing {found.policy}, voxels of {fitting.spacing_mm} mm, "
        f"peak {found.predicted_peak_bytes / 1e9:.1f} GB for the largest volume "
        f"({' x '.join(map(str, found.shape))})"
    )
    return fitting


def _line(name: str, metrics: dict[str, float]) -> str:
    steps = metrics.get("steps")
    planned = f"/{steps:.0f}" if steps else ""
    left = ""
    if steps:
        # The pace of this process: a continued run does not count its earlier steps.
        minutes = (steps - metrics["step"]) * metrics["pace"] / 60
        left = f", {minutes:.0f} min left"
    return f"{name} {metrics['step']:.0f}{planned}: loss {metrics['loss']:.3f}{left}"


def _plain(
    stage: str, dataset: Path | None, minutes: float | None, settings: list[str]
) -> dict[str, Any]:
    """Return the fields of a network's configuration that differ from their defaults."""
    plain: dict[str, Any] = {"stage": stage, "dataset": None if dataset is None else str(dataset)}
    chosen = _chosen(settings, stage)
    if minutes is None and "minutes" not in chosen:
        plain["steps"] = DEFAULT_STEPS[stage]
    else:
        part = {"coarse": COARSE_PART, "canonical": 1 - COARSE_PART}.get(stage, 1.0)
        plain |= {"steps": None, "minutes": (minutes or 0.0) * part}
    return plain | chosen


def _check_settings(settings: list[str], stages: tuple[str, ...]) -> None:
    """Check that every setting names a field, and a network that is trained.

    Raises:
        BadInput: a setting names another field or another network.
    """
    fields = {stage: _settable(stage) for stage in stages}
    for text in settings:
        key, equals, _ = text.partition("=")
        where, dot, name = key.rpartition(".")
        candidates = fields.get(where, []) if dot else list(chain(*fields.values()))
        if not equals or name not in candidates:
            keys = dict.fromkeys(chain(*fields.values()))
            raise BadInput(
                "--set",
                expected=f"KEY=VALUE with a key of {', '.join(keys)}, for one network with "
                f"{' or '.join(f'{stage}.' for stage in stages)} in front",
                found=repr(text),
                remedy="try learning_rate=1e-3",
            )


def _settable(stage: str) -> list[str]:
    return [name for name in CONFIG_OF_STAGE[stage].model_fields if name not in NOT_SETTABLE]


def _name_of(setting: str) -> str:
    return setting.partition("=")[0].rpartition(".")[2]


def _chosen(settings: list[str], stage: str) -> dict[str, Any]:
    """Return the fields that are set for a network."""
    fields: dict[str, Any] = {}
    for text in settings:
        key, _, value = text.partition("=")
        where, _, name = key.rpartition(".")
        if where in ("", stage):
            fields[name] = value.split(",") if name == "widths" else value
    return fields

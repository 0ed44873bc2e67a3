"""Models from scratch: the networks, the pose library, the calibration, the card."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import JsonValue

from fetusmap._version import __version__
from fetusmap.anatomy import load_skeleton
from fetusmap.detect import (
    Cascade,
    Detection,
    Detector,
    ModelCard,
    Pipeline,
    SinglePass,
    save_model,
)
from fetusmap.detect.cascade import turn_around
from fetusmap.evaluate import auc_percent
from fetusmap.simulate import draw_poses
from fetusmap.train.calibration import Trial, fit_calibration, try_cases, without_fetus
from fetusmap.train.cases import TrainingCase, cached, case_pool, simulated_cases
from fetusmap.train.config import TrainingConfig
from fetusmap.train.loop import train
from fetusmap.train.run_folder import RunFolder
from fetusmap.train.stages import stage_of
from fetusmap.volume import Volume

LIBRARY_POSES = 2000
LIBRARY_SEED = 5
HELD_OUT_SEED = 3
HELD_OUT_CASES = 160
EMPTY_CASES = 64
MODEL_FOLDER = "model"

Report = Callable[[str, dict[str, float]], None]


@dataclass(frozen=True)
class ProductConfig:
    """How the product's model is made.

    Attributes:
        coarse: of the network for the first pass.
        canonical: of the network for the second.
        name: of the model.
    """

    coarse: TrainingConfig
    canonical: TrainingConfig
    name: str = "default"


def train_product(
    config: ProductConfig, folder: Path, cache: Path, *, workers: int, report: Report
) -> ModelCard:
    """Train both networks, learn how far to trust them, and write the model folder.

    Go on with a run that was broken off by calling it again.

    Args:
        config: of both networks.
        folder: of the runs; the model is written into its folder `model`.
        cache: keeps the simulated cases.
        workers: processes that make samples.
        report: called with the network's name and the metrics of every step.
    """
    skeleton = load_skeleton()
    for one in (config.coarse, config.canonical):
        case_pool(one, cache, skeleton)  # before a run folder says what it is trained on
    coarse, canonical = (
        _train_detector(one, folder, cache, workers, report)
        for one in (config.coarse, config.canonical)
    )
    cascade = Cascade(skeleton, coarse, canonical, draw_poses(LIBRARY_POSES, seed=LIBRARY_SEED))

    def turned(volume: Volume, found: Detection) -> Detection:
        """How the cascade looks when it errs: the body looked at back to front."""
        assert found.frame is not None  # noqa: S101 - a cascade always has one
        return cascade.refine_frame(volume, turn_around(found.frame))

    configs = (config.coarse, config.canonical)
    return _write_model(cascade, configs, folder, cache, name=config.name, mistake=turned)


def train_single_pass(
    config: TrainingConfig, folder: Path, cache: Path, *, name: str, workers: int, report: Report
) -> ModelCard:
    """Train the paper's network, learn how far to trust it, and write the model folder.

    Args:
        config: of the stage "land".
        folder: of the run; the model is written into its folder `model`.
        cache: keeps the simulated cases.
        name: of the model.
        workers: processes that make samples.
        report: called with "land" and the metrics of every step.
    """
    skeleton = load_skeleton()
    case_pool(config, cache, skeleton)
    plain = _train_detector(config, folder, cache, workers, report)
    library = draw_poses(LIBRARY_POSES, seed=LIBRARY_SEED)
    return _write_model(SinglePass(skeleton, plain, library), (config,), folder, cache, name=name)


def _train_detector(
    config: TrainingConfig, folder: Path, cache: Path, workers: int, report: Report
) -> Detector:
    run = RunFolder(folder / config.stage, config)
    network = train(config, run, cache, workers=workers, report=partial(report, config.stage))
    stage = stage_of(config, load_skeleton())
    return Detector(network, stage.look, stage.channels)


def _write_model(
    pipeline: Pipeline,
    configs: tuple[TrainingConfig, ...],
    folder: Path,
    cache: Path,
    *,
    name: str,
    mistake: Callable[[Volume, Detection], Detection] | None = None,
) -> ModelCard:
    """Try the networks on held-out cases, with and without a fetus, and write what they are."""
    cases = list(_held_out(cache))
    trials = list(try_cases(pipeline, cases, mistake))
    rng = np.random.default_rng(HELD_OUT_SEED)
    empty = list(try_cases(pipeline, (without_fetus(case, rng) for case in cases[:EMPTY_CASES])))
    return save_model(
        pipeline,
        fit_calibration(trials, empty),
        folder / MODEL_FOLDER,
        name=name,
        made_by=_made_by(configs),
        metrics=summarize([t for t in trials if t.weight == 1.0], pipeline.skeleton.landmarks),
    )


def summarize(trials: list[Trial], landmarks: tuple[str, ...]) -> dict[str, JsonValue]:
    """Errors of what was found in the held-out cases, in all and per landmark."""
    errors = np.array([trial.errors_mm for trial in trials])
    found = np.where(np.isfinite(errors), errors, np.nan)
    columns = {
        name: column[np.isfinite(column)] for name, column in zip(landmarks, found.T, strict=True)
    }
    return {
        "cases": len(trials),
        "mean_mm": _rounded(np.nanmean(found)),
        "median_mm": _rounded(np.nanmedian(found)),
        "auc_10_mm": _rounded(auc_percent(errors)),
        "missed": int(np.isinf(errors).sum()),
        "cases_above_10_mm": int((np.nanmean(errors, axis=1) > 10).sum()),
        "wrong_sides": sum(not trial.sides_right for trial in trials),
        "mean_mm_per_landmark": {
            name: _rounded(column.mean()) if len(column) else None
            for name, column in columns.items()
        },
        "median_mm_per_landmark": {
            name: _rounded(np.median(column)) if len(column) else None
            for name, column in columns.items()
        },
    }


def _held_out(cache: Path) -> Iterator[TrainingCase]:
    make = simulated_cases(HELD_OUT_SEED)
    for number in range(HELD_OUT_CASES):
        yield cached(make, cache / f"simulated-{HELD_OUT_SEED}", number)


def _made_by(configs: tuple[TrainingConfig, ...]) -> dict[str, JsonValue]:
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "fetusmap": __version__,
        "torch": torch.__version__.split("+")[0],
        "processor": platform.machine(),
        "accelerator": accelerator,
        "training_data": "simulated volumes only",
        **{config.stage: config.model_dump(mode="json") for config in configs},
        "library_seed": LIBRARY_SEED,
        "held_out_seed": HELD_OUT_SEED,
    }


def _rounded(value: Any) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None

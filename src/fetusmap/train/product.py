"""The product's model from scratch: both networks, the pose library, the calibration, the card."""

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
from fetusmap.detect import Cascade, Detector, ModelCard, save_model
from fetusmap.evaluate import auc_percent
from fetusmap.network import UNet
from fetusmap.simulate import draw_poses
from fetusmap.train.calibration import Trial, fit_calibration, try_cases, without_fetus
from fetusmap.train.cases import TrainingCase, cached, case_pool, simulated_cases
from fetusmap.train.config import TrainingConfig
from fetusmap.train.loop import train
from fetusmap.train.run_folder import RunFolder
from fetusmap.train.stages import stage_of

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
    detectors = {}
    for one in (config.coarse, config.canonical):
        run = RunFolder(folder / one.stage, one)
        network = train(one, run, cache, workers=workers, report=partial(report, one.stage))
        stage = stage_of(one, skeleton)
        assert isinstance(network, UNet)  # noqa: S101 - both stages build it
        detectors[one.stage] = Detector(network, stage.look, stage.channels)
    cascade = Cascade(
        skeleton,
        detectors["coarse"],
        detectors["canonical"],
        draw_poses(LIBRARY_POSES, seed=LIBRARY_SEED),
    )
    cases = list(_held_out(cache))
    trials = list(try_cases(cascade, cases, turned=True))
    rng = np.random.default_rng(HELD_OUT_SEED)
    empty = list(try_cases(cascade, (without_fetus(case, rng) for case in cases[:EMPTY_CASES])))
    return save_model(
        cascade,
        fit_calibration(trials, empty),
        folder / MODEL_FOLDER,
        name=config.name,
        made_by=_made_by(config),
        metrics=summarize([t for t in trials if t.weight == 1.0], skeleton.landmarks),
    )


def summarize(trials: list[Trial], landmarks: tuple[str, ...]) -> dict[str, JsonValue]:
    """Errors on the held-out cases, in all and per landmark."""
    errors = np.array([trial.errors_mm for trial in trials])
    cases = np.nanmean(errors, axis=1)
    return {
        "cases": len(trials),
        "mean_mm": _rounded(np.nanmean(errors)),
        "median_mm": _rounded(np.nanmedian(errors)),
        "auc_10_mm": _rounded(auc_percent(errors)),
        "cases_above_10_mm": int((cases > 10).sum()),
        "wrong_sides": sum(not trial.sides_right for trial in trials),
        "mean_mm_per_landmark": dict(
            zip(landmarks, map(_rounded, np.nanmean(errors, axis=0)), strict=True)
        ),
        "median_mm_per_landmark": dict(
            zip(landmarks, map(_rounded, np.nanmedian(errors, axis=0)), strict=True)
        ),
    }


def _held_out(cache: Path) -> Iterator[TrainingCase]:
    make = simulated_cases(HELD_OUT_SEED)
    for number in range(HELD_OUT_CASES):
        yield cached(make, cache / f"simulated-{HELD_OUT_SEED}", number)


def _made_by(config: ProductConfig) -> dict[str, JsonValue]:
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "fetusmap": __version__,
        "torch": torch.__version__.split("+")[0],
        "processor": platform.machine(),
        "accelerator": accelerator,
        "training_data": "simulated volumes only",
        "coarse": config.coarse.model_dump(mode="json"),
        "canonical": config.canonical.model_dump(mode="json"),
        "library_seed": LIBRARY_SEED,
        "held_out_seed": HELD_OUT_SEED,
    }


def _rounded(value: Any) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None

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
from fetusmap.dataset import load_dataset
from fetusmap.detect import Cascade, Detection, Detector, Pipeline, SinglePass
from fetusmap.detect import back_to_front
from fetusmap.evaluate import auc_percent
from fetusmap.model import ModelCard, save_model
from fetusmap.model.model_file import LIMITS
from fetusmap.simulate import draw_poses
from fetusmap.train.calibration import Trial, fit_calibration, try_cases, without_fetus
from fetusmap.train.cases import TrainingCase, cached, case_pool, held_out_pool
from fetusmap.train.config import CALIBRATION_SEED, TrainingConfig
from fetusmap.train.loop import fabric_for, train
from fetusmap.train.run_folder import RunFolder
from fetusmap.train.stages import stage_of
from fetusmap.volume import Volume

LIBRARY_POSES = 2000
LIBRARY_SEED = 5
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
    config: ProductConfig,
    folder: Path,
    cache: Path,
    *,
    workers: int,
    report: Report,
    device: str = "cpu",
) -> ModelCard:
    """Train both networks, learn how far to trust them, and write the model folder.

    Go on with a run that was broken off by calling it again.

    Args:
        config: of both networks.
        folder: of the runs; the model is written into its folder `model`.
        cache: keeps the simulated cases.
        workers: processes that make samples.
        report: called with the network's name and the metrics of every step.
        device: "cpu" or "cuda".
    """
    skeleton = load_skeleton()
    for one in (config.coarse, config.canonical):
        case_pool(one, cache, skeleton)  # before a run folder says what it is trained on
    coarse, canonical = (
        _train_detector(one, folder, cache, workers, report, device)
        for one in (config.coarse, config.canonical)
    )
    cascade = Cascade(skeleton, coarse, canonical, draw_poses(LIBRARY_POSES, seed=LIBRARY_SEED))

    def turned(volume: Volume, found: Detection) -> Detection:
        """How the cascade looks when it errs: the body looked at back to front."""
        assert found.frame is not None  # noqa: S101 - a cascade always has one
        return cascade.detect_in_frame(volume, back_to_front(found.frame))

    configs = (config.coarse, config.canonical)
    return _write_model(
        cascade, configs, folder, cache, name=config.name, device=device, mistake=turned
    )


def train_single_pass(
    config: TrainingConfig,
    folder: Path,
    cache: Path,
    *,
    name: str,
    workers: int,
    report: Report,
    device: str = "cpu",
) -> ModelCard:
    """Train the paper's network, learn how far to trust it, and write the model folder.

    Args:
        config: of the stage "land".
        folder: of the run; the model is written into its folder `model`.
        cache: keeps the simulated cases.
        name: of the model.
        workers: processes that make samples.
        report: called with "land" and the metrics of every step.
        device: "cpu" or "cuda".
    """
    skeleton = load_skeleton()
    case_pool(config, cache, skeleton)
    plain = _train_detector(config, folder, cache, workers, report, device)
    library = draw_poses(LIBRARY_POSES, seed=LIBRARY_SEED)
    pipeline = SinglePass(skeleton, plain, library)
    return _write_model(pipeline, (config,), folder, cache, name=name, device=device)


def _train_detector(
    config: TrainingConfig, folder: Path, cache: Path, workers: int, report: Report, device: str
) -> Detector:
    run = RunFolder(folder / config.stage, config)
    network = train(
        config,
        run,
        cache,
        fabric=fabric_for(config, device),
        workers=workers,
        report=partial(report, config.stage),
    )
    stage = stage_of(config, load_skeleton())
    return Detector(network, stage.look, stage.channels, sigma_voxels=config.sigma_voxels)


def _write_model(
    pipeline: Pipeline,
    configs: tuple[TrainingConfig, ...],
    folder: Path,
    cache: Path,
    *,
    name: str,
    device: str,
    mistake: Callable[[Volume, Detection], Detection] | None = None,
) -> ModelCard:
    """Try the networks on held-out cases, with and without a fetus, and write what they are."""
    cases = list(_held_out(configs[0], cache))
    trials = list(try_cases(pipeline, cases, mistake))
    true = [trial for trial in trials if trial.weight == 1.0]
    rng = np.random.default_rng(CALIBRATION_SEED)
    empty = list(try_cases(pipeline, (without_fetus(case, rng) for case in cases[:EMPTY_CASES])))
    return save_model(
        pipeline,
        fit_calibration(trials, empty),
        folder / MODEL_FOLDER,
        name=name,
        made_by=_made_by(configs, folder, device),
        metrics={
            **summarize(true, pipeline.skeleton.landmarks),
            "without_a_body": len(cases) - len(true),
        },
        limits=_limits(configs[0]),
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


def _held_out(config: TrainingConfig, cache: Path) -> Iterator[TrainingCase]:
    pool = held_out_pool(config, cache, CALIBRATION_SEED, HELD_OUT_CASES)
    for number in range(pool.count):
        yield cached(pool.make, pool.folder, number)


def _made_by(
    configs: tuple[TrainingConfig, ...], folder: Path, device: str
) -> dict[str, JsonValue]:
    return {
        "command": "fetusmap train",
        "fetusmap": __version__,
        "torch": torch.__version__.split("+")[0],
        "processor": platform.machine(),
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "training_data": _data_of(configs[0]),
        **{config.stage: _recipe(config, folder) for config in configs},
        "library_seed": LIBRARY_SEED,
        "calibration_seed": CALIBRATION_SEED,
    }


def _recipe(config: TrainingConfig, folder: Path) -> JsonValue:
    """The fields that had a say, with the steps that were done."""
    unused = set() if config.stage == "land" else {"spacing_mm", "checkpointing", "own_statistics"}
    unused |= {"cases", "case_seed"} if config.dataset else {"split", "validation_split"}
    plain = config.model_dump(mode="json", exclude=unused)
    return {**plain, "steps": RunFolder(folder / config.stage, config).steps_done()}


def _data_of(config: TrainingConfig) -> str:
    if config.dataset is None:
        return "simulated volumes only"
    return f"the dataset {load_dataset(config.dataset).name}"


def _limits(config: TrainingConfig) -> tuple[str, ...]:
    """What the model is not for."""
    if config.dataset is None:
        return LIMITS
    held_out = load_dataset(config.dataset).splits.get(config.validation_split)
    measured = f"its split {config.validation_split}" if held_out else "simulated volumes"
    return (
        f"Trained on {_data_of(config)}; measured and calibrated on {measured}. How well it does "
        "on others is not known.",
        *LIMITS[1:],
    )


def _rounded(value: Any) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None

"""Make a model: train its networks, calibrate them, and write the model folder."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import JsonValue

from fetusmap._version import __version__
from fetusmap.atlas import PoseLibrary
from fetusmap.dataset import load_dataset
from fetusmap.detect import Cascade, Detection, Detector, Pipeline, SinglePass, back_to_front
from fetusmap.evaluate import auc_percent
from fetusmap.model import LIMITS, ModelCard, check_body_frame, save_model
from fetusmap.simulate import draw_poses
from fetusmap.train.calibration import Mistake, Trial, fit_calibration, try_held_out
from fetusmap.train.cases import (
    CasePool,
    HeldOut,
    can_be_simulated,
    case_pool,
    held_out_cases,
    simulated_skeleton,
    training_cases,
)
from fetusmap.train.config import (
    CALIBRATION_SEED,
    CanonicalConfig,
    CoarseConfig,
    TrainingConfig,
    WholeVolumeConfig,
    recipe_of,
)
from fetusmap.train.initial import origin_of_weights
from fetusmap.train.loop import fabric_for, initial_network, train
from fetusmap.train.run_folder import RunFolder
from fetusmap.train.stages import stage_of
from fetusmap.volume import Volume

LIBRARY_POSES = 20_000
LIBRARY_SEED = 5
HELD_OUT_CASES = 160
EMPTY_CASES = 64
MODEL_FOLDER = "model"

Report = Callable[[str, dict[str, float]], None]


@dataclass(frozen=True)
class ProductConfig:
    """Settings of a two-pass model: the training of both networks, and its name.

    Attributes:
        coarse: training of the first pass.
        canonical: training of the second pass.
        name: name of the model.
    """

    coarse: CoarseConfig
    canonical: CanonicalConfig
    name: str = "default"


@dataclass(frozen=True)
class _Job:
    """Settings that all steps of making a model share.

    Attributes:
        folder: folder of the runs; the model is written into its folder `model`.
        cache: folder of prepared cases.
        workers: number of processes that make samples.
        report: called with the network's name and the metrics of every step.
        device: "cpu" or "cuda".
    """

    folder: Path
    cache: Path
    workers: int
    report: Report
    device: str


def train_product(
    config: ProductConfig,
    folder: Path,
    cache: Path,
    *,
    workers: int,
    report: Report,
    device: str = "cpu",
) -> ModelCard:
    """Train both networks, calibrate the confidences, and write the model folder.

    Call it again to continue a run that was interrupted.

    Args:
        config: configurations of both networks.
        folder: folder of the runs; the model is written into its folder `model`.
        cache: folder of prepared cases.
        workers: number of processes that make samples.
        report: called with the network's name and the metrics of every step.
        device: "cpu" or "cuda".

    Raises:
        BadInput: the dataset cannot be trained on, its skeleton defines no body frame, or the
            folder holds runs of another configuration or of other data.
    """
    job = _Job(folder, cache, workers, report, device)
    configs: tuple[TrainingConfig, ...] = (config.coarse, config.canonical)
    pools = [_checked_pool(one, cache) for one in configs]  # before a run folder is written
    skeleton = pools[0].skeleton
    check_body_frame(
        skeleton,
        config.coarse.dataset or "training",
        "name its sacrum, spine and neck in trunk and a left and a right landmark in "
        "lateral_pairs, or train one network over the whole volume with --profile land",
    )
    coarse, canonical = (
        _train_detector(one, pool, job) for one, pool in zip(configs, pools, strict=True)
    )
    cascade = Cascade(skeleton, coarse, canonical, pose_library(config.coarse))

    def seen_from_behind(volume: Volume, found: Detection) -> Detection:
        """Make the cascade's typical error: detect in a frame that faces the other way."""
        assert found.frame is not None  # noqa: S101 - a cascade always has one
        mistaken = cascade.detect_in_frame(volume, back_to_front(found.frame))
        return replace(mistaken, first_pass_mm=found.first_pass_mm)

    return _write_model(cascade, configs, config.name, job, seen_from_behind)


def train_single_pass(
    config: WholeVolumeConfig,
    folder: Path,
    cache: Path,
    *,
    name: str,
    workers: int,
    report: Report,
    device: str = "cpu",
) -> ModelCard:
    """Train one network over the whole volume, calibrate it, and write the model folder.

    Args:
        config: configuration of the paper's network or of one of its variants.
        folder: folder of the run; the model is written into its folder `model`.
        cache: folder of prepared cases.
        name: name of the model.
        workers: number of processes that make samples.
        report: called with the name of the stage and the metrics of every step.
        device: "cpu" or "cuda".

    Raises:
        BadInput: the dataset cannot be trained on, or the folder holds a run of another
            configuration or of other data.
    """
    job = _Job(folder, cache, workers, report, device)
    pool = _checked_pool(config, cache)
    plain = _train_detector(config, pool, job)
    pipeline = SinglePass(pool.skeleton, plain, pose_library(config))
    return _write_model(pipeline, (config,), name, job)


def pose_library(config: TrainingConfig) -> PoseLibrary:
    """Return the pose library of a model.

    For a skeleton of the simulator it holds simulated poses. For any other skeleton it holds the
    annotated poses that the networks are trained on, and their mirror images.
    """
    if config.dataset is None:
        return draw_poses(LIBRARY_POSES, seed=LIBRARY_SEED).on(simulated_skeleton(config))
    dataset = load_dataset(config.dataset)
    if can_be_simulated(dataset.skeleton):
        return draw_poses(LIBRARY_POSES, seed=LIBRARY_SEED).on(dataset.skeleton)
    cases = training_cases(config)[: LIBRARY_POSES // 2]
    made_by: dict[str, JsonValue] = {"dataset": dataset.name, "licence": dataset.licence}
    poses = [case.load_pose() for case in cases]
    subjects = [case.subject for case in cases]
    return PoseLibrary.from_poses(poses, subjects, made_by).mirrored()


def _checked_pool(config: TrainingConfig, cache: Path) -> CasePool:
    """Return the cases to train on, after checking that the starting weights fit."""
    pool = case_pool(config, cache)
    if config.init is not None:
        initial_network(config, stage_of(config, pool.skeleton))
    return pool


def _train_detector(config: TrainingConfig, pool: CasePool, job: _Job) -> Detector:
    run = RunFolder(job.folder / config.stage, config, pool.hashes or None)
    network = train(
        config,
        run,
        job.cache,
        pool=pool,
        fabric=fabric_for(config, job.device),
        workers=job.workers,
        report=partial(job.report, config.stage),
    )
    stage = stage_of(config, pool.skeleton)
    return Detector(network, stage.input_grid, stage.channels, sigma_voxels=config.sigma_voxels)


def _write_model(
    pipeline: Pipeline,
    configs: tuple[TrainingConfig, ...],
    name: str,
    job: _Job,
    mistake: Mistake | None = None,
) -> ModelCard:
    """Calibrate the networks on held-out cases, with and without a fetus, and write the model."""
    held_out = held_out_cases(configs[0], job.cache, CALIBRATION_SEED, HELD_OUT_CASES)
    cases = [held_out.pool.case(number) for number in range(held_out.pool.count)]
    trials = try_held_out(pipeline, cases, mistake, seed=CALIBRATION_SEED, empty=EMPTY_CASES)
    return save_model(
        pipeline,
        fit_calibration(trials, pipeline.skeleton),
        job.folder / MODEL_FOLDER,
        name=name,
        made_by=_made_by(configs, pipeline.library, held_out, job),
        metrics={
            **summarize(trials.scans, pipeline.skeleton.landmarks),
            "without_a_body": len(cases) - len(trials.scans),
        },
        limits=limits_of(configs[0], held_out),
    )


def summarize(trials: list[Trial], landmarks: tuple[str, ...]) -> dict[str, JsonValue]:
    """Return the errors of the detections in held-out cases, in all and per landmark."""
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


def _made_by(
    configs: tuple[TrainingConfig, ...], library: PoseLibrary, held_out: HeldOut, job: _Job
) -> dict[str, JsonValue]:
    return {
        "command": "fetusmap train",
        "fetusmap": __version__,
        "torch": torch.__version__.split("+")[0],
        "processor": platform.machine(),
        "device": torch.cuda.get_device_name() if job.device == "cuda" else job.device,
        "training_data": _data_of(configs[0]),
        "calibration_data": f"{held_out.pool.count} cases: {held_out.described}",
        **{config.stage: _recipe(config, job.folder) for config in configs},
        **_origin_of(library),
        "calibration_seed": CALIBRATION_SEED,
    }


def _recipe(config: TrainingConfig, folder: Path) -> JsonValue:
    """Return the fields that affect the network, with the number of steps that were done."""
    steps = RunFolder(folder / config.stage, config).steps_done()
    started = origin_of_weights(config.init, config.stage) if config.init is not None else {}
    return {**recipe_of(config), "steps": steps, **started}


def _origin_of(library: PoseLibrary) -> dict[str, JsonValue]:
    name = library.made_by.get("dataset")
    if name is None:
        return {"library": f"{len(library)} simulated poses", "library_seed": LIBRARY_SEED}
    half = len(library) // 2
    return {"library": f"{half} training poses of the dataset {name} and their mirror images"}


def _data_of(config: TrainingConfig) -> str:
    if config.dataset is None:
        return "simulated volumes only"
    return f"the dataset {load_dataset(config.dataset).name}"


def limits_of(config: TrainingConfig, held_out: HeldOut) -> tuple[str, ...]:
    """Return the limits of a model, with the data on which it was trained and calibrated."""
    if config.dataset is None:
        return LIMITS
    return (
        f"Trained on {_data_of(config)}; measured and calibrated on {held_out.described} "
        f"({held_out.pool.count} cases). How well it does on others is not known.",
        *LIMITS[1:],
    )


def _rounded(value: Any) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None

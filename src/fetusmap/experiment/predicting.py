"""Predictions of the test cases, row by row and case by case."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from fetusmap.anatomy import Pose, Provenance, Skeleton, load_skeleton
from fetusmap.atlas import MIN_ALIGNMENT_WEIGHT, PoseLibrary, load_atlases, name_peaks
from fetusmap.dataset import Case
from fetusmap.detect import Detection, SinglePass, peaks_in_volume
from fetusmap.errors import DegenerateAlignment
from fetusmap.estimate import PoseEstimator
from fetusmap.experiment.cohort import COHORT_SKELETON, load_test_cases, training_poses
from fetusmap.experiment.dose import load_dose
from fetusmap.experiment.profile import Profile
from fetusmap.experiment.resources import measured
from fetusmap.experiment.rows import SHIPPED_MODEL, Row
from fetusmap.experiment.training import load_network, weights_path
from fetusmap.files import sha256_of, write_text
from fetusmap.geometry import apply_affine
from fetusmap.io import save_pose
from fetusmap.network import one_thread
from fetusmap.preprocess import Prepared, prepare
from fetusmap.refine import TrainingRefinement, refine_by_training, refine_fast
from fetusmap.threads import one_blas_thread
from fetusmap.volume import Volume
from fetusmap.workers import map_in_processes

PREDICTIONS = "predictions"
COSTS = "costs"


@dataclass(frozen=True)
class _Job:
    """What a worker needs to predict a case; the hash distinguishes networks of the same name."""

    folder: Path
    profile: Profile
    row: Row
    device: str
    weights_sha256: str


def predict_row(
    folder: Path, profile: Profile, row: Row, *, workers: int, device: str = "cpu"
) -> Iterator[str]:
    """Predict the test cases of a row that are missing; yield the name of each, in order.

    The number of workers affects nothing but the time; 0 works in this process.
    """
    weights = "" if row.network is None else sha256_of(weights_path(folder, row.network))
    job = _Job(folder, profile, row, device, weights)
    missing = [c for c in load_test_cases(folder) if not pose_path(folder, row, c.name).exists()]
    # Even one worker gets a process of its own, so that no memory of earlier rows is counted.
    many = workers if device == "cpu" else min(workers, 1)
    yield from map_in_processes(partial(_predict, job), missing, many, background=many > 0)


def pose_path(folder: Path, row: Row, case: str) -> Path:
    """Return the file of a case's predicted pose."""
    return folder / PREDICTIONS / row.name / f"{case}.json"


def cost_path(folder: Path, row: Row, case: str) -> Path:
    """Return the file of a case's cost, which differs from run to run, unlike its pose."""
    return folder / COSTS / row.name / f"{case}.json"


def _predict(job: _Job, case: Case) -> str:
    volume = case.load_volume()
    _load(job)  # before the measurement: loading a network is not part of a case
    with one_thread(), one_blas_thread(), measured(job.device) as cost:
        pose = _pose_of(job, volume)
    plain = {"seconds": round(cost.seconds, 4), "peak_bytes": cost.peak_bytes}
    paths = [path(job.folder, job.row, case.name) for path in (cost_path, pose_path)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(paths[0], json.dumps(plain) + "\n")
    save_pose(pose, paths[1])
    return case.name


def _load(job: _Job) -> None:
    if job.row.network is None:
        _ = _product(job.device).library
    else:
        _pipeline(job)


def _pose_of(job: _Job, volume: Volume) -> Pose:
    row = job.row
    if row.network is None:
        estimator = _product(job.device)
        pose = estimator(volume, refine=row.refine, flip_average=row.flip_average).pose
        return pose.on(load_skeleton(COHORT_SKELETON))  # the model knows further landmarks
    pipeline = _pipeline(job)
    prepared = prepare(volume, job.profile.training_config(row.network).spacing_mm)
    half = job.profile.precision == "bf16-mixed"
    provenance = Provenance(model=row.network.name, refine=row.refine)
    if row.network.family == "Pairs":
        return _named_pose(job, prepared, provenance, half=half)
    found = pipeline.detect(prepared.volume, flip_average=row.flip_average, half=half)
    if not found:
        return _empty_pose(pipeline.skeleton, provenance)
    refined = _refined(job, pipeline, found[0], prepared.volume, half=half)
    best = refined.transformed(prepared.world_from_network)
    return Pose(pipeline.skeleton, best.positions_mm, best.masses, provenance=provenance)


def _named_pose(job: _Job, prepared: Prepared, provenance: Provenance, *, half: bool) -> Pose:
    """Predict with a network that does not distinguish sides; the training poses name them."""
    detector, library = _pipeline(job).plain, _pipeline(job).library
    peaks = peaks_in_volume(detector, prepared.volume, half=half)
    strengths = np.sqrt(peaks.masses) + MIN_ALIGNMENT_WEIGHT
    try:
        named = name_peaks(peaks, strengths, detector.channels, library)[0]
    except DegenerateAlignment:
        return _empty_pose(library.skeleton, provenance)
    positions = apply_affine(prepared.world_from_network, named.positions_mm)
    return Pose(library.skeleton, positions, named.weights.clip(0, 1), provenance=provenance)


def _empty_pose(skeleton: Skeleton, provenance: Provenance) -> Pose:
    nowhere = np.full((len(skeleton), 3), np.nan)
    return Pose(skeleton, nowhere, np.zeros(len(skeleton)), provenance=provenance)


def _refined(
    job: _Job, pipeline: SinglePass, found: Detection, prepared: Volume, *, half: bool
) -> Detection:
    detector, library = pipeline.last, pipeline.library
    atlases = _atlases(job)
    if job.row.refine == "test-time-training":
        tuned = job.row.dose == "tuned"
        settings = load_dose(job.folder).settings if tuned else TrainingRefinement()
        refinement = refine_by_training(
            detector, found, atlases, library, prepared, settings,
            flip_average=job.row.flip_average, half=half,
        )  # fmt: skip
        return refinement.detection
    if job.row.refine == "fast":
        return refine_fast(found, detector.peak_height, library, atlases).detection
    return found


@cache
def _pipeline(job: _Job) -> SinglePass:
    assert job.row.network is not None  # noqa: S101
    library = training_poses(job.folder, job.profile, job.row.network)
    network = load_network(job.folder, job.profile, job.row.network, job.device)
    return SinglePass(library.skeleton, network, library)


@cache
def _atlases(job: _Job) -> PoseLibrary:
    """Return the poses to refine with, on the landmarks of the experiment's cohort."""
    library = _pipeline(job).library
    return library if job.row.atlases == "training" else load_atlases(library.skeleton)


@cache
def _product(device: str) -> PoseEstimator:
    return PoseEstimator.from_pretrained(SHIPPED_MODEL, device)

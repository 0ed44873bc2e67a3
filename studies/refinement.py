"""Error before and after refinement: the paper's and ours, on the networks `land` and `default`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import torch

from fetusmap.anatomy import load_skeleton
from fetusmap.atlas import PoseLibrary, find_support, join_libraries
from fetusmap.detect import Detection
from fetusmap.estimate import PoseEstimator
from fetusmap.evaluate import auc_percent, bootstrap_interval, landmark_errors_mm
from fetusmap.geometry import apply_affine
from fetusmap.preprocess import prepare
from fetusmap.refine import FastRefinement, Refinement, refine_by_training, refine_fast
from fetusmap.refine.refinement import fits_worse
from fetusmap.simulate import simulate_case
from fetusmap.simulate.case import draw_case
from fetusmap.simulate.draws import Seeds
from fetusmap.simulate.rendering import true_pose_of
from fetusmap.simulate.shipped_library import draw_atlases
from fetusmap.volume import Volume
from fetusmap.workers import available_processors, map_in_processes
from studies.accuracy import COHORTS, SEED, TEST_CASES

TRAINING_CASES = range(100)
"""Their poses are the paper's library."""

WITH_PAPER = ("normal", "hard")
"""Cohorts on which the paper's refinement is measured, too: it takes ten times as long as ours."""

WORSE_MM = 1.0

ABLATION = {
    "everything": FastRefinement(),
    "without exchanging limbs": FastRefinement(limbs=False),
    "without other names for the peaks": FastRefinement(hypotheses=0),
    "without the partner's heatmap": FastRefinement(own=1.0),
    "without the library's weight": FastRefinement(weight=0.0),
    "one round": FastRefinement(rounds=1),
    "sure landmarks move, too": FastRefinement(min_fixed_mass=np.inf),
    "likely landmarks move, too": FastRefinement(max_likely_residual=0.0),
}
"""On the model land; and with fewer atlases, see `LIBRARIES`."""

LIBRARIES = (200, 2000)


class Outcome(NamedTuple):
    """Errors and seconds of one case by row of the table."""

    errors_mm: dict[str, np.ndarray]
    seconds: dict[str, float]
    changes: dict[str, list[str]]
    rejected: dict[str, bool]


def run() -> dict[str, object]:
    """Refine every cohort and sum up."""
    return {
        "seed": SEED,
        "cases": [TEST_CASES.start, TEST_CASES.stop - 1],
        "cohorts": {name: summarize(refine_cohort(name)) for name in COHORTS},
        "retrieval": time_retrieval(),
    }


def refine_cohort(name: str) -> list[Outcome]:
    """Simulate a cohort and refine each case in every way, on all processor cores."""
    one = partial(_refine, name)
    return list(map_in_processes(one, TEST_CASES, available_processors()))


def summarize(outcomes: list[Outcome]) -> dict[str, object]:
    """One entry per row; intervals by drawing subjects with replacement."""
    rows: dict[str, object] = {}
    for row in outcomes[0].errors_mm:
        errors = np.array([outcome.errors_mm[row] for outcome in outcomes])
        base = np.array([outcome.errors_mm[_base_of(row)] for outcome in outcomes])
        change = np.nanmean(errors, axis=1) - np.nanmean(base, axis=1)
        rows[row] = {
            "mean_mm": _rounded(bootstrap_interval(errors, lambda e: float(np.nanmean(e)))),
            "median_mm": _rounded(bootstrap_interval(errors, lambda e: float(np.nanmedian(e)))),
            "auc_10_mm": _rounded(bootstrap_interval(errors, auc_percent)),
            "change_mm": _rounded(bootstrap_interval(change[:, None], lambda e: float(e.mean()))),
            "gain_auc": round(auc_percent(errors) - auc_percent(base), 2),
            "percentile_95_mm": round(float(np.nanpercentile(errors, 95)), 2),
            "cases_above_10_mm": int((np.nanmean(errors, axis=1) > 10).sum()),
            "helped": int((change < -WORSE_MM / 10).sum()),
            "hurt": int((change > WORSE_MM / 10).sum()),
            "worse_by_1_mm": int((change > WORSE_MM).sum()),
            "best_and_worst_mm": [round(float(change.min()), 2), round(float(change.max()), 2)],
            "changed": sum(bool(outcome.changes.get(row)) for outcome in outcomes),
            "kept": sum(bool(outcome.rejected.get(row)) for outcome in outcomes),
            "seconds": round(float(np.median([o.seconds.get(row, 0) for o in outcomes])), 3),
            "mean_mm_per_landmark": {
                landmark: round(float(np.nanmean(errors[:, n])), 3)
                for n, landmark in enumerate(load_skeleton().landmarks)
            },
        }
    return rows


def time_retrieval() -> dict[str, float]:
    """Median seconds to align 100,000 atlases to a pose, score them by eq. 1, take the best ten."""
    atlases = join_libraries([draw_atlases()] * 5)
    pose = atlases.positions_mm[7] + np.random.default_rng(0).normal(0, 1, (16, 3))
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        find_support(atlases, pose, 10)
        seconds.append(time.perf_counter() - start)
    return {"atlases": len(atlases), "seconds": round(float(np.median(seconds)), 4)}


def _base_of(row: str) -> str:
    return f"{row.split(', ')[0]}, none"


def _refine(cohort: str, number: int) -> Outcome:
    made = simulate_case(COHORTS[cohort], SEED, number)
    seen = made.pose.confidence > 0
    truth = np.where(seen[:, None], made.pose.positions_mm, np.nan)
    outcome = Outcome({}, {}, {}, {})
    for model in ("land", "default"):
        _refine_model(model, made.volume, truth, outcome, cohort)
    return outcome


def _refine_model(
    model: str, volume: Volume, truth: np.ndarray, outcome: Outcome, cohort: str
) -> None:
    estimator = _estimator(model)
    pipeline, atlases = estimator.pipeline, estimator.library
    height = pipeline.last.peak_height
    prepared = prepare(volume)
    start = time.perf_counter()
    (found, *_) = pipeline.detect(prepared.volume)
    outcome.seconds[f"{model}, none"] = time.perf_counter() - start

    def note(row: str, positions_mm: np.ndarray) -> None:
        in_world = apply_affine(prepared.world_from_network, positions_mm)
        outcome.errors_mm[f"{model}, {row}"] = landmark_errors_mm(in_world, truth)

    def refine(
        before: Detection = found,
        library: PoseLibrary = atlases,
        settings: FastRefinement = ABLATION["everything"],
    ) -> Refinement:
        return refine_fast(before, height, pipeline.library, library, settings)

    def train() -> Refinement:
        return refine_by_training(
            pipeline.last, found, _training_poses(), pipeline.library, prepared.volume
        )

    note("none", found.positions_mm)
    ways: dict[str, Callable[[], Refinement]] = {"fast": refine}
    if cohort in WITH_PAPER:
        ways |= {
            "paper": train,
            "paper, then fast": lambda: refine(before=done["paper"].detection),
        }
    if cohort == "normal" and model == "land":
        for what, settings in ABLATION.items():
            ways[what] = partial(refine, settings=settings)
        for count in LIBRARIES:
            few = atlases.select(np.arange(count))
            ways[f"{count} atlases"] = partial(refine, library=few)
    done: dict[str, Refinement] = {}
    for row, compute in ways.items():
        start = time.perf_counter()
        done[row] = refined = compute()
        outcome.seconds[f"{model}, {row}"] = time.perf_counter() - start
        outcome.changes[f"{model}, {row}"] = list(refined.changes)
        outcome.rejected[f"{model}, {row}"] = bool(refined.rejected_because)
        note(row, refined.detection.positions_mm)
        if row == "paper":
            worse = fits_worse(pipeline.library, refined.detection, found)
            guarded = found if worse else refined.detection
            outcome.rejected[f"{model}, paper, guarded"] = worse
            note("paper, guarded", guarded.positions_mm)
        if row == "fast" and refined.iterations:
            note("the support set alone", refined.iterations[0].support.mean_mm)


def _rounded(interval: tuple[float, ...]) -> list[float]:
    return [round(value, 3) for value in interval]


@cache
def _estimator(model: str) -> PoseEstimator:
    torch.set_num_threads(1)
    return PoseEstimator.from_pretrained(model)


@cache
def _training_poses() -> PoseLibrary:
    poses = [
        true_pose_of(draw_case(COHORTS["normal"], Seeds.of_case(SEED, n))) for n in TRAINING_CASES
    ]
    return PoseLibrary.from_poses(poses)

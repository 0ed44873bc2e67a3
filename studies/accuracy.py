"""Accuracy of the shipped model on simulated cohorts that no training has seen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import torch

from fetusmap.anatomy import load_skeleton
from fetusmap.estimate import PoseEstimator
from fetusmap.evaluate import (
    auc_percent,
    bootstrap_interval,
    landmark_errors_mm,
    pck_percent,
    sides_are_right,
)
from fetusmap.quality import MAX_CORRECT_ERROR_MM
from fetusmap.simulate import HARD, SimulationSettings, simulate_case
from fetusmap.workers import available_processors, map_in_processes

SEED = 2019
TEST_CASES = range(100, 152)
"""Of the 152 subjects of the experiment, those that no network is trained on."""

COHORTS = {
    "normal": SimulationSettings(),
    "hard": SimulationSettings(difficulty=HARD),
    "shifted-sharp": SimulationSettings(profile="shifted-sharp"),
    "shifted-blurred": SimulationSettings(profile="shifted-blurred"),
    "shifted-hazy": SimulationSettings(profile="shifted-hazy"),
}


BINS = 8


class Outcome(NamedTuple):
    """What was predicted for a case."""

    errors_mm: np.ndarray
    sides_right: bool
    score: float
    confidence: np.ndarray


def run() -> dict[str, object]:
    """Predict every cohort and sum up."""
    return {
        "seed": SEED,
        "cases": [TEST_CASES.start, TEST_CASES.stop - 1],
        "cohorts": {name: summarize(predict_cohort(s)) for name, s in COHORTS.items()},
    }


def predict_cohort(
    settings: SimulationSettings,
    seed: int = SEED,
    numbers: Sequence[int] = TEST_CASES,
    model: str = "default",
) -> list[Outcome]:
    """Simulate cases at full resolution and predict each, on all processor cores."""
    predict = partial(_predict, settings, seed, model)
    return list(map_in_processes(predict, numbers, available_processors()))


def summarize(outcomes: list[Outcome]) -> dict[str, object]:
    """The numbers of the table; intervals by drawing subjects with replacement."""
    errors = np.array([outcome.errors_mm for outcome in outcomes])
    cases = np.nanmean(errors, axis=1)
    intervals = {
        "mean_mm": bootstrap_interval(errors, lambda e: float(np.nanmean(e))),
        "median_mm": bootstrap_interval(errors, lambda e: float(np.nanmedian(e))),
        "auc_10_mm": bootstrap_interval(errors, auc_percent),
    }
    landmarks = load_skeleton().landmarks
    return {
        "cases": len(outcomes),
        **{name: [round(x, 3) for x in interval] for name, interval in intervals.items()},
        "percentile_95_mm": round(float(np.nanpercentile(errors, 95)), 2),
        "within_10_mm": round(pck_percent(errors, 10.0), 2),
        "cases_above_10_mm": int((cases > 10).sum()),
        "wrong_sides": sum(not outcome.sides_right for outcome in outcomes),
        "worst_cases": [
            [TEST_CASES[int(row)], round(float(cases[row]), 2), round(outcomes[row].score, 3)]
            for row in np.argsort(-cases)[:5]
        ],
        "reliability": _reliability(outcomes),
        "per_landmark": {
            name: {
                "mean_mm": round(float(np.nanmean(errors[:, row])), 3),
                "median_mm": round(float(np.nanmedian(errors[:, row])), 3),
                "auc_10_mm": round(auc_percent(errors[:, row]), 2),
            }
            for row, name in enumerate(landmarks)
        },
    }


def _reliability(outcomes: list[Outcome]) -> list[dict[str, float]]:
    """How often landmarks of like confidence are off by less than 5 mm."""
    errors = np.concatenate([outcome.errors_mm for outcome in outcomes])
    confidence = np.concatenate([outcome.confidence for outcome in outcomes])
    seen = np.isfinite(errors) & (confidence > 0)
    errors, confidence = errors[seen], confidence[seen]
    order = np.argsort(confidence)
    bins = np.array_split(order, BINS)
    return [
        {
            "confidence": round(float(confidence[rows].mean()), 4),
            "within_5_mm": round(float((errors[rows] < MAX_CORRECT_ERROR_MM).mean()), 4),
            "count": len(rows),
        }
        for rows in bins
    ]


def _predict(settings: SimulationSettings, seed: int, model: str, number: int) -> Outcome:
    made = simulate_case(settings, seed, number)
    found = _estimator(model)(made.volume).pose
    seen = made.pose.confidence > 0
    truth = np.where(seen[:, None], made.pose.positions_mm, np.nan)
    score = found.quality.score
    return Outcome(
        landmark_errors_mm(found.positions_mm, truth),
        sides_are_right(made.pose.skeleton, found.positions_mm, made.pose.positions_mm),
        float(score) if isinstance(score, (int, float)) else 0.0,
        found.confidence,
    )


@cache
def _estimator(model: str) -> PoseEstimator:
    torch.set_num_threads(1)
    return PoseEstimator.from_pretrained(model)

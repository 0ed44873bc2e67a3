"""How far the cascade can be trusted, learnt on held-out cases: its calibration and its errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from fetusmap.detect import (
    Calibration,
    Cascade,
    Detection,
    case_features,
    fit_logistic,
    landmark_features,
)
from fetusmap.detect.cascade import turn_around
from fetusmap.detect.confidence import NEAR_MM
from fetusmap.evaluate import sides_are_right
from fetusmap.train.cases import TrainingCase
from fetusmap.types import FloatArray
from fetusmap.volume import Volume

BLOCKS = 3
TURNED_WEIGHT = 0.1
"""Deliberate mistakes are as many as the cases, and must not pass for as likely."""


@dataclass(frozen=True, eq=False)
class Trial:
    """What the cascade found in a held-out case.

    Attributes:
        detection: the best one.
        margin: of its sides.
        errors_mm: (N,) distances from the truth; NaN where a landmark is not visible or, all of
            them, where the case shows no fetus.
        sides_right: whether the body's sides are, see `sides_are_right`.
        weight: how much it counts in the calibration.
    """

    detection: Detection
    margin: float
    errors_mm: FloatArray
    sides_right: bool
    weight: float = 1.0


def try_cases(
    cascade: Cascade, cases: Iterable[TrainingCase], *, turned: bool = False
) -> Iterator[Trial]:
    """Run the cascade on cases; those in which it finds no frame at all are left out.

    Args:
        cascade: to try.
        cases: held-out ones.
        turned: look at each body back to front afterwards: how the cascade looks when it errs.
    """
    for case in cases:
        volume = Volume(case.array, case.grid)
        found = cascade.detect(volume)
        if found:
            yield _trial(cascade, case, found[0])
            if turned:
                wrong = cascade.refine_frame(volume, turn_around(found[0].frame))
                yield replace(_trial(cascade, case, wrong), weight=TURNED_WEIGHT)


def _trial(cascade: Cascade, case: TrainingCase, best: Detection) -> Trial:
    errors = np.linalg.norm(best.positions_mm - case.positions_mm, axis=1)
    return Trial(
        best,
        cascade.side_margin(best),
        np.where(case.visible, errors, np.nan),
        sides_are_right(cascade.skeleton, best.positions_mm, case.positions_mm),
    )


def without_fetus(case: TrainingCase, rng: np.random.Generator) -> TrainingCase:
    """A case whose blocks are shuffled: the same textures and no body."""
    sizes = [n // BLOCKS for n in case.array.shape]
    shuffled = case.array.copy()
    corners = [(i, j, k) for i in range(BLOCKS) for j in range(BLOCKS) for k in range(BLOCKS)]
    for target, source in zip(corners, rng.permutation(corners), strict=True):
        to, where = (
            tuple(slice(c * n, (c + 1) * n) for c, n in zip(corner, sizes, strict=True))
            for corner in (target, source)
        )
        shuffled[to] = case.array[where]
    return replace(case, array=shuffled, visible=np.zeros_like(case.visible))


def fit_calibration(trials: list[Trial], empty: list[Trial]) -> Calibration:
    """Fit all probabilities.

    Args:
        trials: of cases with a fetus.
        empty: of cases without.
    """
    landmarks = np.concatenate([_landmark_features(trial) for trial in trials])
    errors = np.concatenate([trial.errors_mm for trial in trials])
    seen = np.isfinite(errors)
    features = np.array([_case_features(trial) for trial in trials])
    nothing = np.array([_case_features(trial) for trial in empty])
    right = np.array([trial.sides_right for trial in trials])
    near = np.array([np.nanmean(trial.errors_mm) < NEAR_MM for trial in trials])
    weights = np.array([trial.weight for trial in trials])
    true = weights == 1.0
    there = np.arange(true.sum() + len(empty)) < true.sum()
    return Calibration(
        landmark=fit_logistic(
            landmarks[seen],
            errors[seen] < NEAR_MM,
            np.repeat(weights, len(errors) // len(trials))[seen],
        ),
        case=fit_logistic(features, near & right, weights),
        fetus=fit_logistic(np.concatenate([features[true], nothing]), there),
        sides=fit_logistic(features, right, weights),
        cases=int(true.sum()),
        empty_cases=len(empty),
    )


def _landmark_features(trial: Trial) -> FloatArray:
    found = trial.detection
    return landmark_features(found.masses, found.stray, trial.margin, found.residual)


def _case_features(trial: Trial) -> FloatArray:
    return case_features(trial.detection.masses, trial.margin, trial.detection.residual)

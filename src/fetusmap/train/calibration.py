"""Calibrate a pipeline: try it on held-out cases, and fit the probabilities to these trials."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from fetusmap.anatomy import MAX_CORRECT_ERROR_MM
from fetusmap.atlas import PoseLibrary
from fetusmap.detect import Detection, Pipeline
from fetusmap.errors import BadInput, DegenerateAlignment
from fetusmap.evaluate import landmark_errors_mm, sides_are_right
from fetusmap.quality import (
    FEATURES,
    Calibration,
    Evidence,
    collect_evidence,
    fit_logistic,
    recalibrate,
)
from fetusmap.train.cases import TrainingCase
from fetusmap.types import FloatArray
from fetusmap.volume import Volume

BLOCKS = 3
"""A volume without a fetus is made by shuffling this many blocks along each axis."""

MISTAKE_WEIGHT = 0.1
"""Weight of a deliberate mistake. There is one for each case, but mistakes are less frequent."""


@dataclass(frozen=True, eq=False)
class Trial:
    """The result of a pipeline in a held-out case.

    Attributes:
        evidence: evidence for the best detection.
        errors_mm: (N,) distances from the truth, infinite if a landmark was not found; NaN if it
            is not visible, and for all landmarks of a case without a fetus.
        sides_right: whether left and right are not exchanged, see `sides_are_right`.
        weight: weight in the calibration.
    """

    evidence: Evidence
    errors_mm: FloatArray
    sides_right: bool
    weight: float = 1.0


def try_cases(
    pipeline: Pipeline,
    cases: Iterable[TrainingCase],
    mistake: Callable[[Volume, Detection], Detection] | None = None,
) -> Iterator[Trial]:
    """Run a pipeline on cases, and yield a trial for each case in which it finds a body.

    Args:
        pipeline: the pipeline.
        cases: held-out cases.
        mistake: makes a detection with the pipeline's typical error from a prepared volume and the
            best detection in it; None for a pipeline that makes enough errors by itself.
    """
    for case in cases:
        volume = Volume(case.array, case.grid)
        found = pipeline.detect(volume)
        if found:
            yield _trial(pipeline.library, case, found[0])
            if mistake is not None:
                with suppress(DegenerateAlignment):  # the peaks coincide: there is no mistake
                    wrong = _trial(pipeline.library, case, mistake(volume, found[0]))
                    yield replace(wrong, weight=MISTAKE_WEIGHT)


def _trial(library: PoseLibrary, case: TrainingCase, best: Detection) -> Trial:
    truth = np.where(case.visible[:, None], case.positions_mm, np.nan)
    return Trial(
        collect_evidence(best, library),
        landmark_errors_mm(best.positions_mm, truth),
        sides_are_right(library.skeleton, best.positions_mm, case.positions_mm),
    )


def without_fetus(case: TrainingCase, rng: np.random.Generator) -> TrainingCase:
    """Shuffle the blocks of a case: it has the same textures and no body."""
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
    """Fit the confidence of landmarks and the probabilities of a case to trials.

    Deliberate mistakes give examples of wrong detections. The frequency of correct landmarks is
    then taken from the other trials alone.

    Args:
        trials: trials of cases with a fetus.
        empty: trials of cases without a fetus.

    Raises:
        BadInput: there is no trial of a case with a fetus.
    """
    if not trials:
        raise BadInput(
            "calibration",
            expected="held-out cases in which the networks find a body, right or wrong",
            found="none",
            remedy="train longer",
        )
    landmarks = np.concatenate([trial.evidence.landmark_features for trial in trials])
    errors = np.concatenate([trial.errors_mm for trial in trials])
    seen = ~np.isnan(errors)
    features = np.array([trial.evidence.case_features for trial in trials])
    nothing = np.array([trial.evidence.case_features for trial in empty]).reshape(-1, FEATURES)
    right = np.array([trial.sides_right for trial in trials])
    near = np.array([np.nanmean(trial.errors_mm) < MAX_CORRECT_ERROR_MM for trial in trials])
    weights = np.array([trial.weight for trial in trials])
    true = weights == 1.0
    there = np.arange(true.sum() + len(empty)) < true.sum()
    each = np.repeat(weights, len(errors) // len(trials))
    landmark = fit_logistic(landmarks[seen], errors[seen] < MAX_CORRECT_ERROR_MM, each[seen])
    honest = seen & (each == 1.0)
    return Calibration(
        landmark=recalibrate(landmark, landmarks[honest], errors[honest] < MAX_CORRECT_ERROR_MM),
        case=fit_logistic(features, near & right, weights),
        fetus=fit_logistic(np.concatenate([features[true], nothing]), there),
        sides=fit_logistic(features, right, weights),
        cases=int(true.sum()),
        empty_cases=len(empty),
    )

"""All metrics of one method on one cohort."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from fetusmap.evaluate.metrics import (
    AUC_CAP_MM,
    auc_percent,
    exchanged_pairs,
    mean_error_mm,
    median_error_mm,
    pck_percent,
    sides_are_right,
)
from fetusmap.evaluate.pairs import Pairs
from fetusmap.evaluate.statistics import Interval, bootstrap_interval


@dataclass(frozen=True)
class Summary:
    """Metrics of one method on one cohort, with 95 % intervals by subject.

    Attributes:
        cases: number of cases.
        mean_mm: mean error of the landmarks that were found.
        median_mm: median error of all annotated landmarks.
        auc_percent: area under the curve of correct keypoints to 10 mm.
        within_10_mm_percent: percentage of landmarks with an error of at most 10 mm.
        swap_percent: percentage of mirror pairs whose left and right are exchanged.
        wrong_sides: number of cases in which left and right are wrong, see `sides_are_right`.
        missed: number of annotated landmarks that were not found.
        worst_case_mm: mean error of the worst case.
        landmark_mean_mm: (N,) mean error of each landmark.
        landmark_auc_percent: (N,) area of each landmark.
    """

    cases: int
    mean_mm: Interval
    median_mm: Interval
    auc_percent: Interval
    within_10_mm_percent: Interval
    swap_percent: Interval
    wrong_sides: int
    missed: int
    worst_case_mm: float
    landmark_mean_mm: tuple[float, ...]
    landmark_auc_percent: tuple[float, ...]


def summarize(pairs: Pairs) -> Summary:
    """Compute all metrics of predictions against their annotations."""
    errors = pairs.errors_mm
    interval = partial(bootstrap_interval, subjects=pairs.subjects)
    swaps = exchanged_pairs(pairs.skeleton, pairs.found_mm, pairs.true_mm)
    comparable = (
        (found, true)
        for found, true, pair in zip(pairs.found_mm, pairs.true_mm, swaps, strict=True)
        if np.isfinite(pair).any()
    )
    means = [mean_error_mm(case) for case in errors]
    return Summary(
        cases=len(errors),
        mean_mm=interval(errors, mean_error_mm),
        median_mm=interval(errors, median_error_mm),
        auc_percent=interval(errors, auc_percent),
        within_10_mm_percent=interval(errors, partial(pck_percent, threshold_mm=AUC_CAP_MM)),
        swap_percent=interval(100 * swaps, mean_error_mm),
        wrong_sides=sum(not sides_are_right(pairs.skeleton, *case) for case in comparable),
        missed=int(np.isinf(errors).sum()),
        worst_case_mm=float(np.nanmax(means)) if np.isfinite(means).any() else float("nan"),
        landmark_mean_mm=tuple(mean_error_mm(column) for column in errors.T),
        landmark_auc_percent=tuple(auc_percent(column) for column in errors.T),
    )

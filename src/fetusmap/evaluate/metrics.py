"""Metrics of landmark detection. NaN stands for a landmark without annotation everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.types import ArrayLike, FloatArray, Points3

AUC_CAP_MM = 10.0
"""Upper end of the curve: 1 - mean/10 mm reproduces the areas of the paper's own tables."""


class Interval(NamedTuple):
    """A value with the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float


def landmark_errors_mm(
    found_mm: Points3, true_mm: Points3, missed_mm: float = np.inf
) -> FloatArray:
    """(..., N) distance of each landmark from its annotation.

    Args:
        found_mm: (..., N, 3); NaN for a landmark that was not found.
        true_mm: (..., N, 3); NaN without annotation.
        missed_mm: error of an annotated landmark that was not found.
    """
    errors = np.linalg.norm(np.asarray(found_mm) - true_mm, axis=-1)
    annotated = np.isfinite(true_mm).all(axis=-1)
    errors = np.where(np.isfinite(errors), errors, missed_mm)
    return np.where(annotated, errors, np.nan)


def auc_percent(errors_mm: ArrayLike, cap_mm: float = AUC_CAP_MM) -> float:
    """Area under the curve of correct keypoints from 0 to `cap_mm`, in percent.

    Exactly the mean of max(0, 1 - error / cap): no grid of thresholds.
    """
    errors = np.asarray(errors_mm, dtype=np.float64)
    return float(100 * np.nanmean(np.maximum(0.0, 1 - errors / cap_mm)))


def pck_percent(errors_mm: ArrayLike, threshold_mm: float) -> float:
    """Percentage of correct keypoints: those that are off by at most `threshold_mm`."""
    errors = np.asarray(errors_mm, dtype=np.float64)
    return float(100 * np.mean(errors[np.isfinite(errors) | np.isinf(errors)] <= threshold_mm))


def sides_are_right(skeleton: Skeleton, found_mm: Points3, true_mm: Points3) -> bool:
    """Whether the paired landmarks lie nearer to their own side's truth than to the other side's.

    All of them together: it is about the body, and a single exchanged wrist does not count. A pose
    without any pair has no right side.

    Args:
        skeleton: names the mirror pairs.
        found_mm: (N, 3) landmarks.
        true_mm: (N, 3) where they are.
    """
    order = skeleton.mirror_index
    paired = order != np.arange(len(order))
    own = np.linalg.norm(found_mm - true_mm, axis=1)[paired]
    other = np.linalg.norm(found_mm - true_mm[order], axis=1)[paired]
    return bool(np.isfinite(own).any() and np.nansum(own) <= np.nansum(other))


def bootstrap_interval(
    errors_mm: FloatArray,
    statistic: Callable[[FloatArray], float],
    *,
    rounds: int = 2000,
    seed: int = 0,
) -> Interval:
    """A statistic of a cohort with its 95 % interval, by drawing subjects with replacement.

    Args:
        errors_mm: (subjects, N).
        statistic: of such an array.
        rounds: of drawing.
        seed: of drawing.
    """
    rng = np.random.default_rng(seed)
    draws = [
        statistic(errors_mm[rng.integers(len(errors_mm), size=len(errors_mm))])
        for _ in range(rounds)
    ]
    low, high = np.percentile(draws, [2.5, 97.5])
    return Interval(statistic(errors_mm), float(low), float(high))

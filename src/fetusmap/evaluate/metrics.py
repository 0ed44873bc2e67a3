"""Metrics of landmark detection. NaN stands for a landmark without annotation everywhere."""

from __future__ import annotations

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.types import ArrayLike, FloatArray, Points3

AUC_CAP_MM = 10.0
"""Upper end of the curve: 1 - mean/10 mm reproduces the areas of the paper's own tables."""


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
    return _mean_or_nan(100 * np.maximum(0.0, 1 - errors / cap_mm))


def pck_percent(errors_mm: ArrayLike, threshold_mm: float) -> float:
    """Percentage of correct keypoints: those that are off by at most `threshold_mm`."""
    return float(pck_curve_percent(errors_mm, [threshold_mm])[0])


def sides_are_right(skeleton: Skeleton, found_mm: Points3, true_mm: Points3) -> bool:
    """Whether the paired landmarks lie nearer to their own side's truth than to the other side's.

    All of them together: it is about the body, and a single exchanged wrist does not count. A pose
    without any pair has no right side.

    Args:
        skeleton: names the mirror pairs.
        found_mm: (N, 3) landmarks.
        true_mm: (N, 3) where they are.
    """
    straight, crossed = _both_ways(skeleton, found_mm, true_mm)
    known = np.isfinite(straight) & np.isfinite(crossed)
    return bool(known.any() and straight[known].sum() <= crossed[known].sum())


def exchanged_pairs(skeleton: Skeleton, found_mm: Points3, true_mm: Points3) -> FloatArray:
    """(..., P) 1 for each mirror pair that fits the truth better with left and right exchanged.

    NaN where one of the two was not found or is not annotated.

    Args:
        skeleton: names the mirror pairs.
        found_mm: (..., N, 3) landmarks.
        true_mm: (..., N, 3) where they are.
    """
    straight, crossed = _both_ways(skeleton, found_mm, true_mm)
    known = np.isfinite(straight) & np.isfinite(crossed)
    return np.where(known, crossed < straight, np.nan)


def _both_ways(
    skeleton: Skeleton, found_mm: Points3, true_mm: Points3
) -> tuple[FloatArray, FloatArray]:
    """(..., P) distances of each mirror pair from the truth, as it is and exchanged."""
    found, true = np.asarray(found_mm), np.asarray(true_mm)
    pairs = skeleton.mirror_pairs
    left, right = (list(skeleton.indices(tuple(pair[side] for pair in pairs))) for side in (0, 1))

    def apart(one: list[int], other: list[int]) -> FloatArray:
        return np.asarray(np.linalg.norm(found[..., one, :] - true[..., other, :], axis=-1))

    return apart(left, left) + apart(right, right), apart(left, right) + apart(right, left)


def swap_rate_percent(skeleton: Skeleton, found_mm: Points3, true_mm: Points3) -> float:
    """Percentage of mirror pairs whose left and right are exchanged, see `exchanged_pairs`."""
    return _mean_or_nan(100 * exchanged_pairs(skeleton, found_mm, true_mm))


def mean_error_mm(errors_mm: ArrayLike) -> float:
    """Mean over what was found; what was missed, an infinite error, is counted elsewhere."""
    errors = np.asarray(errors_mm, dtype=np.float64)
    return _mean_or_nan(np.where(np.isfinite(errors), errors, np.nan))


def median_error_mm(errors_mm: ArrayLike) -> float:
    """Median over all annotated landmarks; what was missed is farther off than any other."""
    errors = np.asarray(errors_mm, dtype=np.float64)
    known = errors[~np.isnan(errors)]
    return float(np.median(known)) if known.size else float("nan")


def pck_curve_percent(errors_mm: ArrayLike, thresholds_mm: ArrayLike) -> FloatArray:
    """(T,) percentage of correct keypoints at each threshold."""
    errors = np.asarray(errors_mm, dtype=np.float64)
    known = np.sort(errors[~np.isnan(errors)])
    if not known.size:
        return np.full(np.shape(thresholds_mm), np.nan)
    below = np.searchsorted(known, np.asarray(thresholds_mm, dtype=np.float64), side="right")
    return np.asarray(100 * below / known.size)


def _mean_or_nan(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")

"""Metrics of landmark detection. NaN always stands for a landmark without annotation."""

from __future__ import annotations

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.types import ArrayLike, FloatArray, Points3

AUC_CAP_MM = 10.0
"""Upper end of the PCK curve. 1 - mean / 10 mm reproduces the areas of the paper's own tables."""


def landmark_errors_mm(
    found_mm: Points3, true_mm: Points3, missed_mm: float = np.inf
) -> FloatArray:
    """Return the (..., N) distances of landmarks from their annotations, mm.

    Args:
        found_mm: (..., N, 3) predicted positions; NaN for a landmark that was not found.
        true_mm: (..., N, 3) annotated positions; NaN without annotation.
        missed_mm: error that is given to an annotated landmark that was not found.
    """
    errors = np.linalg.norm(np.asarray(found_mm) - true_mm, axis=-1)
    annotated = np.isfinite(true_mm).all(axis=-1)
    errors = np.where(np.isfinite(errors), errors, missed_mm)
    return np.where(annotated, errors, np.nan)


def auc_percent(errors_mm: ArrayLike, cap_mm: float = AUC_CAP_MM) -> float:
    """Return the area under the curve of correct keypoints from 0 to `cap_mm`, in percent.

    The area is exactly the mean of max(0, 1 - error / cap), so no grid of thresholds is needed.
    """
    errors = np.asarray(errors_mm, dtype=np.float64)
    return _mean_or_nan(100 * np.maximum(0.0, 1 - errors / cap_mm))


def pck_percent(errors_mm: ArrayLike, threshold_mm: float) -> float:
    """Return the percentage of landmarks whose error is at most `threshold_mm`."""
    return float(pck_curve_percent(errors_mm, [threshold_mm])[0])


def sides_are_right(skeleton: Skeleton, found_mm: Points3, true_mm: Points3) -> bool:
    """Return whether left and right of the whole body are right.

    They are if the paired landmarks together lie at least as near to the truth of their own side as
    to that of the other side. A single exchanged wrist therefore does not count. If no pair can be
    compared, the result is False.

    Args:
        skeleton: skeleton with the mirror pairs.
        found_mm: (N, 3) predicted positions.
        true_mm: (N, 3) annotated positions.
    """
    straight, crossed = _pair_distances(skeleton, found_mm, true_mm)
    known = np.isfinite(straight) & np.isfinite(crossed)
    return bool(known.any() and straight[known].sum() <= crossed[known].sum())


def exchanged_pairs(skeleton: Skeleton, found_mm: Points3, true_mm: Points3) -> FloatArray:
    """Return (..., P) 1 for each mirror pair that fits the truth better when exchanged, else 0.

    A pair is NaN if one of its two landmarks was not found or is not annotated.

    Args:
        skeleton: skeleton with the mirror pairs.
        found_mm: (..., N, 3) predicted positions.
        true_mm: (..., N, 3) annotated positions.
    """
    straight, crossed = _pair_distances(skeleton, found_mm, true_mm)
    known = np.isfinite(straight) & np.isfinite(crossed)
    return np.where(known, crossed < straight, np.nan)


def _pair_distances(
    skeleton: Skeleton, found_mm: Points3, true_mm: Points3
) -> tuple[FloatArray, FloatArray]:
    """Return the (..., P) distances of mirror pairs from the truth, as they are and exchanged."""
    found, true = np.asarray(found_mm), np.asarray(true_mm)
    pairs = skeleton.mirror_pairs
    left, right = (list(skeleton.indices(tuple(pair[side] for pair in pairs))) for side in (0, 1))

    def distances(one: list[int], other: list[int]) -> FloatArray:
        return np.asarray(np.linalg.norm(found[..., one, :] - true[..., other, :], axis=-1))

    as_they_are = distances(left, left) + distances(right, right)
    return as_they_are, distances(left, right) + distances(right, left)


def mean_error_mm(errors_mm: ArrayLike) -> float:
    """Return the mean error of the landmarks that were found.

    Missed landmarks, whose error is infinite, are left out: count them separately.
    """
    errors = np.asarray(errors_mm, dtype=np.float64)
    return _mean_or_nan(np.where(np.isfinite(errors), errors, np.nan))


def median_error_mm(errors_mm: ArrayLike) -> float:
    """Return the median error of all annotated landmarks; a missed one has an infinite error."""
    errors = np.asarray(errors_mm, dtype=np.float64)
    known = errors[~np.isnan(errors)]
    return float(np.median(known)) if known.size else float("nan")


def pck_curve_percent(errors_mm: ArrayLike, thresholds_mm: ArrayLike) -> FloatArray:
    """Return the (T,) percentages of landmarks whose error is at most each threshold."""
    errors = np.asarray(errors_mm, dtype=np.float64)
    known = np.sort(errors[~np.isnan(errors)])
    if not known.size:
        return np.full(np.shape(thresholds_mm), np.nan)
    below = np.searchsorted(known, np.asarray(thresholds_mm, dtype=np.float64), side="right")
    return np.asarray(100 * below / known.size)


def _mean_or_nan(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")

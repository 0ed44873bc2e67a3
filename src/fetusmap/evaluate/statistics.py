"""Confidence intervals and paired comparisons, by drawing subjects with replacement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy

from fetusmap.errors import BadInput
from fetusmap.evaluate.metrics import mean_error_mm, pck_curve_percent
from fetusmap.types import ArrayLike, FloatArray, IntArray

INTERVAL_SAMPLES = 2000
"""Bootstrap samples for an interval or a comparison."""

BAND_SAMPLES = 400
"""Bootstrap samples for the band of a curve."""

Statistic = Callable[[FloatArray], float]


class Interval(NamedTuple):
    """A value with the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float


class Comparison(NamedTuple):
    """Comparison of two methods on the same cases.

    Attributes:
        difference: difference of a statistic, first minus second, with its interval.
        p_value: p value of Wilcoxon's signed-rank test on the statistic of each subject. The test
            is two-sided, and exact for up to 50 subjects that differ; p is 1 where none differs.
    """

    difference: Interval
    p_value: float


def bootstrap_interval(
    errors_mm: FloatArray,
    statistic: Statistic,
    *,
    subjects: Sequence[str] | None = None,
    samples: int | None = None,
    seed: int = 0,
) -> Interval:
    """Return a statistic of a cohort with its 95 % bootstrap interval.

    Args:
        errors_mm: (cases, ...) errors.
        statistic: function of such an array.
        subjects: subject of each case; every case is a subject of its own if not given.
        samples: number of bootstrap samples of subjects; `INTERVAL_SAMPLES` if not given.
        seed: seed of the samples.
    """
    drawn = _draws(len(errors_mm), _names(subjects), samples or INTERVAL_SAMPLES, seed)
    values = [statistic(errors_mm[rows]) for rows in drawn]
    low, high = _middle_95_percent(values)
    return Interval(statistic(errors_mm), low, high)


def pck_interval(
    errors_mm: FloatArray,
    thresholds_mm: FloatArray,
    *,
    subjects: Sequence[str] | None = None,
    samples: int | None = None,
    seed: int = 0,
) -> tuple[FloatArray, FloatArray]:
    """Return the 95 % bootstrap band of a curve of correct keypoints.

    Args:
        errors_mm: (cases, ...) errors.
        thresholds_mm: (T,) thresholds.
        subjects: subject of each case; every case is a subject of its own if not given.
        samples: number of bootstrap samples of subjects; `BAND_SAMPLES` if not given.
        seed: seed of the samples.

    Returns:
        The (T,) lower and the (T,) upper ends in percent, for each threshold by itself.
    """
    drawn = _draws(len(errors_mm), _names(subjects), samples or BAND_SAMPLES, seed)
    curves = [pck_curve_percent(errors_mm[rows], thresholds_mm) for rows in drawn]
    ends = [_middle_95_percent(column) for column in np.transpose(curves)]
    low, high = np.array(ends).reshape(-1, 2).T
    return low, high


def compare(
    first_mm: FloatArray,
    second_mm: FloatArray,
    statistic: Statistic,
    *,
    subjects: Sequence[str] | None = None,
    samples: int | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare two methods on the same cases, with the same bootstrap samples for both.

    Mean errors are compared over the landmarks that both methods found, so that a method which
    misses the hard landmarks does not gain by it. An area already counts missed landmarks as 0 and
    is compared over all of them.

    Args:
        first_mm: (cases, N) errors of the first method.
        second_mm: (cases, N) errors of the second method.
        statistic: function of such an array.
        subjects: subject of each case; every case is a subject of its own if not given.
        samples: number of bootstrap samples of subjects; `INTERVAL_SAMPLES` if not given.
        seed: seed of the samples.

    Raises:
        BadInput: the errors are of different cases or landmarks.
    """
    if first_mm.shape != second_mm.shape:
        raise BadInput(
            "paired comparison",
            expected="errors of the same cases and landmarks",
            found=f"arrays of {first_mm.shape} and {second_mm.shape}",
            remedy="give both for the same cohort",
        )
    if statistic is mean_error_mm:
        both = np.isfinite(first_mm) & np.isfinite(second_mm)
        first_mm, second_mm = np.where(both, first_mm, np.nan), np.where(both, second_mm, np.nan)
    drawn = _draws(len(first_mm), _names(subjects), samples or INTERVAL_SAMPLES, seed)
    low, high = _middle_95_percent(
        [statistic(first_mm[rows]) - statistic(second_mm[rows]) for rows in drawn]
    )
    difference = Interval(statistic(first_mm) - statistic(second_mm), low, high)
    groups = _rows_of_subjects(len(first_mm), subjects)
    first, second = (
        np.array([statistic(errors[rows]) for rows in groups]) for errors in (first_mm, second_mm)
    )
    return Comparison(difference, _signed_rank(first - second))


def _signed_rank(differences: FloatArray) -> float:
    # With subjects that do not differ scipy would give up the exact test; they hold no information.
    differing = differences[np.isfinite(differences) & (differences != 0)]
    # As an attribute, because SciPy then loads this large part only when it is used.
    return float(scipy.stats.wilcoxon(differing).pvalue) if differing.size else 1.0


@lru_cache(maxsize=4)
def _draws(
    cases: int, subjects: tuple[str, ...] | None, samples: int, seed: int
) -> tuple[IntArray, ...]:
    """Return the rows (cases) of each bootstrap sample; the same for all statistics of a cohort."""
    groups = _rows_of_subjects(cases, subjects)
    rng = np.random.default_rng(seed)
    chosen = (rng.integers(len(groups), size=len(groups)) for _ in range(samples))
    return tuple(np.concatenate([groups[n] for n in rows]) for rows in chosen)


def _names(subjects: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if subjects is None else tuple(map(str, subjects))


def _rows_of_subjects(cases: int, subjects: Sequence[str] | None) -> list[IntArray]:
    if subjects is None:
        return [np.array([row]) for row in range(cases)]
    names = np.asarray(subjects)
    return [np.flatnonzero(names == name) for name in dict.fromkeys(subjects)]


def _middle_95_percent(values: ArrayLike) -> tuple[float, float]:
    """Return the ends of the middle 95 % of the values, NaN if none is known."""
    drawn = np.asarray(values, dtype=np.float64)
    known = drawn[~np.isnan(drawn)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = (_quantile(np.sort(known), part) for part in (0.025, 0.975))
    return low, high


def _quantile(ordered: FloatArray, part: float) -> float:
    """Interpolate as `np.quantile` does, but give infinity between two infinities."""
    place = part * (len(ordered) - 1)
    low, high = ordered[int(np.floor(place))], ordered[int(np.ceil(place))]
    return float(low if low == high else low + (high - low) * (place % 1))

"""How far a number may be trusted: intervals and comparisons by drawing subjects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from fetusmap.errors import BadInput
from fetusmap.evaluate.metrics import mean_error_mm, pck_curve_percent
from fetusmap.types import ArrayLike, FloatArray, IntArray

ROUNDS = 2000

Statistic = Callable[[FloatArray], float]


class Interval(NamedTuple):
    """A value with the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float


class Comparison(NamedTuple):
    """One method against another on the same cases.

    Attributes:
        difference: of a statistic, first minus second, with its interval.
        p_value: of Wilcoxon's signed-rank test on the statistic of each subject, two-sided and
            exact for up to 50 subjects that differ; 1 where none does.
    """

    difference: Interval
    p_value: float


def bootstrap_interval(
    errors_mm: FloatArray,
    statistic: Statistic,
    *,
    subjects: Sequence[str] | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Interval:
    """A statistic of a cohort with its 95 % interval, by drawing subjects with replacement.

    Args:
        errors_mm: (cases, ...).
        statistic: of such an array.
        subjects: of each case; every case is a subject of its own if not given.
        rounds: of drawing.
        seed: of drawing.
    """
    values = [statistic(errors_mm[rows]) for rows in _draws(len(errors_mm), subjects, rounds, seed)]
    low, high = _middle(values)
    return Interval(statistic(errors_mm), low, high)


def pck_interval(
    errors_mm: FloatArray,
    thresholds_mm: FloatArray,
    *,
    subjects: Sequence[str] | None = None,
    rounds: int = 400,
    seed: int = 0,
) -> tuple[FloatArray, FloatArray]:
    """The 95 % band of a curve of correct keypoints, by drawing subjects with replacement.

    Args:
        errors_mm: (cases, ...).
        thresholds_mm: (T,).
        subjects: of each case; every case is a subject of its own if not given.
        rounds: of drawing.
        seed: of drawing.

    Returns:
        Two (T,) of percentages, for each threshold by itself.
    """
    drawn = _draws(len(errors_mm), subjects, rounds, seed)
    curves = [pck_curve_percent(errors_mm[rows], thresholds_mm) for rows in drawn]
    ends = [_middle(column) for column in np.transpose(curves)]
    low, high = np.array(ends).reshape(-1, 2).T
    return low, high


def compare(
    first_mm: FloatArray,
    second_mm: FloatArray,
    statistic: Statistic,
    *,
    subjects: Sequence[str] | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Comparison:
    """Compare two methods on the same cases, by drawing the same subjects for both.

    What only one of them found is counted as neither's: a method that misses the hard landmarks
    has no lower mean for it. An area counts what was missed by itself, and is compared over all.

    Args:
        first_mm: (cases, N) errors of the first.
        second_mm: (cases, N) errors of the second.
        statistic: of such an array.
        subjects: of each case; every case is a subject of its own if not given.
        rounds: of drawing.
        seed: of drawing.

    Raises:
        BadInput: errors of different cases or landmarks.
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
    drawn = _draws(len(first_mm), subjects, rounds, seed)
    low, high = _middle([statistic(first_mm[rows]) - statistic(second_mm[rows]) for rows in drawn])
    difference = Interval(statistic(first_mm) - statistic(second_mm), low, high)
    groups = _rows_of_subjects(len(first_mm), subjects)
    first, second = (
        np.array([statistic(errors[rows]) for rows in groups]) for errors in (first_mm, second_mm)
    )
    return Comparison(difference, _signed_rank(first - second))


def _signed_rank(differences: FloatArray) -> float:
    # Subjects without a difference say nothing, and would make scipy give up the exact test.
    differing = differences[np.isfinite(differences) & (differences != 0)]
    return float(stats.wilcoxon(differing).pvalue) if differing.size else 1.0


def _draws(cases: int, subjects: Sequence[str] | None, rounds: int, seed: int) -> list[IntArray]:
    """The rows of each round."""
    groups = _rows_of_subjects(cases, subjects)
    rng = np.random.default_rng(seed)
    chosen = (rng.integers(len(groups), size=len(groups)) for _ in range(rounds))
    return [np.concatenate([groups[n] for n in rows]) for rows in chosen]


def _rows_of_subjects(cases: int, subjects: Sequence[str] | None) -> list[IntArray]:
    if subjects is None:
        return [np.array([row]) for row in range(cases)]
    names = np.asarray(subjects)
    return [np.flatnonzero(names == name) for name in dict.fromkeys(subjects)]


def _middle(values: ArrayLike) -> tuple[float, float]:
    """Ends of the middle 95 %; NaN where nothing could be measured."""
    drawn = np.asarray(values, dtype=np.float64)
    known = drawn[~np.isnan(drawn)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = (_quantile(np.sort(known), part) for part in (0.025, 0.975))
    return low, high


def _quantile(ordered: FloatArray, part: float) -> float:
    """Between neighbours as `np.quantile` does it, but of two infinities the infinity."""
    place = part * (len(ordered) - 1)
    low, high = ordered[int(np.floor(place))], ordered[int(np.ceil(place))]
    return float(low if low == high else low + (high - low) * (place % 1))

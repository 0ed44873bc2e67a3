"""Metrics in words, for tables on paper and in terminals."""

from __future__ import annotations

import math

from fetusmap.evaluate.statistics import Interval
from fetusmap.evaluate.summary import Summary

_WITH_INTERVALS = {
    "mean_mm": "mean, mm",
    "median_mm": "median, mm",
    "auc_percent": "AUC, %",
    "within_10_mm_percent": "within 10 mm, %",
    "swap_percent": "pairs exchanged, %",
}
SUMMARY_COLUMNS = (*_WITH_INTERVALS.values(), "bodies exchanged", "missed")
"""Headings of what `summary_cells` tells."""

SURE = 0.001
"""A p below this is not told in digits."""


def summary_cells(summary: Summary) -> tuple[str, ...]:
    """All metrics of a method, one text for each of `SUMMARY_COLUMNS`."""
    intervals = (interval_words(getattr(summary, metric)) for metric in _WITH_INTERVALS)
    return (*intervals, f"{summary.wrong_sides}", f"{summary.missed}")


def interval_words(interval: Interval, *, signed: bool = False) -> str:
    """Such as `4.25 (3.90 to 4.61)`, with a dash for what is not a number."""
    value, low, high = (number_words(number, signed=signed) for number in interval)
    return f"{value} ({low} to {high})"


def number_words(number: float, *, signed: bool = False) -> str:
    """With two decimals; a dash for what is not a number."""
    if not math.isfinite(number):
        return "-"
    rounded = round(number, 2) + 0.0  # without the sign of a negative zero
    return f"{rounded:+.2f}" if signed else f"{rounded:.2f}"


def p_words(p_value: float) -> str:
    """The p of a test."""
    return f"< {SURE:g}" if p_value < SURE else f"{p_value:.3f}"

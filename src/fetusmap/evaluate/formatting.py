"""Metrics as text, for tables on paper and in terminals."""

from __future__ import annotations

import math

from fetusmap.evaluate.statistics import Interval
from fetusmap.evaluate.summary import Summary

_COLUMN_OF_METRIC = {
    "mean_mm": "mean, mm",
    "median_mm": "median, mm",
    "auc_percent": "AUC, %",
    "within_10_mm_percent": "within 10 mm, %",
    "swap_percent": "pairs exchanged, %",
}
SUMMARY_COLUMNS = (*_COLUMN_OF_METRIC.values(), "bodies exchanged", "missed")
"""Headings of the cells that `summary_cells` returns."""

MIN_PRINTED_P_VALUE = 0.001
"""A smaller p value is printed as "smaller than this"."""


def summary_cells(summary: Summary) -> tuple[str, ...]:
    """Return all metrics of a method as text, one cell for each of `SUMMARY_COLUMNS`."""
    intervals = (format_interval(getattr(summary, metric)) for metric in _COLUMN_OF_METRIC)
    return (*intervals, f"{summary.wrong_sides}", f"{summary.missed}")


def format_interval(interval: Interval, *, signed: bool = False) -> str:
    """Return text such as `4.25 (3.90 to 4.61)`, with a dash for what is not a number."""
    value, low, high = (format_number(number, signed=signed) for number in interval)
    return f"{value} ({low} to {high})"


def format_number(number: float, *, signed: bool = False) -> str:
    """Return a number with two decimals, or a dash for what is not a number."""
    if not math.isfinite(number):
        return "-"
    # Files of results have four decimals: a number gives the same text before and after.
    rounded = round(round(number, 4), 2) + 0.0  # without the sign of a negative zero
    return f"{rounded:+.2f}" if signed else f"{rounded:.2f}"


def format_p_value(p_value: float) -> str:
    """Return the p value of a test with three decimals."""
    if p_value < MIN_PRINTED_P_VALUE:
        return f"< {MIN_PRINTED_P_VALUE:g}"
    return f"{p_value:.3f}"

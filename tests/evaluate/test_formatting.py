"""Metrics as text."""

from __future__ import annotations

import math

import pytest

from fetusmap.evaluate import Interval, format_interval, format_number, format_p_value


@pytest.mark.parametrize(
    ("number", "signed", "said"),
    [
        (4.256, False, "4.26"),
        (12.0, False, "12.00"),
        (4.256, True, "+4.26"),
        (-0.5, True, "-0.50"),
        (-0.004, True, "+0.00"),
        (-0.0, False, "0.00"),
        (math.nan, True, "-"),
        (math.inf, False, "-"),
    ],
)
def test_numbers(number, signed, said):
    assert format_number(number, signed=signed) == said


def test_an_interval_names_its_ends():
    assert format_interval(Interval(1.0, -0.25, 2.5), signed=True) == "+1.00 (-0.25 to +2.50)"
    assert format_interval(Interval(1.0, math.nan, math.nan)) == "1.00 (- to -)"


@pytest.mark.parametrize(
    ("p_value", "said"), [(0.000999, "< 0.001"), (0.001, "0.001"), (0.0496, "0.050"), (1, "1.000")]
)
def test_a_small_p_value_is_printed_as_smaller_than(p_value, said):
    assert format_p_value(p_value) == said

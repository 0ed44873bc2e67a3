"""Growth charts against values worked out by hand from the published formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetusmap.anatomy import (
    CHARTS,
    DATING,
    GestationalAge,
    centile,
    crown_rump_length_at,
    gestational_age,
)
from fetusmap.errors import BadInput, OutOfRange


@pytest.mark.parametrize(("weeks", "crl_mm"), [(10, 32), (11, 42), (12, 54), (13, 67), (14, 82)])
def test_robinson_and_fleming_give_the_usual_lengths_of_whole_weeks(weeks, crl_mm):
    assert round(crown_rump_length_at(7 * weeks)) == crl_mm


def test_robinson_and_fleming_by_hand():
    # For 49 / 1.037 mm the root is 7: 8.052 * 7 + 23.73; and 4.7 / 1.96 = 2.39796.
    age = gestational_age(49 / 1.037)
    assert age.days == pytest.approx(80.094, rel=1e-12)
    assert age.sd_days == pytest.approx(2.39796, abs=1e-5)


@given(crl_mm=st.floats(5.0, 84.0))
def test_robinson_and_fleming_give_the_length_back(crl_mm):
    assert crown_rump_length_at(gestational_age(crl_mm).days) == pytest.approx(crl_mm, rel=1e-12)


@pytest.mark.parametrize(
    ("crl_mm", "days"), [(16, 59.350796), (36, 72.761616), (64, 88.964084), (81, 98.112186)]
)
def test_intergrowth_ages_by_hand_at_lengths_with_whole_roots(crl_mm, days):
    assert gestational_age(crl_mm, "intergrowth-21st").days == pytest.approx(days, abs=1e-9)


def test_intergrowth_age_has_the_published_standard_deviation():
    # 2.39102 + 0.0193474 * 64
    assert gestational_age(64, "intergrowth-21st").sd_days == pytest.approx(3.6292536, abs=1e-12)


def test_intergrowth_lengths_by_hand():
    # -50.6562 + 0.815118 * 84 + 0.00535302 * 84^2, and the same at 100 days
    assert crown_rump_length_at(84, "intergrowth-21st") == pytest.approx(55.58462112, abs=1e-9)
    assert crown_rump_length_at(100, "intergrowth-21st") == pytest.approx(84.3858, abs=1e-9)


@given(days=st.floats(63.0, 98.0))
def test_the_two_fits_of_intergrowth_agree_within_a_day(days):
    length = crown_rump_length_at(days, "intergrowth-21st")
    assert gestational_age(length, "intergrowth-21st").days == pytest.approx(days, abs=1.0)


@given(crl_mm=st.floats(15.0, 84.0))
def test_both_dating_charts_agree_within_four_days(crl_mm):
    ages = [gestational_age(crl_mm, chart).days for chart in DATING]
    assert ages[0] == pytest.approx(ages[1], abs=4.0)


def test_the_median_femur_shaft_at_14_weeks_is_13_1_mm():
    # -39.9616 + 4.32298 * 14 - 0.0380156 * 196
    assert CHARTS["femur_shaft"].mean_mm(98) == pytest.approx(13.1090624, abs=1e-9)
    # exp(0.605843 - 42.0014 / 196 + 0.00000917972 * 2744) = exp(0.4167394)
    assert CHARTS["femur_shaft"].sd_mm(98) == pytest.approx(1.51701, abs=1e-5)


@pytest.mark.parametrize("quantity", CHARTS)
@given(place=st.floats(0.0, 1.0))
def test_the_mean_is_the_50th_centile_and_the_usual_z_scores_follow(quantity, place):
    chart = CHARTS[quantity]
    low, high = chart.days
    days = low + place * (high - low)
    mean, sd = chart.mean_mm(days), chart.sd_mm(days)
    assert sd > 0
    assert centile(quantity, mean, days) == 50
    for z, expected in ((1.88079, 97), (-1.88079, 3), (1.28155, 90), (1.64485, 95), (1.0, 84.1345)):
        assert centile(quantity, mean + z * sd, days) == pytest.approx(expected, abs=1e-4)


def test_the_standard_deviation_of_the_crown_rump_length_at_12_weeks_by_hand():
    # -2.21626 + 0.0984894 * 84
    assert CHARTS["crown_rump_length"].sd_mm(84) == pytest.approx(6.0568496, abs=1e-9)


def test_an_age_is_written_as_completed_weeks_and_days():
    assert str(GestationalAge(87.0, 2.4)) == "12+3"
    assert str(GestationalAge(87.99, 2.4)) == "12+3"
    assert str(GestationalAge(84.0, 2.4)) == "12+0"
    assert GestationalAge(87.5, 2.4).weeks == 12.5


OUTSIDE = [
    (lambda: gestational_age(4.9), "crown-rump length", "5 to 84 mm", "4.9 mm"),
    (lambda: gestational_age(84.1), "crown-rump length", "5 to 84 mm", "84.1 mm"),
    (lambda: gestational_age(float("nan")), "crown-rump length", "5 to 84 mm", "nan mm"),
    (
        lambda: gestational_age(14.9, "intergrowth-21st"),
        "crown-rump length",
        "15 to 95 mm",
        "14.9 mm",
    ),
    (
        lambda: gestational_age(95.1, "intergrowth-21st"),
        "crown-rump length",
        "15 to 95 mm",
        "95.1 mm",
    ),
    (lambda: crown_rump_length_at(42), "gestational age", "42.06 to 98.88 days", "42 days"),
    (lambda: crown_rump_length_at(99), "gestational age", "42.06 to 98.88 days", "99 days"),
    (
        lambda: crown_rump_length_at(57.9, "intergrowth-21st"),
        "gestational age",
        "58 to 105 days",
        "57.9 days",
    ),
    (
        lambda: crown_rump_length_at(105.1, "intergrowth-21st"),
        "gestational age",
        "58 to 105 days",
        "105.1 days",
    ),
    (
        lambda: centile("crown_rump_length", 50, 57.9),
        "gestational age",
        "58 to 105 days",
        "57.9 days",
    ),
    (
        lambda: centile("crown_rump_length", 50, 105.1),
        "gestational age",
        "58 to 105 days",
        "105.1 days",
    ),
    (lambda: centile("femur_shaft", 12, 97.9), "gestational age", "98 to 280", "97.9 days"),
    (lambda: centile("femur_shaft", 70, 280.1), "gestational age", "98 to 280", "280.1 days"),
    (lambda: centile("femur_shaft", 0.0, 100), "length of the", "0.1 to 1000 mm", "0 mm"),
    (lambda: centile("crown_rump_length", -5, 80), "crown-rump", "0.1 to 1000 mm", "-5 mm"),
]


@pytest.mark.parametrize(("ask", "subject", "expected", "found"), OUTSIDE)
def test_outside_of_its_range_a_chart_refuses_in_one_line(ask, subject, expected, found):
    with pytest.raises(OutOfRange) as error:
        ask()
    assert error.value.subject.startswith(subject)
    assert error.value.expected.startswith(expected)
    assert error.value.found == found
    assert "\n" not in str(error.value)


def test_the_ends_of_each_range_belong_to_it():
    for crl_mm in (5.0, 84.0):
        assert crown_rump_length_at(gestational_age(crl_mm).days) == pytest.approx(crl_mm)
    for days in (58, 105):
        mean = crown_rump_length_at(days, "intergrowth-21st")
        assert centile("crown_rump_length", mean, days) == 50
    assert gestational_age(15, "intergrowth-21st").days < 60
    assert gestational_age(95, "intergrowth-21st").days > 105
    for days in (98, 280):
        assert centile("femur_shaft", CHARTS["femur_shaft"].mean_mm(days), days) == 50


@pytest.mark.parametrize(
    ("ask", "name"),
    [
        (lambda: gestational_age(50, "hadlock"), "hadlock"),
        (lambda: crown_rump_length_at(80, "hadlock"), "hadlock"),
        (lambda: centile("left_femur", 12, 100), "left_femur"),
    ],
)
def test_a_chart_that_does_not_exist_is_refused_with_those_that_do(ask, name):
    with pytest.raises(BadInput, match=f"^chart '{name}': expected one of ") as error:
        ask()
    assert not isinstance(error.value, OutOfRange)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("chart", "crl"), [("robinson-fleming", 60.0), ("intergrowth-21st", 70.0)])
def test_the_uncertainty_of_the_length_goes_into_that_of_the_age(chart, crl):
    known = gestational_age(crl, chart)
    unsure = gestational_age(crl, chart, crl_sd_mm=3.0)
    slope = (gestational_age(crl + 0.5, chart).days - gestational_age(crl - 0.5, chart).days) / 1.0
    assert unsure.days == known.days
    assert unsure.sd_days == pytest.approx(np.hypot(known.sd_days, 3.0 * slope), rel=1e-4)

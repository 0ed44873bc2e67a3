"""A summary of three cases by hand, and its intervals against those of each metric."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from fetusmap.anatomy import Skeleton
from fetusmap.evaluate import (
    Pairs,
    auc_percent,
    bootstrap_interval,
    exchanged_pairs,
    mean_error_mm,
    median_error_mm,
    pck_percent,
    summarize,
)

NAN = np.nan
EARS = Skeleton(
    "ears-and-nose", ("left_ear", "right_ear", "nose"), (), (("left_ear", "right_ear"),)
)
TRUTH = np.array([[-10.0, 0, 0], [10, 0, 0], [0, 20, 0]])
INTERVALS = ("mean_mm", "median_mm", "auc_percent", "within_10_mm_percent", "swap_percent")


@pytest.fixture
def pairs():
    """One nose not found, one pair of ears exchanged, one nose not annotated.

    Errors of 3, 4 and none found; of 20, 20 and 6; of 2 and 1.
    """
    found, true = np.tile(TRUTH, (3, 1, 1)), np.tile(TRUTH, (3, 1, 1))
    found[0] += [[0, 3, 0], [0, 0, -4], [NAN, NAN, NAN]]
    found[1] = found[1, [1, 0, 2]] + [[0, 0, 0], [0, 0, 0], [0, 0, 6]]
    found[2] += [[2, 0, 0], [0, 1, 0], [0, 0, 0]]
    true[2, 2] = NAN
    return Pairs(EARS, ("a", "b", "c"), ("s", "t", "u"), found, true)


def test_everything_by_hand(pairs):
    found = summarize(pairs)
    assert found.cases == 3
    assert found.mean_mm.value == pytest.approx((3 + 4 + 20 + 20 + 6 + 2 + 1) / 7)
    assert found.median_mm.value == 5  # between 4 and 6, of 1 2 3 4 6 20 20 and the missed one
    assert found.auc_percent.value == pytest.approx(100 * (0.7 + 0.6 + 0.4 + 0.8 + 0.9) / 8)
    assert found.within_10_mm_percent.value == pytest.approx(100 * 5 / 8)
    assert found.swap_percent.value == pytest.approx(100 / 3)
    assert found.wrong_sides == 1
    assert found.missed == 1
    assert found.worst_case_mm == pytest.approx(46 / 3)
    assert found.landmark_mean_mm == pytest.approx((25 / 3, 25 / 3, 6))
    assert found.landmark_auc_percent == pytest.approx((50, 50, 20))


def test_intervals_are_those_of_each_metric_by_subject(pairs):
    pairs = replace(pairs, subjects=("s", "t", "s"))
    found = summarize(pairs)
    swaps = 100 * exchanged_pairs(EARS, pairs.found_mm, pairs.true_mm)
    for name, values, metric in (
        ("mean_mm", pairs.errors_mm, mean_error_mm),
        ("median_mm", pairs.errors_mm, median_error_mm),
        ("auc_percent", pairs.errors_mm, auc_percent),
        ("within_10_mm_percent", pairs.errors_mm, partial(pck_percent, threshold_mm=10.0)),
        ("swap_percent", swaps, np.nanmean),
    ):
        expected = bootstrap_interval(values, metric, subjects=pairs.subjects)
        assert getattr(found, name) == pytest.approx(expected), name
    # Drawn twice, either subject; the swaps of one are all exchanged, those of the other none.
    assert found.swap_percent[1:] == (0, 100)
    assert found.mean_mm[1:] == pytest.approx((10 / 4, 46 / 3))


def test_of_one_subject_every_interval_is_a_point(pairs):
    found = summarize(replace(pairs, subjects=("s", "s", "s")))
    for name in INTERVALS:
        value, low, high = getattr(found, name)
        assert value == low == high


def test_a_perfect_method_has_nothing_to_be_ashamed_of(pairs):
    found = summarize(replace(pairs, found_mm=np.tile(TRUTH, (3, 1, 1))))
    assert [getattr(found, name) for name in INTERVALS] == [
        (0, 0, 0),
        (0, 0, 0),
        (100, 100, 100),
        (100, 100, 100),
        (0, 0, 0),
    ]
    assert (found.wrong_sides, found.missed, found.worst_case_mm) == (0, 0, 0)
    assert found.landmark_mean_mm == (0, 0, 0)
    assert found.landmark_auc_percent == (100, 100, 100)


def test_the_order_of_cases_changes_no_value(pairs):
    rows = [2, 0, 1]
    turned = Pairs(
        EARS, ("c", "a", "b"), ("u", "s", "t"), pairs.found_mm[rows], pairs.true_mm[rows]
    )
    one, other = summarize(pairs), summarize(turned)
    for name in INTERVALS:
        assert getattr(one, name).value == pytest.approx(getattr(other, name).value)
    assert one.worst_case_mm == other.worst_case_mm
    assert one.landmark_mean_mm == pytest.approx(other.landmark_mean_mm)


def test_a_landmark_that_is_nowhere_annotated_has_no_mean(pairs):
    true = pairs.true_mm.copy()
    true[:, 2] = NAN
    found = summarize(replace(pairs, true_mm=true))
    assert found.landmark_mean_mm == pytest.approx((25 / 3, 25 / 3, NAN), nan_ok=True)
    assert found.landmark_auc_percent == pytest.approx((50, 50, NAN), nan_ok=True)
    assert found.missed == 0


def test_a_case_that_nothing_was_found_in_is_missed_and_its_sides_are_not_exchanged(pairs):
    found_mm = pairs.found_mm.copy()
    found_mm[2] = NAN
    missing = replace(pairs, found_mm=found_mm, without_prediction=("c",))
    found = summarize(replace(missing, subjects=("s", "s", "s")))
    assert found.cases == 3
    assert found.missed == 3
    assert found.median_mm.value == 20  # of 3 4 6 20 20 and three that were missed
    assert found.mean_mm.value == pytest.approx((3 + 4 + 20 + 20 + 6) / 5)
    assert found.auc_percent.value == pytest.approx(100 * (0.7 + 0.6 + 0.4) / 8)
    assert found.swap_percent.value == 50
    assert found.worst_case_mm == pytest.approx(46 / 3)
    assert found.wrong_sides == 1


def test_a_method_that_found_nothing_is_summarized(pairs):
    found = summarize(replace(pairs, found_mm=np.full((3, 3, 3), NAN)))
    assert found.missed == 8
    assert found.auc_percent == found.within_10_mm_percent == (0, 0, 0)
    assert found.median_mm == (np.inf, np.inf, np.inf)
    assert np.isnan([*found.mean_mm, *found.swap_percent, found.worst_case_mm]).all()
    assert np.isnan(found.landmark_mean_mm).all()
    assert found.landmark_auc_percent == (0, 0, 0)

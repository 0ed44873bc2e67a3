"""Intervals and comparisons: degenerate cohorts by hand, others against the textbook."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fetusmap.errors import BadInput
from fetusmap.evaluate import (
    Interval,
    auc_percent,
    bootstrap_interval,
    compare,
    mean_error_mm,
    median_error_mm,
    pck_interval,
    pck_percent,
)

NAN, INF = np.nan, np.inf
METRICS = [mean_error_mm, median_error_mm, auc_percent, partial(pck_percent, threshold_mm=10.0)]


def gamma_errors(seed, *shape):
    return np.random.default_rng(seed).gamma(3.0, 2.0, shape)


# Intervals


@pytest.mark.parametrize("metric", METRICS)
def test_where_all_cases_are_alike_an_interval_is_a_point(metric):
    errors = np.tile([1.0, 4.0, INF, NAN, 12.0], (7, 1))
    value = metric(errors[0])
    assert bootstrap_interval(errors, metric, samples=50) == pytest.approx((value,) * 3)


@pytest.mark.parametrize("metric", METRICS)
def test_of_one_subject_an_interval_is_a_point(metric):
    """However its cases differ: there is nobody else to draw."""
    errors = gamma_errors(0, 5, 3)
    found = bootstrap_interval(errors, metric, subjects=["anna"] * 5, samples=50)
    assert found == (metric(errors),) * 3


def test_the_interval_of_two_cases_by_hand():
    """Means of 0, 1/2 and 1, in one, two and one quarter of the draws."""
    means = []

    def listen(errors):
        means.append(mean_error_mm(errors))
        return means[-1]

    found = bootstrap_interval(np.array([[0.0], [1.0]]), listen, samples=4000)
    assert found == (0.5, 0.0, 1.0)
    shares = [np.mean(np.array(means) == value) for value in (0.0, 0.5, 1.0)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_the_interval_of_a_share_is_that_of_the_binomial_distribution():
    """12 of 40 cases are within 10 mm: a mean of 40 draws of 0.3."""
    errors = np.where(np.arange(40) < 12, 1.0, 20.0)[:, None]
    found = bootstrap_interval(errors, partial(pck_percent, threshold_mm=10.0), samples=4000)
    ends = 100 * stats.binom.ppf([0.025, 0.975], 40, 0.3) / 40
    assert found == pytest.approx((30, *ends))


def test_the_interval_of_a_mean_is_that_of_the_textbook():
    """A mean of many is normal, and spreads like one case over the root of their number."""
    errors = gamma_errors(3, 400, 1)
    reach = 1.96 * errors.std() / np.sqrt(400)
    value, low, high = bootstrap_interval(errors, mean_error_mm, samples=4000)
    assert value == pytest.approx(errors.mean())
    assert [value - low, high - value] == pytest.approx([reach, reach], rel=0.07)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of 300 cohorts of 40 cases, whose true mean is 6 mm; a bootstrap of 40 covers 94 %."""
    intervals = [
        bootstrap_interval(gamma_errors((4, n), 40, 1), np.mean, samples=200) for n in range(300)
    ]
    covered = np.mean([low <= 6 <= high for _, low, high in intervals])
    assert covered == pytest.approx(0.94, abs=0.03)


def test_draws_without_annotation_take_no_part():
    """Only the third case is annotated: whoever draws it measures 5 mm."""
    errors = np.full((3, 2), NAN)
    errors[2, 1] = 5
    assert bootstrap_interval(errors, mean_error_mm, samples=50) == (5, 5, 5)


@pytest.mark.parametrize("metric", METRICS)
def test_without_annotation_there_is_no_interval(metric):
    assert np.isnan(bootstrap_interval(np.full((3, 2), NAN), metric, samples=5)).all()


def test_where_nearly_all_was_missed_the_median_is_infinite():
    assert bootstrap_interval(np.full((4, 2), INF), median_error_mm, samples=20) == (INF, INF, INF)


def test_an_interval_may_reach_to_infinity():
    """Of six cases two were missed; in a third of the draws, three or more of six are these."""
    errors = np.array([[1.0], [2], [3], [4], [INF], [INF]])
    value, low, high = bootstrap_interval(errors, median_error_mm)
    assert (value, high) == (3.5, INF)
    assert 1 <= low <= 2


def test_the_band_of_a_curve_is_the_interval_at_each_threshold():
    errors = gamma_errors(16, 15, 4)
    errors[2, 1], errors[3], errors[5:7, 0] = INF, NAN, NAN
    subjects = [f"{n % 6}" for n in range(15)]
    options = {"subjects": subjects, "samples": 100, "seed": 3}
    low, high = pck_interval(errors, np.array([0.0, 2.0, 5.0, 50.0]), **options)
    for n, threshold in enumerate([0.0, 2.0, 5.0, 50.0]):
        within = partial(pck_percent, threshold_mm=threshold)
        expected = bootstrap_interval(errors, within, **options)
        assert (low[n], high[n]) == pytest.approx(expected[1:])
    assert low[0] == high[0] == 0
    assert (np.diff([low, high]) >= 0).all()


def test_the_band_of_draws_without_annotation():
    """They take no part; where there are no others, there is no band."""
    errors = np.full((3, 2), NAN)
    assert np.isnan(pck_interval(errors, np.array([1.0, 5.0]), samples=20)).all()
    errors[2, 1] = 3
    np.testing.assert_array_equal(
        pck_interval(errors, np.array([1.0, 5.0]), samples=20), [[0, 100], [0, 100]]
    )


# Subjects


def test_the_cases_of_a_subject_are_drawn_together():
    """As many subjects as there are, each with all of its cases as often as it was drawn."""
    subjects = ["anna", "berta", "anna", "clara", "anna", "berta", "dora"]
    drawn = []

    def listen(cases):
        drawn.append(cases[:, 0].astype(int))
        return 0.0

    bootstrap_interval(np.arange(7.0)[:, None], listen, subjects=subjects, samples=200)
    *rounds, everyone = drawn
    assert everyone.tolist() == list(range(7))
    sizes = set()
    for rows in rounds:
        times = np.bincount(rows, minlength=7)
        assert times[0] == times[2] == times[4]
        assert times[1] == times[5]
        assert times[[0, 1, 3, 6]].sum() == 4
        sizes.add(len(rows))
    assert min(sizes) >= 4  # clara and dora alone
    assert 7 < max(sizes) <= 12  # anna alone


def test_a_subject_seen_thrice_is_no_more_than_one():
    """Thrice the cases of the same subjects make the interval no narrower."""
    errors = gamma_errors(1, 12, 3)
    once = bootstrap_interval(errors, mean_error_mm)
    thrice = bootstrap_interval(
        np.tile(errors, (3, 1)), mean_error_mm, subjects=[f"{n % 12}" for n in range(36)]
    )
    assert thrice == pytest.approx(once)
    strangers = bootstrap_interval(np.tile(errors, (3, 1)), mean_error_mm)
    ratio = (strangers.high - strangers.low) / (once.high - once.low)
    assert ratio == pytest.approx(1 / np.sqrt(3), rel=0.1)


def test_names_of_subjects_do_not_matter():
    errors = gamma_errors(2, 9, 4)
    named = [
        bootstrap_interval(errors, auc_percent, subjects=[f"{name}" for name in names], samples=300)
        for names in (range(9), range(9, 0, -1), "abcdefghi")
    ]
    assert {*named} == {bootstrap_interval(errors, auc_percent, samples=300)}


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.lists(st.sampled_from("abcd"), min_size=1, max_size=12), st.data())
def test_an_interval_lies_within_the_means_of_the_subjects(seed, subjects, data):
    errors = gamma_errors(seed, len(subjects), 3)
    found = bootstrap_interval(errors, mean_error_mm, subjects=subjects, samples=40)
    names = np.array(subjects)
    means = [errors[names == name].mean() for name in set(subjects)]
    assert min(means) - 1e-9 <= found.low <= found.high <= max(means) + 1e-9


# Seeds


def test_a_seed_gives_the_same_interval_whatever_was_drawn_before():
    errors = gamma_errors(5, 20, 4)
    draw = partial(bootstrap_interval, errors, mean_error_mm, samples=500)
    one, two = draw(seed=1), draw(seed=2)
    np.random.default_rng(1).random(3)
    assert (draw(seed=2), draw(seed=1)) == (two, one)
    assert draw() == draw(seed=0)


def test_other_seeds_give_nearly_the_same_interval():
    errors = gamma_errors(5, 50, 4)
    found = [bootstrap_interval(errors, mean_error_mm, seed=seed) for seed in range(5)]
    assert len({*found}) == 5
    spread = np.ptp(found, axis=0)
    assert spread[0] == 0
    assert max(spread) < 0.1 * (found[0].high - found[0].low)


# Comparisons


def test_the_same_errors_do_not_differ():
    errors = gamma_errors(6, 8, 3)
    errors[2, 1], errors[3], errors[5, 0] = INF, NAN, NAN
    for metric in METRICS:
        assert compare(errors, errors.copy(), metric, samples=50) == (Interval(0, 0, 0), 1.0)


def test_a_difference_is_the_first_minus_the_second():
    """2 mm more in each of five cases, however unlike these are: 2 of 2^5 signs are as one-sided.

    Only drawing the same cases for both makes a point of the interval.
    """
    second = gamma_errors(7, 5, 4) * np.array([[1], [10], [100], [3], [30]])
    first = second + np.array([[1.0], [3], [2], [1.5], [2.5]])
    found = compare(first, second, mean_error_mm)
    assert found.difference.value == pytest.approx(2)
    assert 1 <= found.difference.low < 2 < found.difference.high <= 3
    assert found.p_value == pytest.approx(2 / 2**5)
    steady = compare(second + 2, second, mean_error_mm).difference
    assert steady == pytest.approx((2, 2, 2))


def test_a_comparison_the_other_way_round_is_its_mirror_image():
    first, second = gamma_errors(8, 15, 4), gamma_errors(9, 15, 4)
    for metric in METRICS:
        one, other = compare(first, second, metric), compare(second, first, metric)
        value, low, high = one.difference
        assert other.difference == pytest.approx((-value, -high, -low))
        assert other.p_value == pytest.approx(one.p_value)


def test_the_difference_of_means_is_the_mean_of_the_differences():
    """With the same interval, as the same subjects are drawn."""
    first, second = gamma_errors(10, 12, 4), gamma_errors(11, 12, 4)
    subjects = [f"{n // 2}" for n in range(12)]
    for seed in (0, 5):
        found = compare(first, second, mean_error_mm, subjects=subjects, seed=seed)
        expected = bootstrap_interval(first - second, np.mean, subjects=subjects, seed=seed)
        assert found.difference == pytest.approx(expected)


@pytest.mark.parametrize("statistic", [mean_error_mm, auc_percent])
@pytest.mark.parametrize("shift_mm", [0.0, 0.5, 3.0])
def test_p_values_are_scipys_on_the_statistic_of_the_subjects(shift_mm, statistic):
    first, second = gamma_errors(12, 40, 4) + shift_mm, gamma_errors(13, 40, 4)
    first[3, 2], second[7, 1], first[4, 0] = INF, INF, NAN
    names = np.array([f"{n % 13}" for n in range(40)])
    found = compare(first, second, statistic, subjects=names)
    if statistic is mean_error_mm:  # over what both found
        first[7, 1] = second[3, 2] = second[4, 0] = NAN
    values = []
    for name in sorted(set(names)):
        rows = names == name
        values.append([statistic(errors[rows]) for errors in (first, second)])
    assert found.p_value == pytest.approx(stats.wilcoxon(*np.transpose(values)).pvalue)


def test_ties_leave_the_exact_test_exact():
    """One difference among many subjects proves nothing."""
    first = np.full((52, 2), 3.0)
    second = first.copy()
    second[17] += 1
    assert compare(first, second, mean_error_mm, samples=20).p_value == 1.0


def test_who_misses_the_hard_landmarks_has_no_lower_mean_for_it():
    rng = np.random.default_rng(3)
    whole = rng.uniform(4, 6, (30, 16))
    lazy = np.full((30, 16), INF)
    lazy[:, 0] = whole[:, 0] + 0.5  # worse where it finds anything
    found = compare(lazy, whole, mean_error_mm)
    assert found.difference == pytest.approx((0.5, 0.5, 0.5))


def test_p_values_are_as_small_as_chance_makes_them():
    """Of two methods that do not differ a twentieth of the comparisons says so below 0.05."""
    values = [
        compare(gamma_errors((14, n), 20, 1), gamma_errors((15, n), 20, 1), np.mean, samples=1)
        for n in range(400)
    ]
    share = np.mean([value.p_value < 0.05 for value in values])
    assert share == pytest.approx(0.05, abs=0.025)


def test_subjects_in_whom_one_method_found_nothing_have_no_say_in_the_p_value():
    first = np.array([[1.0], [2], [3], [4], [5], [INF]])
    second = np.array([[2.0], [4], [6], [8], [INF], [1]])
    found = compare(first, second, mean_error_mm)
    assert found.p_value == pytest.approx(2 / 2**4)
    assert found.difference.value == pytest.approx(2.5 - 5)


def test_without_a_subject_that_both_found_nothing_is_proved():
    first, second = np.array([[1.0], [INF]]), np.array([[INF], [1.0]])
    assert compare(first, second, auc_percent, samples=20).p_value == 1


def test_errors_of_other_cases_are_not_compared():
    with pytest.raises(BadInput, match=r"arrays of \(4, 3\) and \(5, 3\)"):
        compare(np.ones((4, 3)), np.ones((5, 3)), mean_error_mm)

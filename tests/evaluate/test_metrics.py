"""Metrics by hand, and the area under the curve against a sum over its thresholds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from fetusmap.anatomy import Skeleton, load_skeleton, reference_pose
from fetusmap.evaluate import (
    AUC_CAP_MM,
    auc_percent,
    exchanged_pairs,
    landmark_errors_mm,
    mean_error_mm,
    median_error_mm,
    pck_curve_percent,
    pck_percent,
    sides_are_right,
)

NAN, INF = np.nan, np.inf
FETUS = load_skeleton()
TRUTH = reference_pose(60.0).positions_mm
# The first pair stands right before left in the rows, and neither pair stands together.
HANDS_AND_FEET = Skeleton(
    "hands-and-feet",
    ("right_hand", "left_foot", "nose", "left_hand", "right_foot"),
    (),
    (("left_hand", "right_hand"), ("left_foot", "right_foot")),
)
PLACES = np.array([[10.0, 0, 0], [-10, 0, -30], [0, 0, 9], [-10, 0, 0], [10, 0, -30]])
ERRORS = st.lists(
    st.floats(0, 40) | st.sampled_from([0.0, AUC_CAP_MM, INF, NAN]), min_size=1, max_size=30
).map(np.array)


def random_poses(seed, *shape):
    return np.random.default_rng(seed).normal(0, 20, (*shape, 16, 3))


# Errors


def test_errors_by_hand():
    """Found, found exactly, missed, not annotated, and neither of both."""
    true = np.array([[0.0, 0, 0], [1, 1, 1], [5, 5, 5], [NAN] * 3, [NAN] * 3])
    found = np.array([[2.0, 3, 6], [1, 1, 1], [NAN] * 3, [5, 5, 5], [NAN] * 3])
    np.testing.assert_array_equal(landmark_errors_mm(found, true), [7, 0, INF, NAN, NAN])
    np.testing.assert_array_equal(landmark_errors_mm(found, true, 50.0), [7, 0, 50, NAN, NAN])


def test_errors_of_many_poses_are_those_of_each():
    found, true = random_poses(0, 2, 3), random_poses(1, 2, 3)
    found[0, 1, 4], true[1, 2, 7], true[0, 0, 1, 2] = NAN, NAN, NAN
    errors = landmark_errors_mm(found, true)
    assert errors.shape == (2, 3, 16)
    for case in np.ndindex(2, 3):
        np.testing.assert_array_equal(errors[case], landmark_errors_mm(found[case], true[case]))
    assert np.isinf(errors[0, 1, 4])
    assert np.argwhere(np.isnan(errors)).tolist() == [[0, 0, 1], [1, 2, 7]]


# Curves and areas


def test_areas_by_hand():
    assert auc_percent([0.0]) == 100
    assert auc_percent([2.5]) == 75
    assert auc_percent([10.0, 12.0, 500.0]) == 0
    assert auc_percent([1.0, 4.0, 30.0]) == pytest.approx((90 + 60 + 0) / 3)
    assert auc_percent([1.0, 4.0, 30.0], cap_mm=40.0) == pytest.approx((97.5 + 90 + 25) / 3)


def test_what_was_missed_has_no_area_and_what_is_not_annotated_takes_no_part():
    assert auc_percent([2.0, INF]) == 40
    assert auc_percent([2.0, NAN]) == 80
    assert auc_percent([[2.0, INF], [NAN, 4.0]]) == pytest.approx((80 + 0 + 60) / 3)
    assert auc_percent([INF, INF]) == 0


@pytest.mark.parametrize("cap_mm", [10.0, 3.0, 25.0])
def test_an_area_is_the_integral_of_the_curve(cap_mm):
    """Midpoints of thin strips: each error is counted half a strip too early or too late."""
    errors = np.random.default_rng(0).gamma(2.0, 3.0, (20, 16))
    errors[3], errors[:, 5], errors[7, 2] = NAN, INF, cap_mm
    strips = 200_000
    middles = (np.arange(strips) + 0.5) * cap_mm / strips
    integral = pck_curve_percent(errors, middles).mean()
    assert auc_percent(errors, cap_mm) == pytest.approx(integral, abs=100 * 0.5 / strips + 1e-9)


@given(ERRORS)
def test_areas_lie_between_0_and_what_the_curve_ends_with(errors):
    area, end = auc_percent(errors), pck_percent(errors, AUC_CAP_MM)
    if np.isnan(errors).all():
        assert np.isnan(area)
        assert np.isnan(end)
    else:
        assert 0 <= area <= end + 1e-9
        assert end <= 100


@given(ERRORS, st.floats(0, 20))
def test_larger_errors_have_no_larger_area(errors, further_mm):
    if not np.isnan(errors).all():
        assert auc_percent(errors + further_mm) <= auc_percent(errors)


def test_a_curve_by_hand():
    """What is off by just the threshold is correct; what was missed never is."""
    errors = [[1.0, 2.0, INF], [2.0, NAN, 7.0]]
    np.testing.assert_allclose(
        pck_curve_percent(errors, [0, 1, 1.5, 2, 6.99, 7, 1e9]), [0, 20, 20, 60, 60, 80, 80]
    )
    assert pck_percent(errors, 2.0) == 60
    assert pck_percent([INF, INF], 1e9) == 0


@given(ERRORS, st.lists(st.floats(0, 50), min_size=1, max_size=20).map(sorted))
def test_curves_only_rise(errors, thresholds):
    curve = pck_curve_percent(errors, thresholds)
    if np.isnan(errors).all():
        assert np.isnan(curve).all()
    else:
        assert curve.min() >= 0
        assert curve.max() <= 100
        assert (np.diff(curve) >= 0).all()


@given(ERRORS, st.lists(st.floats(0, 50), max_size=5))
def test_a_curve_is_a_count_at_each_threshold(errors, thresholds):
    known = [error for error in errors if not np.isnan(error)]
    counts = [sum(error <= threshold for error in known) for threshold in thresholds]
    expected = [100 * n / len(known) if known else NAN for n in counts]
    np.testing.assert_allclose(pck_curve_percent(errors, thresholds), expected)


# Means and medians


def test_means_are_of_what_was_found_and_medians_of_what_is_annotated():
    errors = [[1.0, 2.0, INF], [NAN, 9.0, INF]]
    assert mean_error_mm(errors) == 4
    assert median_error_mm(errors) == 9
    assert median_error_mm([1.0, 2.0, INF, NAN]) == 2
    assert median_error_mm([1.0, 2.0]) == 1.5
    assert median_error_mm([1.0, INF]) == INF


@pytest.mark.parametrize("errors", [[], [NAN], [[NAN, NAN], [NAN, NAN]]])
def test_without_annotation_nothing_is_measured(errors):
    for metric in (auc_percent, mean_error_mm, median_error_mm):
        assert np.isnan(metric(errors))
    assert np.isnan(pck_percent(errors, 10.0))
    assert np.isnan(pck_curve_percent(errors, [0.0, 5.0, 10.0])).tolist() == [True] * 3


def test_a_mean_of_nothing_but_misses_is_none():
    assert np.isnan(mean_error_mm([INF, NAN]))
    assert median_error_mm([INF, NAN]) == INF


# Sides


def test_pairs_that_fit_better_when_exchanged_by_hand():
    """In the order of the pairs: the hands, then the feet."""
    assert exchanged_pairs(HANDS_AND_FEET, PLACES, PLACES).tolist() == [0, 0]
    found = PLACES.copy()
    found[[0, 3], 0] = -2, 2  # straight 12 + 12, crossed 8 + 8
    assert exchanged_pairs(HANDS_AND_FEET, found, PLACES).tolist() == [1, 0]
    found[[0, 3], 0] = 2, -2
    found[[1, 4]] = found[[4, 1]]
    assert exchanged_pairs(HANDS_AND_FEET, found, PLACES).tolist() == [0, 1]


def test_two_landmarks_at_one_place_are_not_exchanged():
    """Straight 20 + 0, crossed 0 + 20."""
    found = PLACES.copy()
    found[3] = found[0]
    assert exchanged_pairs(HANDS_AND_FEET, found, PLACES).tolist() == [0, 0]


@pytest.mark.parametrize("row", [0, 3])
@pytest.mark.parametrize("where", ["found", "true"])
def test_of_a_pair_both_must_be_found_and_annotated(row, where):
    poses = {"found": PLACES[HANDS_AND_FEET.mirror_index], "true": PLACES.copy()}
    poses[where][row] = NAN
    found, true = poses["found"], poses["true"]
    np.testing.assert_array_equal(exchanged_pairs(HANDS_AND_FEET, found, true), [NAN, 1])
    assert np.isnan(exchanged_pairs(HANDS_AND_FEET, NAN * found, true)).all()


def test_without_pairs_none_is_exchanged():
    alone = Skeleton("nose", ("nose",), (), ())
    assert exchanged_pairs(alone, np.zeros((4, 1, 3)), np.ones((4, 1, 3))).shape == (4, 0)


@given(st.integers(0, 10**6))
def test_who_exchanges_the_sides_exchanges_every_pair(seed):
    found, true = random_poses((seed, 0), 3), random_poses((seed, 1), 3)
    order = FETUS.mirror_index
    straight = exchanged_pairs(FETUS, found, true)
    np.testing.assert_array_equal(exchanged_pairs(FETUS, found[:, order], true), 1 - straight)
    np.testing.assert_array_equal(exchanged_pairs(FETUS, found, true[:, order]), 1 - straight)
    both = exchanged_pairs(FETUS, found[:, order], true[:, order])
    np.testing.assert_array_equal(both, straight)


@given(st.integers(0, 10**6), st.from_type(Rotation))
def test_where_the_fetus_lies_does_not_matter(seed, turn):
    found, true = random_poses((seed, 0)), random_poses((seed, 1))
    moved = (turn.apply(pose) + np.array([30, -20, 10]) for pose in (found, true))
    np.testing.assert_array_equal(
        exchanged_pairs(FETUS, *moved), exchanged_pairs(FETUS, found, true)
    )


def test_exchanged_pairs_of_many_poses_are_those_of_each():
    found, true = random_poses(0, 2, 3), random_poses(1, 2, 3)
    found[1, 1, FETUS.index("left_knee")] = NAN
    exchanged = exchanged_pairs(FETUS, found, true)
    assert exchanged.shape == (2, 3, 6)
    for case in np.ndindex(2, 3):
        one = exchanged_pairs(FETUS, found[case], true[case])
        np.testing.assert_array_equal(exchanged[case], one)
    assert np.isnan(exchanged).sum() == 1


def test_the_sides_are_those_of_the_whole_body():
    """Exchanged wrists are exchanged pairs, and the body still lies the right way round."""
    wrists = FETUS.indices(("left_wrist", "right_wrist"))
    found = TRUTH.copy()
    found[wrists] = found[wrists[::-1]]
    assert sides_are_right(FETUS, found, TRUTH)
    assert exchanged_pairs(FETUS, found, TRUTH).sum() == 1
    assert not sides_are_right(FETUS, TRUTH[FETUS.mirror_index], TRUTH)
    assert exchanged_pairs(FETUS, TRUTH[FETUS.mirror_index], TRUTH).all()


@pytest.mark.parametrize("limb", ["hand", "foot", "knee"])
def test_hands_and_feet_are_pairs_like_the_joints_of_the_limbs(limb):
    skeleton = load_skeleton("fetus-22")
    truth = reference_pose(60.0, skeleton).positions_mm
    pair = skeleton.indices((f"left_{limb}", f"right_{limb}"))
    found = truth.copy()
    found[pair] = found[pair[::-1]]
    exchanged = exchanged_pairs(skeleton, found, truth)
    assert exchanged.shape == (8,)
    assert exchanged.sum() == 1
    assert skeleton.mirror_pairs[int(exchanged.argmax())] == (f"left_{limb}", f"right_{limb}")
    assert sides_are_right(skeleton, found, truth)


def test_landmarks_of_the_midline_have_no_side():
    midline = [row for row in range(16) if FETUS.mirror_index[row] == row]
    found = TRUTH.copy()
    found[midline] += 1000
    assert sides_are_right(FETUS, found, TRUTH)
    found = np.full_like(TRUTH, NAN)
    found[midline] = TRUTH[midline]
    assert not sides_are_right(FETUS, found, TRUTH)


def test_what_can_be_compared_with_one_side_only_does_not_decide():
    """The hips are 5 mm and 0 mm off, and exchanged they would be 12 mm and 11 mm.

    Of the other pairs the left landmarks are neither annotated nor found.
    """
    left, right = (FETUS.indices(names) for names in zip(*FETUS.mirror_pairs, strict=True))
    found, true = TRUTH.copy(), TRUTH.copy()
    found[right] += [0, 5, 0]
    assert sides_are_right(FETUS, found, true)
    alone = left[left != FETUS.index("left_hip")]
    found[alone] = true[alone] = NAN
    assert np.nansum(exchanged_pairs(FETUS, found, true)) == 0
    assert sides_are_right(FETUS, found, true)

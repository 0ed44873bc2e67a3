"""The crown-rump length between crown and rump: its method, its interval, and the age from it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from fetusmap.anatomy import (
    LengthInterval,
    Pose,
    Quality,
    crown_rump_length,
    fit_length_interval,
    gestational_age,
    gestational_age_interval,
    load_skeleton,
    measurements,
    reference_pose,
)
from fetusmap.anatomy.crown_rump import length_sd_mm
from fetusmap.errors import BadInput

SKELETON = load_skeleton("fetus-22")
INTERVAL = LengthInterval(coverage=0.95, scale=0.5, cases=100)


def pose_of(crown: float | None = 60.0, **confidences: float) -> Pose:
    """The reference pose with its crown 60 mm above its rump, and 30 mm to its left."""
    pose = reference_pose(60.0, SKELETON)
    positions, confidence = pose.positions_mm.copy(), np.full(22, 0.9)
    rump = positions[SKELETON.index("rump")]
    above = np.full(3, np.nan) if crown is None else rump + np.array([-30, 0, crown])
    positions[SKELETON.index("crown")] = above
    for name, value in confidences.items():
        confidence[SKELETON.index(name)] = value
    return Pose(SKELETON, positions, confidence, Quality(crown_rump_interval=INTERVAL))


def test_the_length_is_the_distance_from_crown_to_rump() -> None:
    found = crown_rump_length(pose_of(40.0))
    assert found.length_mm == pytest.approx(50, rel=1e-14)
    assert found.method == "measured"


def test_the_interval_is_the_scale_times_the_deviation_of_the_confidences() -> None:
    # 90 % of chi-squared with three degrees of freedom lies below 6.2514; two equal ends.
    found = crown_rump_length(pose_of(40.0))
    half_width = 0.5 * np.sqrt(2) * 5 / np.sqrt(6.251388631170325)
    assert found.half_width_mm == pytest.approx(half_width, rel=1e-9)
    assert (found.low_mm, found.high_mm) == pytest.approx((50 - half_width, 50 + half_width))
    assert str(found) == "50.0 mm (48.6 to 51.4), measured"


def test_a_less_certain_end_has_a_wider_interval() -> None:
    widths = [crown_rump_length(pose_of(rump=p)).half_width_mm for p in (0.999, 0.9, 0.6, 0.5)]
    assert widths == sorted(widths)
    assert widths[-1] > 1.5 * widths[0]


@pytest.mark.parametrize("doubtful", [pose_of(None), pose_of(crown=40.0, rump=0.49)])
def test_without_crown_or_rump_the_length_is_the_estimate_from_the_trunk(doubtful) -> None:
    found = crown_rump_length(doubtful)
    sixteen = crown_rump_length(doubtful.on(load_skeleton()))
    assert found == sixteen
    assert found.method == "estimated"
    assert found.length_mm == pytest.approx(60, abs=0.05)


def test_doubtful_ends_are_used_where_no_estimate_is_possible() -> None:
    pose = pose_of(40.0, rump=0.1)
    positions = pose.positions_mm.copy()
    positions[SKELETON.index("neck")] = np.nan
    for without_path in (
        replace(pose, positions_mm=positions),
        replace(pose, skeleton=replace(SKELETON, crown_rump=None)),
    ):
        found = crown_rump_length(without_path)
        assert (found.method, found.length_mm) == ("measured", pytest.approx(50))


def test_nothing_is_known_without_ends_and_path() -> None:
    pose = replace(pose_of(None), skeleton=replace(SKELETON, crown_rump=None))
    found = crown_rump_length(pose)
    assert np.isnan([found.length_mm, found.half_width_mm]).all()
    assert str(found) == "absent"


def test_without_a_calibration_the_interval_follows_from_the_landmark_errors() -> None:
    pose = replace(pose_of(40.0), quality=Quality())
    assert np.isnan(crown_rump_length(pose).half_width_mm)
    assert str(crown_rump_length(pose)) == "50.0 mm, measured"
    found = crown_rump_length(pose, position_sd_mm=0.5)
    assert found.sd_mm == pytest.approx(0.5 * np.sqrt(2), rel=1e-12)
    assert found.length_mm == pytest.approx(50 - 2 * 0.25 / 50, rel=1e-14)


def test_the_deviation_of_a_length_has_the_confidence_as_its_probability() -> None:
    confidences = np.array([[0.3, 0.8], [0.5, 0.99]])
    deviations = np.sqrt(25 / chi2.ppf(confidences, 3))
    expected = np.hypot(*deviations.T)
    np.testing.assert_allclose(length_sd_mm(confidences), expected, rtol=1e-9)
    assert np.isfinite(length_sd_mm([[0.0, 0.0], [1.0, 1.0]])).all()


# --- Fitting ---


def test_the_scale_is_the_smallest_that_covers_19_of_19_cases() -> None:
    # ceil(20 * 0.95) = 19: the largest of 19 scores.
    confidences = np.full((19, 2), 0.9)
    deviation = float(length_sd_mm([0.9, 0.9]))
    found = fit_length_interval(deviation * np.arange(-9, 10), confidences)
    assert found is not None
    assert (found.coverage, found.cases) == (0.95, 19)
    assert found.scale == pytest.approx(9)
    assert fit_length_interval(np.ones(18), confidences[:18]) is None


def test_cases_that_would_not_be_measured_do_not_count() -> None:
    errors = np.r_[np.ones(20), 50.0, np.nan, 50.0]
    confidences = np.full((23, 2), 0.9)
    confidences[20, 0] = confidences[22, 1] = 0.4
    found = fit_length_interval(errors, confidences)
    assert found == fit_length_interval(errors[:20], confidences[:20])
    assert fit_length_interval([], []) is None


def synthetic_cases(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Heavy-tailed errors, larger where the confidence is lower, but not as much as predicted."""
    confidences = rng.uniform(0.5, 0.999, (count, 2))
    return 0.3 * length_sd_mm(confidences) ** 0.7 * rng.standard_t(4, count), confidences


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
def test_the_interval_covers_further_cases_as_often_as_it_states(coverage) -> None:
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(400):
        found = fit_length_interval(*synthetic_cases(rng, 99), coverage)
        errors, confidences = synthetic_cases(rng, 100)
        covered.append(np.mean(np.abs(errors) <= found.scale * length_sd_mm(confidences)))
    # With 99 cases the expected coverage is exactly that stated, as 100 * coverage is whole.
    assert np.mean(covered) == pytest.approx(coverage, abs=3 * np.std(covered) / 20)
    assert np.std(covered) / 20 < 0.005


@given(st.integers(19, 60), st.floats(0.1, 5.0))
def test_the_scale_is_that_of_the_errors_and_ignores_their_order_and_sign(count, factor) -> None:
    rng = np.random.default_rng(count)
    errors, confidences = synthetic_cases(rng, count)
    found = fit_length_interval(errors, confidences)
    order = rng.permutation(count)
    again = fit_length_interval(-factor * errors[order], confidences[order])
    assert again.scale == pytest.approx(factor * found.scale, rel=1e-12)
    within = np.abs(errors) <= found.scale * length_sd_mm(confidences) * (1 + 1e-12)
    assert within.mean() >= 0.95


# --- Age ---


def test_the_age_has_both_parts_of_its_interval_by_hand() -> None:
    # INTERGROWTH-21st at 64 mm: 88.964084 days; the slope is 3.21585 / (2 * 8) + 0.348956 days per
    # mm, and the standard deviation of the age 2.39102 + 0.0193474 * 64 days.
    found = gestational_age_interval(64.0, 2.0)
    assert found.days == pytest.approx(88.964084, abs=1e-9)
    assert found.from_length_days == pytest.approx(2 * (3.21585 / 16 + 0.348956), rel=1e-6)
    assert found.biological_days == pytest.approx(1.96 * 3.6292536, rel=1e-9)
    half_width = np.hypot(found.from_length_days, found.biological_days)
    assert found.high_days - found.days == found.days - found.low_days == pytest.approx(half_width)
    assert str(found) == "12+4 (11+4 to 13+5)"


def test_an_age_without_an_interval_of_the_length_has_none() -> None:
    found = gestational_age_interval(64.0, float("nan"))
    assert found.days == gestational_age(64.0, "intergrowth-21st").days
    assert np.isnan(found.low_days)
    assert str(found) == "12+4"


@pytest.mark.parametrize("crl_mm", [float("nan"), 14.9, 95.1])
def test_a_length_outside_the_chart_has_no_age(crl_mm) -> None:
    found = gestational_age_interval(crl_mm, 1.0)
    assert np.isnan([found.days, found.low_days, found.high_days]).all()
    assert str(found) == "absent"


def test_an_unknown_chart_is_refused() -> None:
    with pytest.raises(BadInput, match="hadlock"):
        gestational_age_interval(60.0, 1.0, "hadlock")


def test_measurements_state_the_method_the_interval_and_the_age() -> None:
    found = {(m.kind, m.name): m.value for m in measurements(pose_of(40.0))}
    crl = crown_rump_length(pose_of(40.0))
    age = gestational_age_interval(crl.length_mm, crl.half_width_mm)
    assert found["measured", "crown_rump_length"] == pytest.approx(50)
    assert found["measured", "crown_rump_length_low"] == crl.low_mm
    assert found["measured", "crown_rump_length_high"] == crl.high_mm
    assert found["age", "gestational_age"] == age.days
    assert found["age", "gestational_age_low"] == age.low_days
    assert found["age", "gestational_age_high"] == age.high_days

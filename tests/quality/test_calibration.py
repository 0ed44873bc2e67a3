"""Probabilities: known weights are found again, and no number makes them leave 0 to 1."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fetusmap.anatomy import load_skeleton
from fetusmap.quality import (
    CASE_FEATURES,
    LANDMARK_FEATURES,
    Calibration,
    CaseProbabilities,
    Evidence,
    Logistic,
    fit_logistic,
    recalibrate,
)

SKELETON = load_skeleton("fetus-16")
SEEDS = st.integers(0, 2**32 - 1)


def test_a_probability_by_hand():
    logistic = Logistic(intercept=1.0, weights=(2.0, -3.0))
    assert logistic.probability(np.array([1.0, 1.0])) == pytest.approx(0.5)
    odds = logistic.probability(np.array([[np.log(3) / 2, 1 / 3], [-0.5, -np.log(4) / 3]]))
    np.testing.assert_allclose(odds, [3 / 4, 4 / 5])
    assert logistic.probability(np.zeros((4, 5, 2))).shape == (4, 5)


@given(seed=SEEDS, scale=st.floats(1e-3, 1e6))
def test_probabilities_stay_between_0_and_1_and_rise_with_their_feature(seed, scale):
    rng = np.random.default_rng(seed)
    logistic = Logistic(intercept=float(rng.normal()), weights=(2.0, -1.0))
    features = rng.normal(0, scale, (50, 2))
    features[:, 0].sort()
    features[:, 1] = 0.3
    probabilities = logistic.probability(features)
    assert np.isfinite(probabilities).all()
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert (np.diff(probabilities) >= 0).all()
    features[:, 0] = 0.1
    features[:, 1] = np.sort(rng.normal(0, scale, 50))
    assert (np.diff(logistic.probability(features)) <= 0).all()


@pytest.mark.parametrize("far", [1e3, 1e300])
def test_extremes_are_nearly_certain_and_finite(far):
    logistic = Logistic(intercept=0.0, weights=(1.0,))
    low, high = logistic.probability(np.array([[-far], [far]]))
    assert 0 < low < 1e-9
    assert 1 - 1e-9 < high <= 1


@pytest.mark.parametrize("wrong", [{"intercept": np.nan}, {"weights": ("1",)}, {"bias": 1.0}])
def test_what_is_no_logistic_is_refused(wrong):
    with pytest.raises(ValidationError):
        Logistic(**{"intercept": 0.0, "weights": (1.0,), **wrong})


def simulated(count: int, seed: int = 0):
    """Features of very different sizes with known weights, and outcomes drawn from them."""
    rng = np.random.default_rng(seed)
    features = rng.normal([5.0, -0.1, 300.0], [2.0, 0.03, 50.0], (count, 3))
    truth = Logistic(intercept=-9.0, weights=(0.6, 20.0, 0.02))
    return features, rng.random(count) < truth.probability(features), truth


def test_known_weights_are_found_again():
    features, outcomes, truth = simulated(40_000)
    assert 0.2 < outcomes.mean() < 0.8
    found = fit_logistic(features, outcomes)
    scale = features.std(axis=0)
    np.testing.assert_allclose(
        np.array(found.weights) * scale, np.array(truth.weights) * scale, atol=0.05
    )
    np.testing.assert_allclose(found.probability(features), truth.probability(features), atol=0.02)


def test_the_fit_is_where_the_likelihood_is_flat():
    # Where only a small ridge holds the weights, what was predicted and what came true have the
    # same sum, and nearly the same with each feature too (the score equations).
    features, outcomes, _ = simulated(2000)
    found = fit_logistic(features, outcomes)
    excess = found.probability(features) - outcomes
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    assert excess.mean() == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(excess @ scaled / len(excess), 0, atol=4e-3)


def test_a_feature_that_speaks_against_the_outcome_by_accident_has_no_say():
    features, outcomes, _ = simulated(2000)
    against = features * [1, -1, 1]
    found = fit_logistic(against, outcomes)
    assert found.weights[1] == pytest.approx(0, abs=1e-9)
    assert found.weights[0] > 0
    without = fit_logistic(against[:, [0, 2]], outcomes)
    np.testing.assert_allclose(
        found.probability(against), without.probability(against[:, [0, 2]]), atol=1e-3
    )


def test_a_case_of_weight_three_counts_like_three_cases():
    features, outcomes, _ = simulated(300)
    weights = np.where(np.arange(300) % 2, 3.0, 1.0)
    # Standardised before, so that repeating the cases does not change the ridge.
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    weighted = fit_logistic(features, outcomes, weights)
    repeated = np.repeat(np.arange(300), weights.astype(int))
    expected = fit_logistic(features[repeated], outcomes[repeated])
    np.testing.assert_allclose(
        weighted.probability(features), expected.probability(features), atol=2e-3
    )
    plain = fit_logistic(features, outcomes)
    assert np.abs(weighted.probability(features) - plain.probability(features)).max() > 5e-3
    doubled = fit_logistic(features, outcomes, 2 * weights)
    np.testing.assert_allclose(
        doubled.probability(features), weighted.probability(features), atol=1e-4
    )


def test_the_unit_of_a_feature_does_not_matter():
    features, outcomes, _ = simulated(500)
    first = fit_logistic(features, outcomes).probability(features)
    second = fit_logistic(features * [1e3, 1e-2, 7] + [5, 6, -700], outcomes)
    np.testing.assert_allclose(
        second.probability(features * [1e3, 1e-2, 7] + [5, 6, -700]), first, atol=1e-3
    )


def test_a_feature_that_parts_the_outcomes_wholly_is_trusted_and_stays_finite():
    features = np.linspace(-1, 1, 40)[:, None]
    found = fit_logistic(features, features[:, 0] > 0)
    probabilities = found.probability(features)
    assert np.isfinite([found.intercept, *found.weights]).all()
    assert (probabilities[:16] < 0.1).all()
    assert (probabilities[24:] > 0.9).all()


@pytest.mark.parametrize("outcome", [True, False])
def test_what_always_or_never_came_true_is_nearly_certain(outcome):
    features = np.random.default_rng(0).normal(size=(50, 2))
    found = fit_logistic(features, np.full(50, outcome))
    assert np.isfinite([found.intercept, *found.weights]).all()
    np.testing.assert_allclose(found.probability(features), outcome, atol=0.02)


def test_a_feature_that_never_varied_has_no_say():
    features, outcomes, _ = simulated(500)
    with_constant = np.c_[features, np.full(500, 0.1)]
    found = fit_logistic(with_constant, outcomes)
    without = fit_logistic(features, outcomes).probability(features)
    np.testing.assert_allclose(found.probability(with_constant), without, atol=1e-3)
    with_constant[:, 3] = 0.3
    np.testing.assert_allclose(found.probability(with_constant), without, atol=1e-3)


def evidence(
    masses, distance_to_atlas_mean=0.0, *, margin=0.05, residual=0.1, first_pass=0.1
) -> Evidence:
    masses = np.array(masses, dtype=float)
    distances = np.broadcast_to(distance_to_atlas_mean, masses.shape)
    return Evidence(masses, distances, residual, margin, np.broadcast_to(first_pass, masses.shape))


def landmarks(found: Evidence, *names: str):
    return found.landmark_table(names or tuple(LANDMARK_FEATURES))


def case(found: Evidence, *names: str):
    return found.case_table(names or tuple(CASE_FEATURES))


def test_features_of_landmarks_by_hand():
    found = evidence([0.5, 0.9, 0.0, 1.0], [0.1, 7.0, 0.0, 1.0], margin=0.07, residual=0.12,
                     first_pass=[0.1, np.nan, 0.01, 9.0])  # fmt: skip
    limit = np.log(0.999 / 0.001)
    expected = {
        "peak_mass": [0, np.log(9), -limit, limit],
        "closeness_to_atlas_mean": [-0.1, -1.0, 0.0, -1.0],
        "sides_margin": [0.07] * 4,
        "closeness_to_library": [-0.12] * 4,
        "agreement_with_first_pass": -np.log([0.1, 1.5, 0.05, 1.5]),
        "mean_peak_mass": [np.log(9) / 4] * 4,
        "mean_agreement_with_first_pass": [-np.log([0.1, 1.5, 0.05, 1.5]).mean()] * 4,
    }
    assert set(expected) == set(LANDMARK_FEATURES)
    table = landmarks(found, *expected)
    for column, values in zip(table.T, expected.values(), strict=True):
        np.testing.assert_allclose(column, values, atol=1e-12)
    far = evidence([0.5] * 2, margin=-3.0, residual=9.0)
    assert landmarks(far, "sides_margin", "closeness_to_library").tolist() == [[-0.1, -1.0]] * 2


def test_features_of_a_case_by_hand():
    # Logits of 1/2, 3/4, 9/10 are 0, log 3, log 9; 15 % of the way is 0.3 of the first step.
    found = evidence([0.9, 0.5, 0.75], margin=0.05, residual=0.2, first_pass=[0.1, 0.2, 0.4])
    mean, low, margin, residual, agreement = case(found)
    assert mean == pytest.approx(np.log(3))
    assert low == pytest.approx(0.3 * np.log(3))
    assert (margin, residual) == (0.05, -0.2)
    assert agreement == pytest.approx(-np.log(0.2))
    far = evidence([0.5, 0.5], margin=8.0, residual=8.0)
    assert case(far)[:4].tolist() == [0, 0, 0.1, -1.0]


def test_whatever_is_better_has_the_larger_feature():
    good = case(evidence([0.9] * 16, margin=0.08, residual=0.1))
    worse = (
        evidence([0.4] * 16, margin=0.08, residual=0.1),
        evidence([0.9] * 16, margin=-0.05, residual=0.1),
        evidence([0.9] * 16, margin=0.08, residual=0.3),
        evidence([0.9] * 16, margin=0.08, residual=0.1, first_pass=0.3),
    )
    for other in worse:
        assert (case(other) <= good).all()
        assert (case(other) < good).any()
    near, far = landmarks(evidence([0.8] * 2, [0.1, 0.4], first_pass=[0.1, 0.3]))
    assert (far <= near).all()
    assert (far < near).sum() == 2


def test_stray_landmarks_say_nothing_about_the_case():
    one, other = evidence([0.8] * 16, 0.1), evidence([0.8] * 16, 0.9)
    np.testing.assert_array_equal(case(one), case(other))


FLAT = {"intercept": 0.0, "weights": [0.0] * 4}
CARD = dict.fromkeys(("landmark", "case", "fetus", "sides"), FLAT) | {
    "cases": 3,
    "empty_cases": 2,
}


def test_a_calibration_without_names_has_the_four_earlier_features():
    """In their order: the peak mass comes first, as its weight shows."""
    by_mass = {"intercept": 0.0, "weights": [1.0, 0.0, 0.0, 0.0]}
    found = Calibration.model_validate_json(
        json.dumps({**CARD, "landmark": by_mass, "case": by_mass})
    )
    seen = evidence([0.9, 0.5, 0.75])
    np.testing.assert_allclose(found.confidence(seen), [0.9, 0.5, 0.75])
    assert found.case_probabilities(seen) == CaseProbabilities(
        0.5, 0.5, pytest.approx(0.75), pytest.approx(0.375)
    )
    assert found.limb_probabilities(evidence([0.1] * 16), SKELETON).tolist() == [1.0] * 4


def test_a_score_of_its_own_replaces_the_product():
    found = Calibration.model_validate_json(
        json.dumps({**CARD, "score": {**FLAT, "intercept": 2.0}})
    )
    assert found.case_probabilities(evidence([0.9])).score == pytest.approx(1 / (1 + np.exp(-2)))


def test_features_of_limbs_by_hand():
    """The mean below the root and the end, as logits: of the left and right arm, then the legs."""
    masses = np.full(16, 0.5)
    masses[SKELETON.indices(("left_elbow", "left_wrist"))] = 0.9, 0.75
    masses[SKELETON.index("left_shoulder")] = 0.01
    masses[SKELETON.index("right_ankle")] = 0.9
    table = evidence(masses).limb_table(SKELETON)
    expected = [(np.log(27) / 2, np.log(3)), (0, 0), (0, 0), (np.log(9) / 2, np.log(9))]
    np.testing.assert_allclose(table, expected, atol=1e-12)
    by_end = Calibration.model_validate_json(
        json.dumps({**CARD, "limb": {"intercept": 0.0, "weights": [0.0, 1.0]}})
    )
    probabilities = by_end.limb_probabilities(evidence(masses), SKELETON)
    np.testing.assert_allclose(probabilities, [0.75, 0.5, 0.5, 0.9])


def test_a_calibration_names_its_features():
    by_agreement = {"intercept": 0.0, "weights": [1.0]}
    names = {"landmark_features": ["agreement_with_first_pass"]}
    plain = {**CARD, **names, "landmark": by_agreement}
    found = Calibration.model_validate_json(json.dumps(plain))
    np.testing.assert_allclose(found.confidence(evidence([0.5], first_pass=0.25)), [0.8])
    assert Calibration.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"case_features": ["mean_peak_mass"]}, "1 weights, one for each feature"),
        ({"landmark_features": ["a", "peak_mass", "b", "c"]}, "no feature is called 'a'"),
    ],
)
def test_a_calibration_whose_features_do_not_fit_is_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        Calibration.model_validate_json(json.dumps(CARD | change))


def test_recalibrated_probabilities_are_how_often_it_comes_true_and_keep_their_order():
    """Fitted where half is right, asked where the odds are three times as high."""
    rng = np.random.default_rng(5)
    slope, shift = 2.0, np.log(3)
    first = rng.normal(0, 1, (20_000, 1))
    model = fit_logistic(first, rng.random(20_000) < 1 / (1 + np.exp(-slope * first[:, 0])))
    others = rng.normal(0, 1, (20_000, 1))
    truth = 1 / (1 + np.exp(-(slope * others[:, 0] + shift)))
    found = recalibrate(model, others, rng.random(20_000) < truth)
    np.testing.assert_allclose(found.probability(others), truth, atol=0.03)
    assert (np.diff(found.probability(np.linspace(-2, 2, 9)[:, None])) > 0).all()

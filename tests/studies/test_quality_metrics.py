"""Metrics of probabilities: against all pairs, by hand, and for what cannot be computed."""

import numpy as np
import pytest

from studies.quality_metrics import auroc, calibration_error, reliability


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    rng = np.random.default_rng(0)
    scores = np.round(rng.uniform(0, 1, 60), 1)  # with ties
    positive = rng.random(60) < 0.4 + 0.3 * scores
    pairs = [
        (high > low) + 0.5 * (high == low) for high in scores[positive] for low in scores[~positive]
    ]
    assert auroc(scores, positive) == pytest.approx(np.mean(pairs))
    assert np.isnan(auroc(scores, np.ones(60, bool)))


def test_the_calibration_error_by_hand():
    """Nine of ten at 0.95 and one of two at 0.05: gaps of 0.05 and 0.45, weighted by 10 and 2."""
    probabilities = np.array([0.95] * 10 + [0.05] * 2)
    happened = np.array([1] * 9 + [0] + [1, 0])
    assert calibration_error(probabilities, happened) == pytest.approx((10 * 0.05 + 2 * 0.45) / 12)
    low, high = reliability(probabilities, happened)
    assert low == {"predicted": 0.05, "observed": 0.5, "count": 2}
    assert high == {"predicted": 0.95, "observed": 0.9, "count": 10}
    assert np.isnan(calibration_error(np.array([]), np.array([])))


def test_a_probability_of_one_belongs_to_the_last_bin():
    assert calibration_error(np.array([1.0, 0.95]), np.array([1, 0])) == pytest.approx(0.475)

"""Gains of a refinement by hand."""

import numpy as np
import pytest

from studies.refinement_gain import BASE, CONDITIONS, STEPS, Condition, _errors, _gains


def test_a_gain_is_positive_if_the_error_falls():
    """Two landmarks in three cases: 4 mm off at first, 1 mm less with each of three steps."""
    true = np.zeros((3, 2, 3))
    poses = np.zeros((3, 4, 2, 3))
    poses[..., 0] = np.array([4.0, 3.0, 2.0, 1.0])[None, :, None]
    found = _gains(poses, true, _errors(poses[:, 0], true))
    assert found["mean_mm"] == [4, 3, 2, 1]
    assert found["auc"] == pytest.approx([60, 70, 80, 90])
    assert found["gain_mm"] == [3, 3, 3]
    assert found["gain_auc"] == pytest.approx([30, 30, 30])


def test_every_condition_is_another_experiment_with_the_same_test_cases():
    names = [condition.name for condition in CONDITIONS]
    assert len(set(names)) == len(names) >= 12
    for condition in CONDITIONS:
        profile = condition.profile(BASE)
        assert profile.cases - profile.training_cases == BASE.cases - BASE.training_cases
        assert profile.steps == condition.steps
    assert Condition("clinical", 0.8).profile(BASE).symmetry == "sagittal-flip"
    assert STEPS == 6

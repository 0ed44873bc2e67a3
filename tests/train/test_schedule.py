"""The learning rate over the steps, by hand."""

import pytest

from fetusmap.train.schedule import rate_at


def test_a_whole_run_by_hand():
    """Nine steps of warm-up, 100 in all, of which the last 30 fall."""
    expected = {0: 0.1, 4: 0.5, 8: 0.9, 9: 1, 50: 1, 70: 1, 71: 29 / 30, 85: 0.5, 99: 1 / 30}
    for step, rate in expected.items():
        assert rate_at(step, 100, 9, 0.3) == pytest.approx(rate)


def test_a_run_that_does_not_know_its_end_stays_up():
    assert rate_at(0, None, 0, 0.3) == 1
    assert rate_at(1, None, 3, 0.3) == pytest.approx(0.5)
    assert rate_at(10**6, None, 3, 0.3) == 1


def test_the_level_part_does_not_depend_on_the_end():
    """So a plan that is made on the way changes nothing that was done."""
    for step in range(60):
        assert rate_at(step, None, 20, 0.4) == rate_at(step, 100, 20, 0.4)


def test_no_decay():
    assert rate_at(99, 100, 0, 0.0) == 1


def test_all_decay():
    rates = [rate_at(step, 4, 0, 1.0) for step in range(4)]
    assert rates == pytest.approx([1, 0.75, 0.5, 0.25])


def test_warm_up_and_decay_that_meet_take_the_lower_one():
    rates = [rate_at(step, 4, 3, 1.0) for step in range(4)]
    assert rates == pytest.approx([0.25, 0.5, 0.5, 0.25])


def test_every_step_of_a_run_learns():
    assert all(0 < rate_at(step, 37, 200, 0.3) <= 1 for step in range(37))

"""Summaries of a cohort: constant offsets, crown-rump lengths, flags."""

import numpy as np
import pytest

from fetusmap.anatomy import load_skeleton
from studies.accuracy_summary import (
    CrownRump,
    Outcome,
    crown_rump_summary,
    summarize,
    without_constant_offsets,
)

LANDMARKS = load_skeleton("fetus-22").landmarks


def outcome(offset, *, trunk_mm=20.0, score=0.9, reasons=(), back_to_front=False, right=True):
    """A case in which every landmark is off by the same part of the trunk."""
    offsets = np.broadcast_to(np.asarray(offset, float), (22, 3))
    return Outcome(
        landmarks=LANDMARKS,
        errors_mm=np.linalg.norm(offsets, axis=1) * trunk_mm,
        offsets=offsets,
        trunk_mm=trunk_mm,
        confidence=np.full(22, 0.9),
        sides_right=right,
        back_to_front=back_to_front,
        score=score,
        reasons=tuple(reasons),
        crown_rump={"measured": CrownRump(1.0, 2.0, True)},
    )


def test_a_constant_offset_is_removed_whatever_the_size_of_the_fetus():
    cases = [outcome([0.1, 0, 0], trunk_mm=size) for size in (15.0, 20.0, 30.0, 40.0)]
    assert without_constant_offsets(cases) == pytest.approx(np.zeros((4, 22)))


def test_no_case_explains_its_own_offset():
    cases = [outcome([0, 0, 0])] * 3 + [outcome([0, 0.1, 0], trunk_mm=30.0)]
    errors = without_constant_offsets(cases)
    assert errors[3] == pytest.approx(np.full(22, 3.0))
    assert errors[:3] == pytest.approx(np.zeros((3, 22)))
    assert np.isnan(without_constant_offsets(cases[:2])).all()


def test_crown_rump_lengths_by_hand():
    lengths = [CrownRump(1.0, 2.0, True), CrownRump(-3.0, 2.0, True), CrownRump(2.0, 2.0, False),
               CrownRump(np.nan, np.nan, False)]  # fmt: skip
    found = crown_rump_summary(lengths)
    assert (found["cases"], found["possible"], found["with_interval"]) == (4, 2, 3)
    assert found["mean_error_mm"][0] == 2.0
    assert found["bias_mm"] == 0.0
    assert found["covered_percent"] == 66.7


def test_a_cohort_by_hand():
    """The mean is that of the paper's landmarks; a flag is a low score or any reason."""
    cases = [
        outcome([0.1, 0, 0]),
        outcome([0, 0.2, 0], score=0.2, back_to_front=True, right=False),
        outcome([0, 0, 0.6], back_to_front=True),
        outcome([0, 0, 0], reasons=["left and right are uncertain"]),
    ]
    found = summarize(cases, [100, 101, 102, 103])
    assert found["mean_mm"][0] == pytest.approx(4.5)
    assert found["further_mean_mm"][0] == pytest.approx(4.5)
    assert found["cases_above_10_mm"] == 1
    assert found["wrong_sides"] == 1
    assert (found["back_to_front"], found["back_to_front_and_flagged"], found["flagged"]) == (
        2,
        1,
        2,
    )
    assert [case[0] for case in found["worst_cases"]] == [102, 101, 100, 103]
    assert found["per_landmark"]["crown"]["mean_mm"] == pytest.approx(4.5)

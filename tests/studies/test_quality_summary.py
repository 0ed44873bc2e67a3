"""What results say about themselves, against the truth: counts by hand."""

import numpy as np
import pytest

from studies.quality_summary import (
    LimbOutcome,
    Outcome,
    case_score,
    hidden_landmarks,
    lost_limbs,
    misjudged,
    no_fetus,
    sides_warning,
    summarize,
)


def outcome(error_mm=1.0, score=0.9, *, group="scans", cohort="normal", number=0, **changed):
    """A case whose landmarks are all equally wrong."""
    plain = {
        "landmarks": ("head", "neck", "left_wrist", "right_wrist"),
        "errors_mm": np.full(4, float(error_mm)),
        "hidden": np.zeros(4, bool),
        "confidence": np.full(4, 0.9),
        "fetus": 0.95,
        "sides": 0.99,
        "sides_right": True,
        "reasons": (),
        "limbs": {},
    }
    return Outcome(group=group, cohort=cohort, number=number, score=score, **(plain | changed))


def test_case_scores_by_hand():
    cases = [outcome(1.0, 0.9), outcome(2.0, 0.4), outcome(12.0, 0.6), outcome(6.0, 0.1)]
    found = case_score(cases)
    assert (found["cases"], found["above_5_mm"], found["above_10_mm"]) == (4, 2, 1)
    assert found["above_10_mm_with_quality_above_half"] == 1
    assert found["good_with_quality_below_half"] == 1
    assert found["auroc"][0] == pytest.approx(3 / 4)
    assert found["calibration_error"][0] == pytest.approx((0.1 + 0.6 + 0.6 + 0.1) / 4)


def test_a_missed_landmark_does_not_enter_the_mean_but_a_case_without_any_is_wrong():
    assert outcome(errors_mm=np.array([1.0, 3.0, np.inf, np.nan])).mean_mm == 2.0
    assert outcome(errors_mm=np.array([np.inf, np.nan])).mean_mm == np.inf


def test_false_alarms_count_only_for_good_poses():
    nothing = ("no fetus in view",)
    bodies = [outcome(), outcome(reasons=nothing), outcome(20.0, reasons=nothing), outcome(30.0)]
    empty = [
        outcome(np.nan, 0.1, group="empty", cohort=name, fetus=fetus, reasons=said)
        for name, fetus, said in (("a", 0.1, nothing), ("a", 0.97, ()), ("b", 0.2, nothing))
    ]
    found = no_fetus(bodies, empty)
    assert found["false_alarms"] == [1, 2]
    assert found["called_empty_among_wrong_poses"] == [1, 2]
    assert found["recognised"] == {"a": [1, 2], "b": [1, 1]}
    assert found["auroc"][0] == pytest.approx(8 / 12, abs=1e-4)
    assert found["empty_with_quality_above_half"] == 0


def test_warnings_of_the_sides_by_hand():
    """An exchanged pose that is called empty needs no further warning."""
    warned = ("left and right are uncertain: the mirrored pose fits nearly as well",)
    cases = [
        outcome(20.0, sides_right=False, reasons=warned),
        outcome(20.0, sides_right=False, reasons=("no fetus in view",)),
        outcome(20.0, sides_right=False),
        outcome(1.0, reasons=warned),
        outcome(1.0),
        outcome(20.0, reasons=warned),  # neither good nor exchanged: does not count
    ]
    found = sides_warning(cases)
    assert (found["exchanged"], found["exchanged_and_warned"]) == (3, 2)
    assert (found["good"], found["good_and_warned"]) == (2, 1)
    assert found["precision"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["recall"] == pytest.approx(2 / 3, abs=1e-4)


def test_limbs_by_hand():
    limbs = {
        "left arm": LimbOutcome(True, np.nan, True),
        "right arm": LimbOutcome(False, np.nan, True),
        "left leg": LimbOutcome(True, 9.0, False),
        "right leg": LimbOutcome(True, 1.0, False),
    }
    found = lost_limbs([outcome(limbs=limbs), outcome(score=0.3, limbs=limbs)])
    assert found == {
        "hidden": 2, "hidden_and_named": 1, "wrong": 1, "wrong_and_named": 1,
        "right": 1, "right_and_named": 1,
    }  # fmt: skip


def test_hidden_landmarks_and_misjudged_cases_by_hand():
    hidden = outcome(
        hidden=np.array([True, True, True, False]), confidence=np.array([0.0, 0.8, 0.1, 0.9])
    )
    assert hidden_landmarks([hidden]) == {
        "landmarks": 3, "mean_confidence": 0.3, "confidence_above_half": 1, "said_to_be_outside": 1,
    }  # fmt: skip
    worst, *_ = misjudged([outcome(1.0, 0.7), outcome(15.0, 0.8, number=5), outcome(1.0, 0.9)])
    assert (worst["number"], worst["mean_mm"], worst["score"]) == (5, 15.0, 0.8)


def test_the_summary_has_all_that_the_pages_show():
    views = [
        outcome(error, score, group=group, cohort=cohort, number=number,
                hidden=np.array([group == "partial", False, False, False]))
        for number in range(3)
        for error, score, group, cohort in (
            (1.0, 0.9, "scans", "normal"), (20.0, 0.1, "corruptions", "inverted grey levels"),
            (1.0, 0.8, "corruptions", "crop"), (2.0, 0.7, "partial", "limb lost"),
            (np.nan, 0.0, "empty", "speckle alone"),
        )
    ]  # fmt: skip
    found = summarize(views)
    assert found["cases"] == 3
    assert found["case_score"]["other corruptions"]["above_10_mm"] == 3
    assert found["case_score"]["normal, hard, shifted and corrupted"]["auroc"] == [1.0] * 3
    assert set(found["hidden_landmarks"]) == {"limb lost"}
    per_landmark = found["landmarks"]["normal"]["calibration_error_per_landmark"]
    assert per_landmark == dict.fromkeys(("head", "neck", "left_wrist", "right_wrist"), 0.1)
    assert {name: len(points) for name, points in found["points"].items()} == {
        "scans": 3, "corruptions": 6, "partial": 3,
    }  # fmt: skip

"""Calibration: right and wrong sides, volumes without a fetus, and probabilities that separate."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from fetusmap.anatomy import load_skeleton, reference_pose
from fetusmap.detect import BodyFrame, Detection
from fetusmap.errors import BadInput
from fetusmap.evaluate import sides_are_right
from fetusmap.geometry import Grid
from fetusmap.heatmap import Heatmaps
from fetusmap.quality import Evidence, collect_evidence
from fetusmap.simulate import draw_poses
from fetusmap.train.calibration import Trial, fit_calibration, try_cases, without_fetus

TRUTH = reference_pose(60.0).positions_mm
FRAME = BodyFrame(np.zeros(3), np.eye(3), 28.0)
HEATMAPS = Heatmaps(torch.zeros(16, 1, 1, 1), Grid((1, 1, 1), np.eye(4)))
LIBRARY = draw_poses(60, seed=4)


def detection(positions=TRUTH, mass=0.9, residual=0.05, distance_to_atlas_mean=0.05):
    """One whose landmarks are all equally sure."""
    return Detection(
        np.array(positions),
        np.full(16, mass),
        residual,
        np.full(16, distance_to_atlas_mean),
        FRAME,
        HEATMAPS,
        HEATMAPS.grid,
    )


def evidence(mass=0.9, residual=0.05, distance_to_atlas_mean=0.05, margin=0.1):
    """Of landmarks that are all equally sure."""
    return Evidence(np.full(16, mass), np.full(16, distance_to_atlas_mean), residual, margin)


def trial(found, error_mm, *, right=True):
    return Trial(found, np.full(16, float(error_mm)), right)


# Sides


@pytest.fixture
def order(skeleton):
    return skeleton.mirror_index


def test_sides_by_hand(skeleton, order):
    assert sides_are_right(skeleton, TRUTH, TRUTH)
    assert not sides_are_right(skeleton, TRUTH[order], TRUTH)
    assert sides_are_right(skeleton, TRUTH + 30.0, TRUTH)  # off, and not exchanged


def test_most_of_the_body_decides(skeleton):
    """One exchanged wrist leaves the body's sides right; five of six exchanged pairs do not."""
    for exchanged, right in (
        (["wrist"], True),
        (["shoulder", "hip", "elbow", "knee", "ankle"], False),
    ):
        found = TRUTH.copy()
        for name in exchanged:
            rows = skeleton.indices((f"left_{name}", f"right_{name}"))
            found[rows] = TRUTH[rows[::-1]]
        assert sides_are_right(skeleton, found, TRUTH) is right


def test_midline_landmarks_say_nothing_about_sides(skeleton, order):
    found = TRUTH[order].copy()
    found[skeleton.index("head")] += 1000
    assert not sides_are_right(skeleton, found, TRUTH)


@pytest.mark.parametrize("exchanged", [False, True])
def test_absent_landmarks_do_not_decide(skeleton, order, exchanged):
    truth = TRUTH.copy()
    truth[skeleton.indices(("left_wrist", "right_knee"))] = np.nan
    found = TRUTH[order] if exchanged else TRUTH
    assert sides_are_right(skeleton, found, truth) is not exchanged


# Trials


@dataclass
class Known:
    """A pipeline whose answers are known."""

    answers: list
    skeleton: ClassVar = load_skeleton()
    library: ClassVar = LIBRARY

    def detect(self, _):
        return self.answers.pop(0)


def test_a_trial_holds_the_errors_of_the_best_detection(blob_case, order):
    visible = blob_case.visible.copy()
    visible[5] = False
    case = replace(blob_case, visible=visible)
    off = detection(TRUTH + np.array([3.0, 4.0, 0.0]), mass=0.4)
    cascade = Known([[off, detection()], [], [detection(TRUTH[order])]])
    first, second = try_cases(cascade, [case, case, case])  # nothing found in the second
    assert first.evidence.masses.tolist() == [0.4] * 16
    assert first.evidence.distance_to_atlas_mean.tolist() == [0.05] * 16
    assert first.evidence.residual == 0.05
    assert first.evidence.margin == collect_evidence(off, LIBRARY).margin > 0
    assert second.evidence.margin == collect_evidence(detection(TRUTH[order]), LIBRARY).margin
    assert first.weight == second.weight == 1
    assert np.isnan(first.errors_mm[5])
    assert np.delete(first.errors_mm, 5) == pytest.approx([5.0] * 15)
    assert first.sides_right
    assert not second.sides_right


def test_each_detection_can_be_followed_by_a_mistake_on_purpose(blob_case, order):
    """Which is made of the volume and what was found in it, and counts for less."""
    best = [detection(), detection()]
    asked = []

    def exchanged(volume, found):
        asked.append((volume, found))
        return detection(TRUTH[order], mass=0.3)

    pipeline = Known([[best[0], detection(mass=0.2)], [], [best[1]]])
    trials = list(try_cases(pipeline, [blob_case] * 3, exchanged))
    assert [found for _, found in asked] == best
    for volume, _ in asked:
        assert volume.array is blob_case.array
        assert volume.grid == blob_case.grid
    assert [found.evidence.masses[0] for found in trials] == [0.9, 0.3, 0.9, 0.3]
    assert [found.sides_right for found in trials] == [True, False, True, False]
    assert [found.errors_mm.mean() > 5 for found in trials] == [False, True, False, True]
    assert trials[0].weight == trials[2].weight == 1
    assert 0 < trials[1].weight == trials[3].weight < 0.5


def test_a_visible_landmark_that_was_not_found_is_an_error(blob_case, skeleton):
    """And one that nobody could have seen is none."""
    head, wrist = skeleton.indices(("head", "left_wrist"))
    positions = TRUTH.copy()
    positions[[head, wrist]] = np.nan
    visible = blob_case.visible.copy()
    visible[wrist] = False
    case = replace(blob_case, visible=visible)
    (found,) = try_cases(Known([[detection(positions)]]), [case])
    assert found.errors_mm[head] > 50
    assert np.isnan(found.errors_mm[wrist])
    assert np.delete(found.errors_mm, [head, wrist]) == pytest.approx([0] * 14)


def test_cases_without_a_fetus_have_no_errors(blob_case):
    empty = without_fetus(blob_case, np.random.default_rng(0))
    (found,) = try_cases(Known([[detection()]]), [empty])
    assert np.isnan(found.errors_mm).all()


# Volumes without a fetus


@pytest.mark.parametrize("shape", [(9, 12, 15), (10, 14, 17)])
def test_shuffling_moves_whole_blocks(blob_case, shape):
    """Every block of the result is one of the case's, each once; what is left over stays."""
    rng = np.random.default_rng(1)
    array = rng.integers(0, 255, shape, dtype=np.uint8)
    case = replace(blob_case, array=array, grid=Grid.from_spacing(shape))
    before = array.copy()
    shuffled = without_fetus(case, np.random.default_rng(2))
    assert np.array_equal(array, before)
    assert shuffled.array.shape == shape
    assert shuffled.array.dtype == np.uint8
    assert shuffled.grid == case.grid
    assert not shuffled.visible.any()
    i, j, k = (n // 3 for n in shape)

    def blocks(voxels):
        return [
            voxels[a * i : a * i + i, b * j : b * j + j, c * k : c * k + k].tobytes()
            for a in range(3)
            for b in range(3)
            for c in range(3)
        ]

    assert sorted(blocks(shuffled.array)) == sorted(blocks(array))
    stayed = sum(a == b for a, b in zip(blocks(shuffled.array), blocks(array), strict=True))
    assert stayed < 9  # one of 27 on average
    left_over = np.ones(shape, bool)
    left_over[: 3 * i, : 3 * j, : 3 * k] = False
    assert np.array_equal(shuffled.array[left_over], array[left_over])


def test_shuffling_is_a_function_of_the_generator(blob_case):
    arrays = [without_fetus(blob_case, np.random.default_rng(seed)).array for seed in (3, 3, 4)]
    assert np.array_equal(arrays[0], arrays[1])
    assert not np.array_equal(arrays[0], arrays[2])


# Probabilities


GOOD = {"mass": 0.9, "residual": 0.05, "distance_to_atlas_mean": 0.03}
BAD = {"mass": 0.2, "residual": 0.3, "distance_to_atlas_mean": 0.4}


def test_trials_that_differ_are_separated():
    trials = [trial(evidence(**GOOD), 1.0)] * 20
    trials += [trial(evidence(**BAD, margin=-0.1), 20.0, right=False)] * 20
    nothing = evidence(mass=0.05, residual=0.6, distance_to_atlas_mean=0.8, margin=0.0)
    empty = [trial(nothing, np.nan)] * 20
    found = fit_calibration(trials, empty)
    assert (found.cases, found.empty_cases) == (40, 20)
    for one, likely in ((evidence(**GOOD), True), (evidence(**BAD, margin=-0.1), False)):
        case = one.case_features
        for probability in (
            *found.landmark.probability(one.landmark_features),
            float(found.case.probability(case)),
            float(found.sides.probability(case)),
        ):
            assert probability > 0.9 if likely else probability < 0.1
        assert float(found.fetus.probability(case)) > 0.9
    assert float(found.fetus.probability(nothing.case_features)) < 0.1


def test_probabilities_are_how_often_it_comes_true():
    """All trials look alike, and 7 in 10 are near; of those, 4 in 7 have their sides right."""
    alike = evidence(**GOOD)
    trials = [trial(alike, 1.0)] * 40 + [trial(alike, 1.0, right=False)] * 30
    trials += [trial(alike, 9.0, right=False)] * 30
    found = fit_calibration(trials, [trial(alike, np.nan)] * 25)
    landmarks, case = alike.landmark_features, alike.case_features
    assert found.landmark.probability(landmarks) == pytest.approx([0.7] * 16, abs=0.01)
    assert float(found.case.probability(case)) == pytest.approx(0.4, abs=0.01)
    assert float(found.sides.probability(case)) == pytest.approx(0.4, abs=0.01)
    assert float(found.fetus.probability(case)) == pytest.approx(0.8, abs=0.01)


def test_mistakes_on_purpose_count_as_little_as_they_weigh():
    """All look alike: 20 are right, and 20 of weight 0.25 are wrong, so 4 in 5 are right."""
    alike = evidence(**GOOD)
    wrong = replace(trial(alike, 9.0, right=False), weight=0.25)
    found = fit_calibration([trial(alike, 1.0), wrong] * 20, [trial(alike, np.nan)] * 20)
    landmarks, case = alike.landmark_features, alike.case_features
    # How often landmarks are right, the others say alone: always, here.
    assert found.landmark.probability(landmarks).min() > 0.99
    assert float(found.case.probability(case)) == pytest.approx(0.8, abs=0.01)
    assert float(found.sides.probability(case)) == pytest.approx(0.8, abs=0.01)
    assert float(found.fetus.probability(case)) == pytest.approx(0.5, abs=0.01)
    assert (found.cases, found.empty_cases) == (20, 20)


def test_landmarks_that_nobody_saw_take_no_part():
    errors = np.full(16, 1.0)
    errors[:8] = np.nan
    trials = [Trial(evidence(**GOOD), errors, True)] * 10
    trials += [trial(evidence(**BAD), 20.0)] * 10
    found = fit_calibration(trials, [trial(evidence(**BAD), np.nan)] * 5)
    assert found.landmark.probability(evidence(**GOOD).landmark_features).min() > 0.9


def test_whatever_came_true_gives_finite_probabilities():
    """Also when every trial did well."""
    found = fit_calibration(
        [trial(evidence(**GOOD), 1.0)] * 3, [trial(evidence(**BAD), np.nan)] * 3
    )
    case = evidence(**GOOD).case_features
    for logistic in (found.case, found.sides, found.fetus):
        assert 0.9 < float(logistic.probability(case)) <= 1


def test_where_no_body_is_ever_found_there_is_nothing_to_learn_from():
    with pytest.raises(BadInput, match="found none; train longer") as caught:
        fit_calibration([], [trial(evidence(**BAD), np.nan)] * 3)
    assert "\n" not in str(caught.value)


def test_without_volumes_that_show_no_fetus_every_volume_is_taken_to_show_one():
    """The other probabilities are what they would be otherwise."""
    trials = [trial(evidence(**GOOD), 1.0)] * 12 + [trial(evidence(**BAD), 20.0, right=False)] * 12
    found = fit_calibration(trials, [])
    other = fit_calibration(trials, [trial(evidence(mass=0.05), np.nan)] * 12)
    assert (found.cases, found.empty_cases) == (24, 0)
    for quality in (GOOD, BAD):
        assert float(found.fetus.probability(evidence(**quality).case_features)) > 0.95
    assert (found.landmark, found.case, found.sides) == (other.landmark, other.case, other.sides)

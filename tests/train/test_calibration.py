"""Calibration: right and wrong sides, volumes without a fetus, and probabilities that separate."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from fetusmap.anatomy import fit_length_interval, load_skeleton, reference_pose
from fetusmap.atlas import PoseLibrary
from fetusmap.detect import BodyFrame, Detection
from fetusmap.errors import BadInput
from fetusmap.evaluate import sides_are_right
from fetusmap.geometry import Grid
from fetusmap.heatmap import Heatmaps
from fetusmap.quality import Evidence, collect_evidence
from fetusmap.simulate import draw_poses
from fetusmap.train.calibration import (
    WEIGHTS,
    Trial,
    Trials,
    fit_calibration,
    try_case,
    try_held_out,
)
from fetusmap.train.variants import without_fetus

TRUTH = reference_pose(60.0).positions_mm
FRAME = BodyFrame(np.zeros(3), np.eye(3), 28.0)
GRID = Grid((1, 1, 1), np.eye(4))
HEATMAPS = Heatmaps(torch.zeros(16, 1, 1, 1), GRID)
LIBRARY = draw_poses(60, seed=4).on(load_skeleton("fetus-16"))


def detection(positions=TRUTH, mass=0.9, residual=0.05, distance_to_atlas_mean=0.05):
    """One whose landmarks are all equally sure."""
    return Detection(
        np.array(positions),
        np.full(16, mass),
        residual,
        np.full(16, distance_to_atlas_mean),
        FRAME,
        HEATMAPS,
        GRID,
    )


def evidence(mass=0.9, residual=0.05, distance_to_atlas_mean=0.05, margin=0.1, first_pass=0.1):
    """Of landmarks that are all equally sure."""
    sure, near = np.full(16, mass), np.full(16, distance_to_atlas_mean)
    return Evidence(sure, near, residual, margin, np.full(16, first_pass))


def trial(found, error_mm, *, right=True, kind="scan"):
    return Trial(found, np.full(16, float(error_mm)), right, kind)


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
    """A pipeline whose answers are known; it keeps what it was shown."""

    answers: list
    shown: list = field(default_factory=list)
    skeleton: ClassVar = load_skeleton("fetus-16")
    library: ClassVar = LIBRARY

    def detect(self, volume):
        self.shown.append(volume)
        return self.answers.pop(0)


def test_a_trial_holds_the_errors_of_the_best_detection(blob_case, order):
    visible = blob_case.visible.copy()
    visible[5] = False
    case = replace(blob_case, visible=visible)
    off = detection(TRUTH + np.array([3.0, 4.0, 0.0]), mass=0.4)
    (first,) = try_case(Known([[off, detection()]]), case)
    assert list(try_case(Known([[]]), case)) == []  # nothing found
    (second,) = try_case(Known([[detection(TRUTH[order])]]), case)
    assert first.evidence.masses.tolist() == [0.4] * 16
    assert first.evidence.distance_to_atlas_mean.tolist() == [0.05] * 16
    assert first.evidence.residual == 0.05
    assert first.evidence.margin == collect_evidence(off, LIBRARY).margin > 0
    assert second.evidence.margin == collect_evidence(detection(TRUTH[order]), LIBRARY).margin
    assert first.kind == second.kind == "scan"
    assert np.isnan(first.errors_mm[5])
    assert np.delete(first.errors_mm, 5) == pytest.approx([5.0] * 15)
    assert np.isnan(first.hidden_mm).all()
    assert first.sides_right
    assert not second.sides_right


def test_the_evidence_holds_the_distance_from_the_first_pass(blob_case, skeleton):
    """The nearer of the two peaks of a pair counts; no peak at all gives NaN."""
    peaks = np.full((16, 2, 3), np.nan)
    peaks[:, 0] = TRUTH + 100.0
    peaks[:, 1] = TRUTH + np.array([0.0, 3.0, 0.0])
    peaks[4] = np.nan
    sacrum, _, neck = skeleton.indices(skeleton.trunk)
    trunk_mm = np.linalg.norm(TRUTH[neck] - TRUTH[sacrum])
    found = replace(detection(), first_pass_mm=peaks)
    distances = collect_evidence(found, LIBRARY).first_pass_distance
    assert np.flatnonzero(np.isnan(distances)).tolist() == [4]
    assert np.delete(distances, 4) == pytest.approx(3.0 / trunk_mm)
    assert np.isnan(collect_evidence(detection(), LIBRARY).first_pass_distance).all()
    without_size = TRUTH.copy()
    without_size[neck] = without_size[sacrum]
    pointlike = replace(detection(without_size), first_pass_mm=peaks)
    assert np.isnan(collect_evidence(pointlike, LIBRARY).first_pass_distance).all()


def test_each_detection_can_be_followed_by_a_mistake_on_purpose(blob_case, order):
    """Which is made of the volume and what was found in it."""
    best, asked = detection(), []

    def exchanged(volume, found):
        asked.append((volume, found))
        return detection(TRUTH[order], mass=0.3)

    first, second = try_case(Known([[best, detection(mass=0.2)]]), blob_case, mistake=exchanged)
    assert list(try_case(Known([[]]), blob_case, mistake=exchanged)) == []
    ((volume, found),) = asked
    assert found is best
    assert volume.array is blob_case.array
    assert volume.grid == blob_case.grid
    assert (first.kind, second.kind) == ("scan", "mistake")
    assert (first.evidence.masses[0], second.evidence.masses[0]) == (0.9, 0.3)
    assert (first.sides_right, second.sides_right) == (True, False)
    assert (first.is_near, second.is_near) == (True, False)


def test_a_visible_landmark_that_was_not_found_is_an_error(blob_case, skeleton):
    """And one that nobody could have seen is none."""
    head, wrist = skeleton.indices(("head", "left_wrist"))
    positions = TRUTH.copy()
    positions[[head, wrist]] = np.nan
    visible = blob_case.visible.copy()
    visible[wrist] = False
    case = replace(blob_case, visible=visible)
    (found,) = try_case(Known([[detection(positions)]]), case)
    assert found.errors_mm[head] > 50
    assert np.isnan(found.errors_mm[wrist])
    assert np.delete(found.errors_mm, [head, wrist]) == pytest.approx([0] * 14)


def test_cases_without_a_fetus_have_no_errors(blob_case):
    empty = without_fetus(blob_case, np.random.default_rng(0))
    (found,) = try_case(Known([[detection()]]), empty)
    assert np.isnan(found.errors_mm).all()


def test_held_out_cases_are_tried_as_they_are_in_variants_and_without_a_fetus(blob_case):
    """Each is cut off; one is corrupted, one loses a limb; of two cases the fetus is taken away."""
    pipeline = Known([[detection()]] * 8)
    found = try_held_out(pipeline, [blob_case] * 2, None, seed=3, empty=2)
    kinds = ["scan", "partial", "corrupted", "scan", "partial", "partial"]
    assert [trial.kind for trial in found.bodies] == kinds
    assert [trial.kind for trial in found.scans] == ["scan"] * 2
    assert len(found.empty) == 2
    shown = pipeline.shown
    assert shown[0].array is shown[3].array is blob_case.array
    changed = [volume.array for volume in (*shown[1:3], *shown[4:])]
    assert not any(np.array_equal(array, blob_case.array) for array in changed)
    for trial in found.bodies:
        hidden = np.isfinite(trial.hidden_mm)
        assert hidden.any() == (trial.kind != "scan")
        assert (hidden != np.isfinite(trial.errors_mm)).all()
    assert all(np.isnan(trial.errors_mm).all() for trial in found.empty)


def test_the_error_of_the_crown_rump_length_is_kept(make_case):
    skeleton = load_skeleton("fetus-22")
    truth = reference_pose(60.0, skeleton).positions_mm
    case = make_case(truth, ())
    crown, rump = skeleton.indices(skeleton.crown_rump_ends)
    away = (truth[crown] - truth[rump]) / np.linalg.norm(truth[crown] - truth[rump])
    positions = truth.copy()
    positions[crown] += 1.5 * away

    class Pipeline(Known):
        skeleton = load_skeleton("fetus-22")
        library = PoseLibrary(skeleton, np.float32(truth)[None].repeat(12, axis=0))

    found = Detection(positions, np.full(22, 0.9), 0.05, np.full(22, 0.05), FRAME, HEATMAPS, GRID)
    (trial,) = try_case(Pipeline([[found]]), case)
    assert trial.length_error_mm == pytest.approx(1.5, abs=1e-3)
    hidden = replace(case, visible=np.arange(22) != rump)
    (unknown,) = try_case(Pipeline([[found]]), hidden)
    assert np.isnan(unknown.length_error_mm)


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


GOOD = {"mass": 0.9, "residual": 0.05, "distance_to_atlas_mean": 0.03, "first_pass": 0.05}
BAD = {"mass": 0.2, "residual": 0.3, "distance_to_atlas_mean": 0.4, "first_pass": 0.9}
SKELETON = load_skeleton("fetus-16")


def fitted(bodies, empty=(), skeleton=SKELETON):
    return fit_calibration(Trials(list(bodies), list(empty)), skeleton)


def test_trials_that_differ_are_separated():
    trials = [trial(evidence(**GOOD), 1.0)] * 20
    trials += [trial(evidence(**BAD, margin=-0.1), 20.0, right=False)] * 20
    nothing = evidence(mass=0.05, residual=0.6, distance_to_atlas_mean=0.8, margin=0.0)
    found = fitted(trials, [trial(nothing, np.nan)] * 20)
    assert (found.cases, found.empty_cases) == (40, 20)
    for one, likely in ((evidence(**GOOD), True), (evidence(**BAD, margin=-0.1), False)):
        case = found.case_probabilities(one)
        for probability in (*found.confidence(one), case.correct, case.sides):
            assert probability > 0.9 if likely else probability < 0.1
        assert case.fetus > 0.9
    assert found.case_probabilities(nothing).fetus < 0.1


def test_probabilities_are_how_often_it_comes_true():
    """All trials look alike, and 7 in 10 are near; of those, 4 in 7 have their sides right."""
    alike = evidence(**GOOD)
    trials = [trial(alike, 1.0)] * 40 + [trial(alike, 1.0, right=False)] * 30
    trials += [trial(alike, 9.0, right=False)] * 30
    found = fitted(trials, [trial(alike, np.nan)] * 25)
    case = found.case_probabilities(alike)
    assert found.confidence(alike) == pytest.approx([0.7] * 16, abs=0.01)
    assert case.correct == pytest.approx(0.4, abs=0.01)
    assert case.sides == pytest.approx(0.4, abs=0.01)
    assert case.fetus == pytest.approx(0.8, abs=0.01)
    # 40 correct poses among 100 trials and 25 empty ones of weight 0.3.
    assert case.score == pytest.approx(40 / (100 + 25 * WEIGHTS["empty"]), abs=0.01)


def test_wrong_poses_in_partial_views_do_not_count_as_a_sight_of_a_fetus():
    alike = evidence(**GOOD)
    near, far = (trial(alike, error, kind="partial") for error in (1.0, 20.0))
    found = fitted([near] * 30 + [far] * 50, [trial(alike, np.nan)] * 10)
    assert found.case_probabilities(alike).fetus == pytest.approx(0.75, abs=0.01)


def test_the_end_of_a_limb_is_seen_if_it_is_visible_and_near():
    """Of the left wrist a third is hidden but near, a third visible and far, a third right."""
    wrist = SKELETON.index("left_wrist")
    trials = []
    for number in range(60):
        masses, errors, hidden = np.full(16, 0.95), np.full(16, 1.0), np.full(16, np.nan)
        masses[SKELETON.indices(("left_elbow", "left_wrist"))] = 0.5
        if number % 3 == 0:
            errors[wrist], hidden[wrist] = np.nan, 1.0
        elif number % 3 == 1:
            errors[wrist] = 20.0
        seen = Evidence(masses, np.full(16, 0.05), 0.05, 0.1, np.full(16, 0.1))
        trials.append(Trial(seen, errors, True, "scan", hidden))
    arms_and_legs = fitted(trials).limb_probabilities(seen, SKELETON)
    assert arms_and_legs[0] == pytest.approx(1 / 3, abs=0.03)
    assert arms_and_legs[1:].min() > 0.95


def test_mistakes_on_purpose_count_as_little_as_they_weigh():
    """All look alike: 20 are right, and 20 of a tenth of the weight are wrong."""
    alike = evidence(**GOOD)
    wrong = trial(alike, 9.0, right=False, kind="mistake")
    found = fitted([trial(alike, 1.0), wrong] * 20, [trial(alike, np.nan)] * 20)
    case = found.case_probabilities(alike)
    # How often landmarks are right, the others say alone: always, here.
    assert found.confidence(alike).min() > 0.99
    assert case.correct == pytest.approx(1 / (1 + WEIGHTS["mistake"]), abs=0.01)
    assert case.sides == pytest.approx(1 / (1 + WEIGHTS["mistake"]), abs=0.01)
    assert case.fetus == pytest.approx(0.5, abs=0.01)
    assert (found.cases, found.empty_cases) == (20, 20)


def test_landmarks_that_nobody_saw_take_no_part():
    errors = np.full(16, 1.0)
    errors[:8] = np.nan
    trials = [Trial(evidence(**GOOD), errors, True)] * 10
    trials += [trial(evidence(**BAD), 20.0)] * 10
    found = fitted(trials, [trial(evidence(**BAD), np.nan)] * 5)
    assert found.confidence(evidence(**GOOD)).min() > 0.9


def test_a_hidden_landmark_is_right_if_it_was_found_nevertheless():
    """Half of the hidden landmarks are near, and half are far; of the visible ones all are near."""
    alike = evidence(**GOOD)
    hidden = np.full(16, np.nan)
    hidden[:8] = [1.0] * 4 + [20.0] * 4
    errors = np.where(np.isnan(hidden), 1.0, np.nan)
    found = fitted([Trial(alike, errors, True, "partial", hidden)] * 20)
    assert found.confidence(alike) == pytest.approx([12 / 16] * 16, abs=0.01)
    assert found.case_probabilities(alike).correct > 0.95  # over the visible ones
    assert found.cases == 0


def test_a_variant_that_shows_no_landmark_says_nothing_about_a_case():
    lost = Trial(evidence(**BAD), np.full(16, np.nan), False, "partial", np.full(16, 30.0))
    found = fitted([trial(evidence(**GOOD), 1.0)] * 10 + [lost] * 10)
    assert found.case_probabilities(evidence(**BAD)).correct > 0.9
    assert found.confidence(evidence(**BAD)).max() < 0.1


def test_whatever_came_true_gives_finite_probabilities():
    """Also when every trial did well."""
    found = fitted([trial(evidence(**GOOD), 1.0)] * 3, [trial(evidence(**BAD), np.nan)] * 3)
    case = found.case_probabilities(evidence(**GOOD))
    for probability in (case.correct, case.sides, case.fetus):
        assert 0.9 < probability <= 1


def test_where_no_body_is_ever_found_there_is_nothing_to_learn_from():
    with pytest.raises(BadInput, match="found none; train longer") as caught:
        fitted([], [trial(evidence(**BAD), np.nan)] * 3)
    assert "\n" not in str(caught.value)


def test_without_volumes_that_show_no_fetus_every_volume_is_taken_to_show_one():
    """The other probabilities are what they would be otherwise."""
    trials = [trial(evidence(**GOOD), 1.0)] * 12 + [trial(evidence(**BAD), 20.0, right=False)] * 12
    found = fitted(trials)
    other = fitted(trials, [trial(evidence(mass=0.05), np.nan)] * 12)
    assert (found.cases, found.empty_cases) == (24, 0)
    for quality in (GOOD, BAD):
        assert found.case_probabilities(evidence(**quality)).fetus > 0.95
    assert (found.landmark, found.case, found.sides) == (other.landmark, other.case, other.sides)


def test_the_interval_of_the_crown_rump_length_is_that_of_the_fitting_function():
    """Its confidences are those of crown and rump, and mistakes and variants take no part."""
    skeleton = load_skeleton("fetus-22")
    rng = np.random.default_rng(0)
    trials = []
    for number in range(60):
        masses = rng.uniform(0.7, 0.95, 22)
        seen = Evidence(masses, np.full(22, 0.05), 0.05, 0.1, np.full(22, 0.05))
        kind = ("scan", "partial", "mistake")[number % 3]
        errors = np.where(rng.random(22) < masses, 1.0, 8.0)
        trials.append(Trial(seen, errors, True, kind, length_error_mm=rng.normal(0, 1)))
    found = fitted(trials, skeleton=skeleton)
    ends = skeleton.indices(("crown", "rump"))
    scans = trials[::3]
    expected = fit_length_interval(
        [scan.length_error_mm for scan in scans],
        [
            found.case_probabilities(scan.evidence).fetus * found.confidence(scan.evidence)[ends]
            for scan in scans
        ],
    )
    assert found.crown_rump == expected
    assert expected.cases == 20
    assert fitted([trial(evidence(**GOOD), 1.0)] * 30).crown_rump is None  # of fetus-16

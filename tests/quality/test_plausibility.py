"""How plausible a result is: its reasons, and what they do to the quality score."""

from dataclasses import replace

import numpy as np
import pytest

from fetusmap.anatomy import LengthInterval, Pose, SizeFacts, load_skeleton, reference_pose
from fetusmap.geometry import Grid
from fetusmap.quality import (
    NO_FETUS,
    SCORE_FACTORS,
    Calibration,
    Evidence,
    Logistic,
    assess_quality,
    check_plausibility,
    doubts_about_volume,
    no_fetus_pose,
)
from fetusmap.quality.field_of_view import distance_outside_mm, extent_with_echoes_mm
from fetusmap.volume import Volume

FACTS = SizeFacts((0.5, 0.5, 0.75))


def cube(side_mm: float) -> Volume:
    """A volume full of echoes around the origin, 2 mm voxels."""
    count = round(side_mm / 2)
    grid = Grid.centered((count,) * 3, 2.0, np.zeros(3))
    return Volume(np.full(grid.shape, 9, np.uint8), grid)


def body(crl_mm: float = 60.0, **steps) -> Pose:
    """The example pose, around the origin, with some landmarks displaced by a step."""
    pose = reference_pose(crl_mm, load_skeleton("fetus-22"))
    positions = pose.positions_mm - pose.positions_mm.mean(axis=0)
    for name, step in steps.items():
        positions[pose.skeleton.index(name)] += step
    return replace(pose, positions_mm=positions)


def assessed(pose: Pose, volume: Volume, score: float = 0.99) -> Pose:
    """The pose with the quality of a case whose evidence says `score`."""
    says = Logistic(intercept=float(np.log(score / (1 - score))), weights=(0.0,) * 4)
    sure = Logistic(intercept=6.0, weights=(0.0,) * 4)
    calibration = Calibration(
        landmark=sure, case=says, fetus=says, sides=sure, score=says, cases=30, empty_cases=0,
        crown_rump=LengthInterval(coverage=0.95, scale=0.8, cases=30),
    )  # fmt: skip
    count = len(pose.skeleton)
    evidence = Evidence(np.full(count, 0.9), np.zeros(count), 0.0, 0.1, np.zeros(count))
    skeleton = pose.skeleton
    return assess_quality(evidence, pose.positions_mm, skeleton, calibration, volume, FACTS)


# --- The score ---


def test_a_plausible_pose_keeps_its_score_and_has_no_reason():
    found = assessed(body(), cube(120)).quality
    assert found.reasons == ()
    assert found.score == 0.99


@pytest.mark.parametrize(
    ("crl_mm", "score"), [(20, 0.495), (12, 0.198), (110, 0.495), (125, 0.198)]
)
def test_no_body_of_impossible_size_has_a_score_above_one_half(crl_mm, score):
    found = assessed(body(crl_mm), cube(176)).quality
    assert found.score == pytest.approx(score)
    (reason,) = found.reasons
    assert reason.startswith("the body is")
    assert "check the voxel size of the file (0.5 x 0.5 x 0.75 mm)" in reason


def test_an_implausible_limb_is_a_reason_that_names_it_and_lowers_the_score():
    found = assessed(body(left_wrist=[-25, 0, 0]), cube(120)).quality
    (reason,) = found.reasons
    assert reason.startswith("the lengths of the left arm are implausible: elbow to wrist measures")
    assert found.score == pytest.approx(0.99 * SCORE_FACTORS["lengths"])


def test_factors_of_several_reasons_are_multiplied():
    pose = body(100.0, left_wrist=[-40, 0, 0])
    found = check_plausibility(pose, cube(200), FACTS)
    assert [reason.split()[1] for reason in found.reasons] == ["body", "lengths"]
    assert found.factor == pytest.approx(0.5 * 0.8)
    assert max(SCORE_FACTORS.values()) < 1


def test_confidences_are_those_of_the_evidence():
    """A body of the wrong size has its landmarks at the right voxels."""
    usual, large = assessed(body(), cube(160)), assessed(body(100), cube(160))
    np.testing.assert_array_equal(usual.confidence, large.confidence)


# --- The volume ---


def test_a_volume_that_no_scan_fills_is_a_reason():
    assert check_plausibility(body(), cube(180), FACTS).reasons == ()
    found = check_plausibility(body(), cube(192), FACTS)
    assert found.reasons == (
        "the volume shows 192 x 192 x 192 mm, more than a scan of a fetus of 10 to 14 weeks: check "
        "the voxel size of the file (0.5 x 0.5 x 0.75 mm)",
    )
    assert found.factor == SCORE_FACTORS["volume"]


def test_zeros_around_a_scan_do_not_make_it_larger():
    array = np.zeros((120, 120, 120), np.uint8)
    array[20:60, 40:80, 61:67] = 5
    padded = Volume(array, Grid.centered(array.shape, 2.0, np.zeros(3)))
    assert extent_with_echoes_mm(padded) == (80.0, 80.0, 16.0)  # blocks of 8 mm
    assert check_plausibility(body(), padded, FACTS).factor == 1
    padded.array[:] = 0
    assert extent_with_echoes_mm(padded) == (0.0, 0.0, 0.0)


def test_where_no_fetus_was_found_a_wrong_size_of_the_volume_is_told():
    skeleton = load_skeleton("fetus-22")
    assert no_fetus_pose(skeleton, cube(120), FACTS).quality.reasons == (NO_FETUS,)
    told = no_fetus_pose(skeleton, cube(40), FACTS).quality.reasons
    assert told == (NO_FETUS, *doubts_about_volume(cube(40), FACTS))
    assert told[1] == (
        "the volume shows only 40 x 40 x 40 mm, little room for a fetus of 10 to 14 weeks: check "
        "the voxel size of the file (0.5 x 0.5 x 0.75 mm)"
    )
    # A pose that is nowhere: neither its limbs nor its size are spoken of.
    found = assessed(body(140, left_wrist=[-40, 0, 0]), cube(300), score=0.05).quality
    assert found.reasons == (NO_FETUS, *doubts_about_volume(cube(300), FACTS))


# --- Far outside ---


def test_the_distance_from_the_field_of_view_is_that_from_the_box_or_from_the_fan():
    array = np.zeros((40, 40, 40), np.uint8)
    array[8:32, 8:32, 8:32] = 50
    volume = Volume(array, Grid.from_spacing(array.shape, 1.0))
    points = np.array([[20, 20, 20], [20, 20, 39.5], [20, 20, 51.5], [np.nan] * 3])
    # Along the axis through the middle of a block, the last block ends at 31.5.
    points[1:3, :2] = 17.5
    np.testing.assert_allclose(distance_outside_mm(volume, points), [0, 8, 20, np.nan])


def test_a_landmark_far_outside_the_field_of_view_is_a_reason():
    pose = body()
    low = pose["left_foot"].position_mm
    near = check_plausibility(body(left_foot=[0, 0, -55.0 - low[2]]), cube(80), FACTS)
    far = check_plausibility(body(left_foot=[0, 0, -90.0 - low[2]]), cube(80), FACTS)
    assert not any("field of view" in reason for reason in near.reasons)
    (reason,) = [reason for reason in far.reasons if "field of view" in reason]
    # The box ends at -40; blocks of 8 mm have their centres at -36.
    assert reason.startswith("left_foot lies 5")
    assert reason.endswith("mm outside the field of view, farther than the trunk is long")

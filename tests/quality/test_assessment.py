"""How far a pose may be trusted, in numbers and in words."""

from __future__ import annotations

import numpy as np
import pytest

from fetusmap.anatomy import LengthInterval, limbs_of_both_sides, reference_pose
from fetusmap.geometry import Grid
from fetusmap.quality import (
    Calibration,
    CaseProbabilities,
    Evidence,
    Logistic,
    assess_quality,
    doubts_about_landmarks,
    in_field_of_view,
    reasons_to_doubt,
)
from fetusmap.volume import Volume

FLAT = Logistic(intercept=0.0, weights=(0.0,) * 4)
SURE = Logistic(intercept=5.0, weights=(0.0,) * 4)
ROOM = Grid.from_spacing((90, 90, 90), (2.0,) * 3, (-89.0,) * 3)


@pytest.mark.parametrize(
    ("fetus", "correct", "reasons"),
    [
        # Less likely than not, and a pose that nobody could use: said without hedging.
        (0.3, 0.02, ["no fetus in view"]),
        (0.02, 0.9, ["no fetus in view"]),
        (0.4, 0.8, ["perhaps no fetus in view"]),
        (0.9, 0.02, ["the detection is doubtful: check every landmark"]),
        (0.9, 0.9, []),
    ],
)
def test_no_fetus_is_said_plainly_where_the_pose_is_worthless(fetus, correct, reasons):
    assert (
        reasons_to_doubt(CaseProbabilities(fetus, 0.99, correct, fetus * correct), 0.1, [])
        == reasons
    )


def assessed(volume, logistic=SURE, *, masses=None, **changed):
    pose = reference_pose(60.0)
    calibration = Calibration(
        landmark=SURE, case=logistic, fetus=SURE, sides=SURE, cases=30, empty_cases=0, **changed
    )
    peaks = np.full(16, 0.9) if masses is None else masses
    evidence = Evidence(peaks, np.zeros(16), 0.0, 0.1, np.zeros(16))
    return assess_quality(evidence, pose.positions_mm, pose.skeleton, calibration, volume)


def test_the_interval_of_the_crown_rump_length_comes_with_the_pose() -> None:
    interval = LengthInterval(coverage=0.95, scale=0.7, cases=30)
    volume = Volume(np.ones(ROOM.shape, np.uint8), ROOM)
    found = assessed(volume, crown_rump=interval)
    assert found.quality.crown_rump_interval == interval


# The field of view


def test_the_field_of_view_ends_where_zeros_reach_the_border_of_the_box():
    array = np.zeros((40, 40, 40), np.uint8)
    array[8:32, 8:32, 8:32] = 50
    array[16:24, 16:24, 16:24] = 0  # fluid without echoes
    volume = Volume(array, Grid.from_spacing((40, 40, 40), 0.5, (1.0, 2.0, 3.0)))
    points = volume.grid.to_world(
        [[20, 20, 20], [9, 9, 9], [4, 20, 20], [50, 20, 20], [np.nan] * 3]
    )
    assert in_field_of_view(volume, points).tolist() == [True, True, False, False, False]


def test_a_volume_whose_sides_are_no_multiples_of_a_block_has_a_field_of_view():
    volume = Volume(np.ones((5, 6, 7), np.uint8), Grid.from_spacing((5, 6, 7), 1.0))
    assert in_field_of_view(
        volume, np.array([[4.4, 5.4, 6.4], [0, 0, 0], [4.6, 0, 0]])
    ).tolist() == [
        True,
        True,
        False,
    ]


def test_landmarks_outside_the_field_of_view_are_said_to_be_there_and_not_trusted():
    """Cranial of the neck everything is blank: only the head lies there."""
    head, neck = (reference_pose(60.0)[name].position_mm for name in ("head", "neck"))
    array = np.ones(ROOM.shape, np.uint8)
    heights = ROOM.centers_mm()[..., 2]
    array[heights > (head[2] + neck[2]) / 2] = 0
    pose = assessed(Volume(array, ROOM))
    assert np.flatnonzero(pose.confidence == 0).tolist() == [pose.skeleton.index("head")]
    assert pose.quality.reasons == ("head lies outside the field of view",)


# Limbs


def test_limbs_have_names_and_begin_at_their_roots(skeleton):
    names = {
        limb: [skeleton.landmarks[row] for row in rows]
        for limb, rows in limbs_of_both_sides(skeleton).items()
    }
    assert names == {
        "left arm": ["left_shoulder", "left_elbow", "left_wrist"],
        "right arm": ["right_shoulder", "right_elbow", "right_wrist"],
        "left leg": ["left_hip", "left_knee", "left_ankle"],
        "right leg": ["right_hip", "right_knee", "right_ankle"],
    }


def doubts(skeleton, lost=(), beyond=(), absent=()):
    """Doubts about limbs that are not seen, and landmarks outside the box or without a position."""
    rows = {name: np.isin(skeleton.landmarks, names) for name, names in
            {"beyond": beyond, "absent": absent}.items()}  # fmt: skip
    return doubts_about_landmarks(
        skeleton,
        found=~rows["absent"],
        inside=~rows["absent"] & ~rows["beyond"],
        in_view=~rows["absent"] & ~rows["beyond"],
        limbs=np.where(np.isin(list(limbs_of_both_sides(skeleton)), lost), 0.2, 0.9),
    )


def test_a_lost_limb_is_named_with_the_landmarks_that_are_guesses(skeleton):
    rest = "from the rest of the body"
    assert doubts(skeleton) == []
    assert doubts(skeleton, ["left arm"]) == [
        f"the left arm was not found: elbow and wrist are guesses {rest}"
    ]
    assert doubts(skeleton, beyond=["right_ankle"]) == [
        f"the right leg leaves the field of view: ankle is a guess {rest}"
    ]
    assert doubts(skeleton, ["right leg"], beyond=["right_ankle"]) == [
        f"the right leg leaves the field of view: knee and ankle are guesses {rest}"
    ]
    assert doubts(skeleton, absent=["left_wrist"]) == [
        f"the left arm was not found: wrist is a guess {rest}"
    ]


def test_what_belongs_to_no_limb_is_named_by_itself(skeleton):
    """And so are the inner landmarks of a limb whose end is seen."""
    assert doubts(skeleton, beyond=["left_knee"]) == ["left_knee lies outside the volume"]
    assert doubts(skeleton, beyond=["head", "left_hip"], absent=["neck"]) == [
        "head lies outside the volume",
        "neck was not found",
        "left_hip lies outside the volume",
    ]


def test_where_the_whole_case_is_doubtful_no_limb_is_named():
    """The low masses of the left arm's peaks say that it is lost."""
    volume = Volume(np.ones(ROOM.shape, np.uint8), ROOM)
    skeleton = reference_pose().skeleton
    masses = np.full(16, 0.9)
    masses[skeleton.indices(("left_elbow", "left_wrist"))] = 0.1
    by_mass = Logistic(intercept=0.0, weights=(0.5, 0.5))
    named = assessed(volume, masses=masses, limb=by_mass)
    assert named.quality.reasons == (
        "the left arm was not found: elbow and wrist are guesses from the rest of the body",
    )
    doubtful = Logistic(intercept=-1.0, weights=(0.0,) * 4)
    assert assessed(volume, masses=masses).quality.reasons == ()  # of an earlier card
    assert assessed(volume, doubtful, masses=masses, limb=by_mass).quality.reasons == (
        "the detection is doubtful: check every landmark",
    )

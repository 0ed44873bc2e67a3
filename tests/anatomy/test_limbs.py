"""Limbs of a skeleton: named by its file, or derived from its segments; checked by hand."""

from dataclasses import replace
from itertools import pairwise

import pytest

from fetusmap.anatomy import (
    Limb,
    Segment,
    Skeleton,
    load_skeleton,
    plain_from_skeleton,
    skeleton_from_plain,
)
from fetusmap.errors import BadInput

ARM = ("left_shoulder", "left_elbow", "left_wrist")
LEG = ("left_hip", "left_knee", "left_ankle")


def chain(*names):
    return tuple(Segment(f"{a}-{b}", a, b) for a, b in pairwise(names))


def skeleton_of(pairs, segments, limbs=(), midline=("nose",)):
    landmarks = (*midline, *(name for pair in pairs for name in pair))
    return Skeleton("test", landmarks, segments, pairs, limbs=limbs)


def both(*names):
    return tuple((f"left_{name}", f"right_{name}") for name in names)


def test_fetus_16_names_an_arm_and_a_leg(skeleton):
    assert skeleton.limbs == (Limb("arm", ARM), Limb("leg", LEG))
    assert [rows.tolist() for rows in skeleton.limb_index] == [[3, 8, 9], [13, 14, 15]]


def test_without_named_limbs_the_same_limbs_follow_from_the_segments(skeleton):
    plain = plain_from_skeleton(skeleton)
    del plain["limbs"]
    derived = skeleton_from_plain(plain)
    assert derived.limbs == (Limb("shoulder to wrist", ARM), Limb("hip to ankle", LEG))
    assert derived == skeleton


def test_a_limb_begins_at_the_midline_even_if_another_landmark_comes_first():
    pairs = both("hand", "elbow", "shoulder")
    segments = chain("nose", "left_shoulder", "left_elbow", "left_hand")
    (limb,) = skeleton_of(pairs, segments).limbs
    assert limb == Limb("shoulder to hand", ("left_shoulder", "left_elbow", "left_hand"))


def test_a_branch_belongs_to_the_limb_nearest_landmarks_first():
    pairs = both("hand", "thumb", "nail", "finger")
    segments = (
        *chain("nose", "left_hand", "left_thumb", "left_nail"),
        *chain("left_hand", "left_finger"),
    )
    (limb,) = skeleton_of(pairs, segments).limbs
    assert limb.landmarks == ("left_hand", "left_thumb", "left_finger", "left_nail")


def test_a_pair_without_segments_is_a_limb_of_its_own():
    assert skeleton_of(both("eye"), ()).limbs == (Limb("eye", ("left_eye",)),)


def test_named_limbs_come_first_and_unnamed_pairs_are_added():
    pairs = both("eye", "elbow", "hand")
    segments = chain("nose", "left_elbow", "left_hand")
    named = (Limb("arm", ("left_elbow", "left_hand")),)
    assert skeleton_of(pairs, segments, named).limbs == (*named, Limb("eye", ("left_eye",)))


def test_a_part_of_a_skeleton_keeps_the_parts_of_its_limbs(skeleton):
    without = {"left_elbow", "right_elbow", *LEG, *(name.replace("left", "right") for name in LEG)}
    part = replace(
        skeleton,
        landmarks=tuple(name for name in skeleton.landmarks if name not in without),
        segments=(),
        mirror_pairs=tuple(pair for pair in skeleton.mirror_pairs if pair[0] not in without),
    )
    assert part.limbs == (Limb("arm", ("left_shoulder", "left_wrist")),)
    assert [part.landmarks[row] for row in part.limb_index[0]] == ["left_shoulder", "left_wrist"]


def test_names_without_left_and_right_are_kept_as_they_are():
    lettered = skeleton_of((("L1", "R1"), ("knee_l", "knee_r")), chain("nose", "L1"))
    assert [limb.name for limb in lettered.limbs] == ["L1", "knee"]
    assert lettered.name_without_side("R1") == "L1"
    assert lettered.name_without_side("knee_r") == "knee"
    assert lettered.name_without_side("nose") == "nose"


def test_limbs_of_equal_derived_names_survive_the_round_trip():
    pairs = (("left_arm_a", "right_arm_b"), ("left_arm_c", "right_arm_d"))
    skeleton = skeleton_of(pairs, ())
    assert [limb.name for limb in skeleton.limbs] == ["arm", "arm"]
    assert skeleton_from_plain(plain_from_skeleton(skeleton)).limbs == skeleton.limbs


def limbs_file(*limbs):
    plain = plain_from_skeleton(load_skeleton())
    return {**plain, "limbs": [{"name": "limb", "landmarks": list(names)} for names in limbs]}


@pytest.mark.parametrize(
    ("limbs", "found"),
    [
        ([("right_elbow",)], "'right_elbow' is in a limb but is not the first landmark"),
        ([("neck", "left_elbow")], "'neck' is in a limb but is not the first landmark"),
        ([("ear",)], "'ear' is in a limb but is not the first landmark"),
        ([("left_elbow",), ("left_elbow",)], "landmark in limbs 'left_elbow' appears more than"),
        ([()], "limbs.0.landmarks: Tuple should have at least 1 item"),
    ],
)
def test_a_limb_that_cannot_be_is_refused(limbs, found):
    with pytest.raises(BadInput) as error:
        skeleton_from_plain(limbs_file(*limbs))
    assert found in error.value.found

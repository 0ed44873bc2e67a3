"""What a refinement changed, in words."""

import numpy as np
import pytest

from fetusmap.anatomy import Limb, Segment, Skeleton, load_skeleton, reference_pose
from fetusmap.refine.changes import changes_between

SKELETON = load_skeleton()
POSE = reference_pose(70.0).positions_mm


def exchanging(*names):
    """The pose with these pairs exchanged."""
    pose = POSE.copy()
    for name in names:
        pair = SKELETON.indices((f"left_{name}", f"right_{name}"))
        pose[pair] = pose[pair[::-1]]
    return pose


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("shoulder", "elbow", "wrist", "hip", "knee", "ankle"), ("left and right exchanged",)),
        (("elbow", "wrist"), ("left and right arm exchanged",)),
        (("knee", "ankle"), ("left and right leg exchanged",)),
        (("wrist",), ("left and right wrist exchanged",)),
        (("ankle",), ("left and right ankle exchanged",)),
        (("shoulder", "elbow", "wrist"), ("left and right arm exchanged",)),
        (("hip", "knee", "ankle"), ("left and right leg exchanged",)),
        (("elbow",), ("left and right elbow exchanged",)),
        (("wrist", "knee", "ankle"), (
            "left and right wrist exchanged", "left and right leg exchanged",
        )),
        ((), ()),
    ],
)  # fmt: skip
def test_exchanged_sides_are_told_by_limb(names, said):
    assert changes_between(SKELETON, exchanging(*names), POSE) == said
    assert changes_between(SKELETON, POSE, exchanging(*names)) == said


def test_limbs_of_another_skeleton_have_its_own_names():
    pairs = (("left_elbow", "right_elbow"), ("left_hand", "right_hand"), ("left_eye", "right_eye"))
    landmarks = ("nose", *(name for pair in pairs for name in pair))
    segments = (Segment("upper", "nose", "left_elbow"), Segment("lower", "left_elbow", "left_hand"))
    before = np.arange(21.0).reshape(7, 3) * 10
    swapped = before[[0, 2, 1, 4, 3, 5, 6]]
    skeleton = Skeleton("own", landmarks, segments, pairs)
    assert changes_between(skeleton, before, swapped) == ("left and right elbow to hand exchanged",)
    named = Skeleton("own", landmarks, segments, pairs, limbs=(Limb("arm", pairs_of(pairs)),))
    assert changes_between(named, before, swapped) == ("left and right arm exchanged",)
    hands = before[[0, 1, 2, 4, 3, 5, 6]]
    assert changes_between(named, before, hands) == ("left and right hand exchanged",)


def pairs_of(pairs):
    return tuple(left for left, _ in pairs[:2])


def test_what_moved_far_is_told_with_its_distance():
    after = POSE.copy()
    after[SKELETON.index("head")] += [0, 7.4, 0]
    after[SKELETON.index("left_knee")] += [0, 0, 4.9]
    assert changes_between(SKELETON, POSE, after) == (
        "head moved by 7 mm",
        "2 landmarks moved, by 6.2 mm on average",  # (7.4 + 4.9) / 2
    )


def test_an_exchanged_landmark_that_moved_too_is_told_twice():
    after = exchanging("wrist")
    after[SKELETON.index("left_wrist")] += [0, 0, 6.2]
    assert changes_between(SKELETON, POSE, after) == (
        "left and right wrist exchanged",
        "left_wrist moved by 6 mm",
        "1 landmark moved, by 6.2 mm on average",
    )


def test_what_was_not_there_before_is_found():
    before = POSE.copy()
    before[SKELETON.index("spine")] = np.nan
    assert changes_between(SKELETON, before, POSE) == ("spine found",)


def test_what_is_not_there_any_more_is_lost():
    after = POSE.copy()
    after[SKELETON.index("spine")] = np.nan
    assert changes_between(SKELETON, POSE, after) == ("spine lost",)


def test_small_moves_are_told_together():
    after = POSE + np.array([0, 0.3, 0])
    assert changes_between(SKELETON, POSE, after) == ("16 landmarks moved, by 0.3 mm on average",)
    assert changes_between(SKELETON, POSE, POSE + np.array([0, 0.04, 0])) == ()


def test_what_was_never_there_is_not_found():
    absent = POSE.copy()
    absent[SKELETON.index("spine")] = np.nan
    assert changes_between(SKELETON, absent, absent) == ()


def test_wrists_that_touch_are_not_exchanged_by_a_millimetre():
    before = POSE.copy()
    left, right = SKELETON.indices(("left_wrist", "right_wrist"))
    before[right] = before[left] + [0.5, 0, 0]
    after = before.copy()
    after[[left, right]] = after[[right, left]]
    assert changes_between(SKELETON, before, after) == ("2 landmarks moved, by 0.5 mm on average",)

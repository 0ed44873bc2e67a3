"""The built-in skeleton of 22 landmarks, and poses that change from one skeleton to another."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetusmap.anatomy import (
    Pose,
    Quality,
    Skeleton,
    built_in_skeletons,
    load_skeleton,
    plain_from_skeleton,
    reference_pose,
    skeleton_from_plain,
)
from fetusmap.errors import BadInput

SIXTEEN, TWENTY_TWO = load_skeleton(), load_skeleton("fetus-22")
MORE = ("crown", "rump", "left_hand", "right_hand", "left_foot", "right_foot")


def skeleton_of(*names: str) -> Skeleton:
    return Skeleton("own", names, (), ())


def test_the_built_in_skeletons_have_names() -> None:
    assert built_in_skeletons() == ("fetus-16", "fetus-22")
    assert load_skeleton().name == "fetus-16"


def test_fetus_22_continues_fetus_16() -> None:
    assert TWENTY_TWO.landmarks == (*SIXTEEN.landmarks, *MORE)
    assert TWENTY_TWO.segments[:15] == SIXTEEN.segments
    assert TWENTY_TWO.mirror_pairs[:6] == SIXTEEN.mirror_pairs
    for same in ("angles", "trunk", "crown_rump", "lateral_pairs", "registration_subset"):
        assert getattr(TWENTY_TWO, same) == getattr(SIXTEEN, same)
    assert TWENTY_TWO.crown_rump_ends == ("crown", "rump")
    assert SIXTEEN.crown_rump_ends is None


def test_hands_and_feet_end_the_limbs_and_have_sides() -> None:
    assert {limb.name: limb.landmarks[-1] for limb in TWENTY_TWO.limbs} == {
        "arm": "left_hand",
        "leg": "left_foot",
    }
    assert [TWENTY_TWO.side(name) for name in MORE] == ["midline", "midline"] + 2 * [
        "left", "right",
    ]  # fmt: skip
    mirrored = [TWENTY_TWO.landmarks[row] for row in TWENTY_TWO.mirror_index[16:]]
    assert mirrored == ["crown", "rump", "right_hand", "left_hand", "right_foot", "left_foot"]


def test_segments_join_each_new_landmark_to_the_tree() -> None:
    new = {s.name: (s.start, s.end) for s in TWENTY_TWO.segments[15:]}
    assert new == {
        "head_crown": ("head", "crown"),
        "sacrum_rump": ("sacrum", "rump"),
        "left_wrist_hand": ("left_wrist", "left_hand"),
        "left_ankle_foot": ("left_ankle", "left_foot"),
        "right_wrist_hand": ("right_wrist", "right_hand"),
        "right_ankle_foot": ("right_ankle", "right_foot"),
    }
    for segment in TWENTY_TWO.segments[15:]:
        assert TWENTY_TWO.segment_side(segment) == TWENTY_TWO.side(segment.end)
    assert not {s.name for s in TWENTY_TWO.segments} & set(TWENTY_TWO.landmarks)


def test_the_reference_poses_of_both_skeletons_agree() -> None:
    assert reference_pose(60.0, TWENTY_TWO).on(SIXTEEN).equals(reference_pose(60.0))


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        (["crown", "tail"], "'tail' is used but is not among the landmarks"),
        (["crown", "crown"], "both crown_rump_ends are 'crown'"),
    ],
)
def test_ends_of_the_crown_rump_length_are_two_landmarks(ends, reason) -> None:
    plain = {**plain_from_skeleton(TWENTY_TWO), "crown_rump_ends": ends}
    with pytest.raises(BadInput, match=reason):
        skeleton_from_plain(plain)


def test_ends_of_the_crown_rump_length_return_from_a_file_and_count() -> None:
    assert skeleton_from_plain(plain_from_skeleton(TWENTY_TWO)) == TWENTY_TWO
    assert "crown_rump_ends" not in plain_from_skeleton(SIXTEEN)
    assert replace(TWENTY_TWO, crown_rump_ends=None) != TWENTY_TWO


def test_a_pose_on_another_skeleton_keeps_shared_landmarks_only() -> None:
    pose = Pose(
        skeleton_of("tail", "left_hand", "head"),
        [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
        [0.1, 0.2, 0.3],
        quality=Quality(score=0.5),
    )
    found = pose.on(skeleton_of("head", "nose", "left_hand"))
    expected = [[7, 8, 9], [np.nan] * 3, [4, 5, 6]]
    np.testing.assert_array_equal(found.positions_mm, expected)
    assert found.confidence.tolist() == [0.3, 0, 0.2]
    assert found.quality == pose.quality


def test_a_pose_does_not_change_to_a_skeleton_without_a_common_landmark() -> None:
    with pytest.raises(BadInput, match=r"^skeleton own: .*none of them, but beak"):
        reference_pose().on(skeleton_of("beak"))


@given(st.from_type(Pose), st.permutations(SIXTEEN.landmarks), st.integers(1, 16))
def test_shared_landmarks_return_from_any_other_skeleton(pose, names, count) -> None:
    other = skeleton_of(*names[:count])
    back = pose.on(other).on(SIXTEEN)
    kept = np.isin(SIXTEEN.landmarks, other.landmarks)
    np.testing.assert_array_equal(back.positions_mm[kept], pose.positions_mm[kept])
    np.testing.assert_array_equal(back.confidence[kept], pose.confidence[kept])
    assert not back.present[~kept].any()
    assert not back.confidence[~kept].any()


@given(st.from_type(Pose))
def test_a_change_of_skeleton_and_a_mirror_commute(pose) -> None:
    assert pose.on(TWENTY_TWO).mirror().equals(pose.mirror().on(TWENTY_TWO))
    assert pose.on(TWENTY_TWO).on(SIXTEEN).equals(pose)

"""Poses: what they refuse, and what mirrors, maps and exchanges do to positions and labels."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

from fetusmap.anatomy import (
    Pose,
    Provenance,
    Quality,
    load_skeleton,
    plain_from_skeleton,
    reference_pose,
)
from fetusmap.anatomy.skeleton_file import skeleton_from_plain
from fetusmap.errors import BadInput
from fetusmap.geometry import affine_from

FETUS = load_skeleton()
POSES = st.from_type(Pose)
POINTS = st.tuples(*[st.floats(-100.0, 100.0)] * 3)


def random_pose(seed: int = 0) -> Pose:
    rng = np.random.default_rng(seed)
    return Pose(FETUS, rng.normal(scale=30, size=(16, 3)), rng.uniform(0.1, 1, 16))


def other_side(name: str) -> str:
    for left, right in FETUS.mirror_pairs:
        if name in (left, right):
            return right if name == left else left
    return name


def one_replaced(value: float) -> np.ndarray:
    positions = np.zeros((16, 3))
    positions[5, 1] = value
    return positions


def test_confidence_is_one_unless_it_is_given():
    assert Pose(FETUS, np.zeros((16, 3))).confidence.tolist() == [1.0] * 16


def test_one_confidence_stands_for_all_landmarks_that_are_there():
    positions = np.zeros((16, 3))
    positions[:2] = np.nan
    pose = Pose(FETUS, positions, 0.7)
    assert pose.confidence.tolist() == [0.0, 0.0] + [0.7] * 14


def test_an_absent_landmark_has_confidence_zero_whatever_was_given():
    positions = np.zeros((16, 3))
    positions[3] = np.nan
    given_confidence = np.full(16, 0.5)
    given_confidence[3] = np.nan
    for confidence in (given_confidence, np.full(16, 0.5)):
        pose = Pose(FETUS, positions, confidence)
        assert pose.confidence.tolist() == [0.5] * 3 + [0.0] + [0.5] * 12
        assert pose.present.tolist() == [True] * 3 + [False] + [True] * 12


@pytest.mark.parametrize(
    ("positions", "confidence", "found"),
    [
        (np.zeros((15, 3)), np.ones(16), "shapes (15, 3) and (16,)"),
        (np.zeros((16, 2)), np.ones(16), "shapes (16, 2) and (16,)"),
        (np.zeros((16, 3)), np.ones(15), "shapes (16, 3) and (15,)"),
        (np.zeros((16, 3)), np.ones((16, 1)), "shapes (16, 3) and (16, 1)"),
        (one_replaced(np.nan), np.ones(16), "half-absent"),
        (one_replaced(np.inf), np.ones(16), "infinite"),
        (one_replaced(-np.inf), np.ones(16), "infinite"),
        (np.zeros((16, 3)), np.full(16, 1.01), "1.01 to 1.01"),
        (np.zeros((16, 3)), np.full(16, -0.01), "-0.01 to -0.01"),
        (np.zeros((16, 3)), np.full(16, np.nan), "nan to nan"),
    ],
)
def test_what_is_no_pose_is_refused_in_one_line(positions, confidence, found):
    with pytest.raises(BadInput) as error:
        Pose(FETUS, positions, confidence)
    assert error.value.subject == "pose"
    assert found in error.value.found
    assert "\n" not in str(error.value)


def test_from_positions_puts_named_landmarks_in_their_rows_and_leaves_the_others_absent():
    pose = Pose.from_positions({"sacrum": [1, 2, 3], "left_ankle": [4, 5, 6]})
    assert pose.skeleton is FETUS
    assert pose.positions_mm[7].tolist() == [1, 2, 3]
    assert pose.positions_mm[15].tolist() == [4, 5, 6]
    assert pose.present.sum() == 2
    assert pose.confidence.sum() == 2


def test_from_positions_refuses_a_name_that_the_skeleton_does_not_have():
    with pytest.raises(BadInput, match="landmark 'tail'"):
        Pose.from_positions({"tail": [0, 0, 0]})


def test_a_landmark_by_name_has_its_position_confidence_and_side():
    pose = random_pose()
    for row, name in enumerate(FETUS.landmarks):
        landmark = pose[name]
        assert landmark.name == name
        assert landmark.position_mm.tolist() == pose.positions_mm[row].tolist()
        assert landmark.confidence == pose.confidence[row]
        assert landmark.side == FETUS.side(name)
        assert landmark.is_present
    assert not Pose.from_positions({})["head"].is_present
    with pytest.raises(BadInput, match="landmark 'tail'"):
        pose["tail"]


def test_iteration_gives_all_landmarks_in_the_skeletons_order():
    assert tuple(landmark.name for landmark in random_pose()) == FETUS.landmarks


def test_a_pose_cannot_be_changed():
    pose = Pose(FETUS, np.zeros((16, 3)), np.ones(16), Quality(score=1), Provenance(model="a"))
    for array in (pose.positions_mm, pose.confidence, pose["head"].position_mm):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5
    with pytest.raises(ValidationError, match="frozen"):
        pose.quality.score = 0.5
    with pytest.raises(FrozenInstanceError):
        pose.confidence = np.zeros(16)


def test_a_pose_does_not_follow_the_arrays_and_notes_it_was_made_from():
    positions, confidence, notes = np.zeros((16, 3)), np.ones(16), {"operator": "A"}
    pose = Pose(FETUS, positions, confidence, Quality(notes=notes))
    positions[:], confidence[:], notes["operator"] = 9, 0, "B"
    assert not pose.positions_mm.any()
    assert pose.confidence.all()
    assert pose.quality.notes == {"operator": "A"}


def test_equals_compares_skeleton_positions_and_confidences():
    pose = random_pose()
    gappy = Pose(FETUS, np.where(np.arange(16)[:, None] < 4, np.nan, pose.positions_mm))
    assert pose.equals(random_pose())
    assert gappy.equals(Pose(FETUS, gappy.positions_mm))
    assert not pose.equals(gappy)
    assert not pose.equals(Pose(FETUS, pose.positions_mm))
    assert not pose.equals(Pose(FETUS, pose.positions_mm + 1e-12, pose.confidence))
    renamed = skeleton_from_plain({**plain_from_skeleton(FETUS), "name": "other"})
    assert not pose.equals(Pose(renamed, pose.positions_mm, pose.confidence))


def test_lengths_are_distances_between_the_ends_and_nan_without_one():
    pose = Pose.from_positions(
        {"left_hip": [1, 2, 3], "left_knee": [4, 6, 15], "right_hip": [0, 0, 0]}
    )
    lengths = pose.lengths_mm()
    assert list(lengths) == [segment.name for segment in FETUS.segments]
    assert lengths.pop("left_femur") == 13.0
    assert np.isnan(list(lengths.values())).all()


def test_mirroring_reflects_the_positions_and_exchanges_the_labels():
    pose = Pose(
        FETUS,
        [[0, 1, 2], *[[np.nan] * 3] * 10, [5, 6, 7], *[[np.nan] * 3] * 2, [-3, 4, 4], [8, 9, 9]],
        [0.9, *[0] * 10, 0.8, 0, 0, 0.7, 0.6],
    )
    assert (pose["right_knee"].confidence, pose["left_knee"].confidence) == (0.8, 0.7)
    mirrored = pose.mirror()
    assert mirrored["head"].position_mm.tolist() == [0, 1, 2]
    assert mirrored["left_knee"].position_mm.tolist() == [-5, 6, 7]
    assert mirrored["left_knee"].confidence == 0.8
    assert mirrored["right_knee"].position_mm.tolist() == [3, 4, 4]
    assert mirrored["right_knee"].confidence == 0.7
    # The left ankle was there and the right one was not.
    assert mirrored["right_ankle"].position_mm.tolist() == [-8, 9, 9]
    assert not mirrored["left_ankle"].is_present


def test_the_mirror_plane_may_lie_anywhere():
    # In the plane z = 10 a point at z = 4 goes to z = 16.
    mirrored = Pose.from_positions({"head": [1, 2, 4]}).mirror((0, 0, -3), (7, 8, 10))
    np.testing.assert_allclose(mirrored["head"].position_mm, [1, 2, 16], atol=1e-14)
    # In the plane x = y the coordinates x and y trade places.
    mirrored = Pose.from_positions({"left_hip": [1, 2, 4]}).mirror((1, -1, 0))
    np.testing.assert_allclose(mirrored["right_hip"].position_mm, [2, 1, 4], atol=1e-14)


@given(pose=POSES, normal=POINTS, through=POINTS)
def test_mirroring_twice_is_the_identity(pose, normal, through):
    assume(np.linalg.norm(normal) > 1e-3)
    twice = pose.mirror(normal, through).mirror(normal, through)
    np.testing.assert_allclose(twice.positions_mm, pose.positions_mm, atol=1e-9)
    np.testing.assert_array_equal(twice.confidence, pose.confidence)


@given(pose=POSES, normal=POINTS, through=POINTS)
def test_a_mirrored_landmark_is_the_reflection_of_the_one_on_the_other_side(pose, normal, through):
    assume(np.linalg.norm(normal) > 1e-3)
    mirrored = pose.mirror(normal, through)
    unit = np.array(normal) / np.linalg.norm(normal)
    for name in FETUS.landmarks:
        before, after = pose[name].position_mm, mirrored[other_side(name)].position_mm
        # The step is along the normal and the middle lies in the plane.
        expected = before - 2 * unit * (unit @ (before - through))
        np.testing.assert_allclose(after, expected, atol=1e-9)
        assert mirrored[other_side(name)].confidence == pose[name].confidence


@given(pose=POSES, rotation=st.from_type(Rotation), offset=POINTS)
def test_a_rotation_and_translation_keep_every_label(pose, rotation, offset):
    moved = pose.transform(affine_from(rotation.as_matrix(), offset))
    expected = rotation.apply(np.nan_to_num(pose.positions_mm)) + offset
    np.testing.assert_allclose(moved.positions_mm[pose.present], expected[pose.present], atol=1e-9)
    np.testing.assert_array_equal(moved.present, pose.present)
    np.testing.assert_array_equal(moved.confidence, pose.confidence)


@given(pose=POSES, rotation=st.from_type(Rotation), offset=POINTS, axis=st.integers(0, 2))
def test_a_reflection_exchanges_the_labels_along_with_the_positions(pose, rotation, offset, axis):
    linear = rotation.as_matrix()
    linear[:, axis] *= -1
    moved = pose.transform(affine_from(linear, offset))
    for name in FETUS.landmarks:
        expected = linear @ pose[name].position_mm + offset
        np.testing.assert_allclose(moved[other_side(name)].position_mm, expected, atol=1e-9)
        assert moved[other_side(name)].confidence == pose[name].confidence


def test_a_map_may_scale():
    pose = Pose.from_positions({"left_hip": [0, 0, 0], "left_knee": [3, 4, 0]})
    assert pose.transform(np.diag([2.0, 2, 2, 1])).lengths_mm()["left_femur"] == 10.0


def test_a_map_that_cannot_be_undone_is_refused():
    with pytest.raises(BadInput, match=r"^pose map: expected three independent axes"):
        random_pose().transform(np.diag([1.0, 0, 1, 1]))


def test_quality_and_provenance_stay_with_a_moved_pose():
    pose = Pose(FETUS, np.zeros((16, 3)), np.ones(16), {"score": 1}, {"seed": 2})
    for moved in (pose.mirror(), pose.exchange_sides(), pose.transform(np.eye(4))):
        assert moved.quality == {"score": 1}
        assert moved.provenance == {"seed": 2}


@given(pose=POSES)
def test_exchanging_sides_moves_labels_and_no_positions(pose):
    exchanged = pose.exchange_sides()
    for name in FETUS.landmarks:
        np.testing.assert_array_equal(
            exchanged[other_side(name)].position_mm, pose[name].position_mm
        )
        assert exchanged[other_side(name)].confidence == pose[name].confidence
    assert exchanged.exchange_sides().equals(pose)


@given(
    pose=POSES,
    chosen=st.sets(st.sampled_from(FETUS.landmarks)).map(lambda s: tuple(sorted(s))),
)
def test_exchanging_some_sides_touches_only_the_pairs_that_are_named(pose, chosen):
    exchanged = pose.exchange_sides(chosen)
    for name in FETUS.landmarks:
        touched = name in chosen or other_side(name) in chosen
        source = other_side(name) if touched else name
        np.testing.assert_array_equal(exchanged[name].position_mm, pose[source].position_mm)
        assert exchanged[name].confidence == pose[source].confidence


def test_exchanging_an_unknown_landmark_is_refused():
    with pytest.raises(BadInput, match="landmark 'tail'"):
        random_pose().exchange_sides(("tail",))


def test_the_reference_pose_grows_with_the_crown_rump_length():
    small, large = reference_pose(45.0), reference_pose(90.0)
    np.testing.assert_allclose(large.positions_mm, 2 * small.positions_mm, rtol=1e-15)
    np.testing.assert_allclose(small.positions_mm, 45 * FETUS.reference, rtol=1e-15)
    assert small.confidence.all()


def test_nobody_has_reviewed_a_pose_unless_it_says_so():
    assert random_pose().review == ("machine",) * 16
    assert random_pose()["head"].review == "machine"


def test_a_review_follows_its_landmark_through_exchanges_maps_and_skeletons():
    review = tuple("moved" if name == "left_knee" else "accepted" for name in FETUS.landmarks)
    pose = Pose(FETUS, random_pose().positions_mm, review=review)
    for turned in (pose.mirror(), pose.exchange_sides(), pose.exchange_sides(("left_knee",))):
        assert turned["right_knee"].review == "moved"
        assert turned["left_knee"].review == "accepted"
    assert pose.transform(affine_from(np.eye(3), np.ones(3))).review == review
    wider = pose.on(load_skeleton("fetus-22"))
    assert wider["left_knee"].review == "moved"
    assert wider["crown"].review == "machine"
    assert wider.on(FETUS).equals(pose)
    assert not pose.equals(Pose(FETUS, pose.positions_mm))


@pytest.mark.parametrize(
    ("row", "word", "found"),
    [
        (0, "believed", "believed"),
        (0, "absent", "'absent' and a position"),
        (1, "moved", "'moved' and no position"),
        (1, "accepted", "'accepted' and no position"),
    ],
)
def test_a_review_that_contradicts_the_position_is_refused(row, word, found):
    positions, review = np.zeros((16, 3)), ["machine"] * 16
    positions[1], review[row] = np.nan, word
    with pytest.raises(BadInput) as error:
        Pose(FETUS, positions, review=tuple(review))
    assert found in error.value.found
    with pytest.raises(BadInput, match="expected 16 reviews"):
        Pose(FETUS, positions, review=("moved",))

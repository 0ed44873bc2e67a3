"""A pose library holds its atlases as they were given, and mirrors, selects and joins them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fetusmap as fm
from fetusmap.anatomy import Skeleton, skeleton_from_plain
from fetusmap.anatomy.measure import (
    body_axes,
    body_axes_of,
    in_body_frame,
    joint_angles_deg,
    joint_angles_of,
    trunk_length_mm,
)
from fetusmap.atlas import PoseLibrary, join_libraries
from fetusmap.geometry import affine_from, rotation_from_vector

PAIR = skeleton_from_plain(
    {
        "format": "fetusmap-skeleton",
        "version": 1,
        "name": "pair",
        "landmarks": [{"name": "left"}, {"name": "middle"}, {"name": "right"}],
        "mirror_pairs": [["left", "right"]],
        "segments": [{"name": "across", "start": "left", "end": "right"}],
    }
)
libraries = st.lists(st.from_type(fm.Pose), min_size=1, max_size=5).map(PoseLibrary.from_poses)


@pytest.fixture
def pairs() -> PoseLibrary:
    """Two atlases of three landmarks with numbers to reckon with; one landmark is absent."""
    return PoseLibrary(
        PAIR,
        [[[-3, 0, 0], [0, 1, 0], [1, 0, 3]], [[-5, 0, 0], [np.nan] * 3, [7, 8, 9]]],
        {"seed": 1},
        ("anna", ""),
    )


def test_atlases_are_poses_in_order(pairs: PoseLibrary) -> None:
    assert len(pairs) == 2
    assert pairs[0]["right"].position_mm.tolist() == [1, 0, 3]
    assert [pose["left"].position_mm[0] for pose in pairs] == [-3, -5]
    assert pairs[-1].present.tolist() == [True, False, True]
    with pytest.raises(IndexError):
        _ = pairs[2]


@given(st.lists(st.from_type(fm.Pose), min_size=1, max_size=4))
def test_poses_come_back_to_single_precision(poses: list[fm.Pose]) -> None:
    library = PoseLibrary.from_poses(poses)
    for before, after in zip(poses, library, strict=True):
        assert np.array_equal(
            before.positions_mm.astype(np.float32), after.positions_mm, equal_nan=True
        )


def test_positions_cannot_be_changed_from_either_side() -> None:
    given_mm = np.zeros((1, 3, 3), np.float32)
    library = PoseLibrary(PAIR, given_mm)
    given_mm += 1
    assert not library.positions_mm.any()
    assert library.positions_mm.dtype == np.float32
    assert library.positions_mm.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        library.positions_mm[0, 0, 0] = 1


def test_lengths_are_those_of_the_poses(pairs: PoseLibrary) -> None:
    assert pairs.lengths_mm()["across"] == pytest.approx([5, np.sqrt(144 + 64 + 81)])


def test_a_mirror_image_has_the_other_sides(pairs: PoseLibrary) -> None:
    both = pairs.mirrored()
    assert len(both) == 4
    assert both[2]["left"].position_mm.tolist() == [-1, 0, 3]
    assert both[2]["right"].position_mm.tolist() == [3, 0, 0]
    assert both[2]["middle"].position_mm.tolist() == [0, 1, 0]
    assert both.groups == ("anna", "atlas-1", "anna", "atlas-1")
    assert both.made_by == {"seed": 1, "mirrored": True}


@given(libraries)
def test_mirrored_is_what_a_pose_does_with_itself(library: PoseLibrary) -> None:
    both = library.mirrored()
    for number, pose in enumerate(library):
        assert both[number].equals(pose)
        image = both[len(library) + number].positions_mm
        assert np.array_equal(image, pose.mirror().positions_mm, equal_nan=True)


@pytest.mark.parametrize("indices", [[1, 0, 1], np.array([1, 0, 1]), (1, -2, -1)])
def test_select_by_number(pairs: PoseLibrary, indices: object) -> None:
    chosen = pairs.select(indices)
    assert chosen.positions_mm[:, 0, 0].tolist() == [-5, -3, -5]
    assert chosen.groups == ("", "anna", "")
    assert chosen.made_by == {"seed": 1}


def test_select_by_mask_or_nothing(pairs: PoseLibrary) -> None:
    assert pairs.select([False, True]).equals(pairs.select([1]))
    assert replace(pairs, groups=()).select([0]).groups == ()
    for nothing in ([], [False, False]):
        with pytest.raises(fm.BadInput, match="one atlas or more"):
            pairs.select(nothing)
    with pytest.raises(IndexError):
        pairs.select([2])


def test_joined_libraries_keep_order_groups_and_provenance(pairs: PoseLibrary) -> None:
    alone = PoseLibrary(PAIR, np.ones((1, 3, 3)))
    joined = join_libraries([alone, pairs])
    assert joined.select([1, 2]).equals(pairs)
    assert joined.groups == ("", "anna", "")
    assert joined.made_by == {"joined": [{}, {"seed": 1}]}
    assert join_libraries([alone, alone]).groups == ()


def test_only_one_skeleton_can_be_joined(pairs: PoseLibrary) -> None:
    other = PoseLibrary.from_poses([fm.reference_pose()])
    with pytest.raises(fm.BadInput, match=r"one skeleton \(pair\), found one of fetus-16"):
        join_libraries([pairs, other])
    with pytest.raises(fm.BadInput, match="one skeleton"):
        PoseLibrary.from_poses([pairs[0], other[0]])
    same_name = replace(PAIR, mirror_pairs=())
    with pytest.raises(fm.BadInput, match="found another skeleton of this name"):
        join_libraries([pairs, PoseLibrary(same_name, np.ones((1, 3, 3)))])


def test_a_library_on_another_skeleton_drops_what_that_has_not(pairs: PoseLibrary) -> None:
    names = Skeleton("ends", ("right", "left"), (), (("left", "right"),))
    found = pairs.on(names)
    assert found.positions_mm.tolist() == [[[1, 0, 3], [-3, 0, 0]], [[7, 8, 9], [-5, 0, 0]]]
    assert (found.groups, found.made_by, found.skeleton) == (pairs.groups, {"seed": 1}, names)
    assert pairs.on(PAIR) is pairs
    with pytest.raises(fm.BadInput, match=r"every landmark of more, found poses of pair without b"):
        pairs.on(Skeleton("more", ("left", "b"), (), ()))


@given(libraries)
def test_a_library_on_another_skeleton_is_that_of_its_poses(library: PoseLibrary) -> None:
    trunk = Skeleton("trunk", ("neck", "sacrum", "spine"), (), ())
    expected = PoseLibrary.from_poses(pose.on(trunk) for pose in library)
    assert library.on(trunk).equals(expected)


@pytest.mark.parametrize("join", [join_libraries, PoseLibrary.from_poses])
def test_nothing_is_no_library(join: object) -> None:
    with pytest.raises(fm.BadInput, match="at least one"):
        join([])


@pytest.mark.parametrize(
    ("positions", "found"),
    [
        (np.ones((0, 3, 3)), r"shape \(0, 3, 3\)"),
        (np.ones((3, 3)), r"shape \(3, 3\)"),
        (np.ones((1, 4, 3)), r"shape \(1, 4, 3\)"),
        (np.full((1, 3, 3), np.inf), "left in atlas 0"),
        ([[[1, 1, 1], [1, 1, 1], [1, np.nan, 1]]], "right in atlas 0"),
        (np.full((1, 3, 3), -2e6), "found 2e"),
    ],
)
def test_what_is_no_library_is_refused(positions: object, found: str) -> None:
    with pytest.raises(fm.BadInput, match=found):
        PoseLibrary(PAIR, positions)


@pytest.mark.parametrize("groups", [("a",), ("a", "b", "c")])
def test_each_atlas_has_a_group_or_none_has(pairs: PoseLibrary, groups: tuple[str, ...]) -> None:
    with pytest.raises(fm.BadInput, match="a group for each of 2 atlases"):
        replace(pairs, groups=groups)


@given(libraries)
def test_measures_of_many_are_those_of_each(library: PoseLibrary) -> None:
    axes = body_axes_of(library.skeleton, library.positions_mm)
    angles = joint_angles_of(library.skeleton, library.positions_mm)
    lengths = library.lengths_mm()
    for atlas, pose in enumerate(library):
        assert np.array_equal(axes[atlas], body_axes(pose), equal_nan=True)
        for name, angle in joint_angles_deg(pose).items():
            assert angles[name][atlas] == pytest.approx(angle, nan_ok=True)
        for name, length in pose.lengths_mm().items():
            assert lengths[name][atlas] == pytest.approx(length, nan_ok=True)


def test_the_body_frame_brings_back_what_was_turned_moved_and_scaled() -> None:
    still = fm.reference_pose(60.0)
    turn = rotation_from_vector([0.7, -1.1, 0.4])
    poses = [
        still.transform(affine_from(scale * turn, [30, -20, 50 * scale]))
        for scale in (0.5, 1.0, 2.0)
    ]
    points = np.stack([pose.positions_mm for pose in poses])
    upright = (still.positions_mm - still["sacrum"].position_mm) @ body_axes(still)
    assert upright[still.skeleton.index("neck")] == pytest.approx([0, 0, trunk_length_mm(still)])
    found = in_body_frame(still.skeleton, points, trunk_mm=trunk_length_mm(still))
    assert np.allclose(found, upright, atol=1e-9)
    kept = in_body_frame(still.skeleton, points)
    assert np.allclose(kept, [upright * scale for scale in (0.5, 1.0, 2.0)], atol=1e-9)


def test_without_body_axes_there_is_no_body_frame() -> None:
    positions = fm.reference_pose().positions_mm.copy()
    positions[fm.load_skeleton().index("neck")] = np.nan
    both = np.stack([positions, fm.reference_pose().positions_mm])
    found = in_body_frame(fm.load_skeleton(), both, 30.0)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()
    assert np.isnan(in_body_frame(PAIR, np.ones((2, 3, 3)))).all()
    assert np.isnan(body_axes_of(PAIR, np.ones((2, 3, 3)))).all()

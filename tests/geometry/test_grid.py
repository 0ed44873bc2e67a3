"""Grids against the array of their own voxel centres: what NumPy does to one, the grid follows."""

from dataclasses import FrozenInstanceError
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fetusmap.errors import BadInput
from fetusmap.geometry import Grid, affine_from, rotation_from_vector

GRIDS = st.from_type(Grid)
EXACT = 1e-10  # mm; coordinates reach some hundred millimetres


def counts(low: int, high: int) -> st.SearchStrategy[tuple[int, int, int]]:
    return st.tuples(*[st.integers(low, high)] * 3)


def assert_same_points(grid: Grid, centers: np.ndarray) -> None:
    assert grid.shape == centers.shape[:3]
    np.testing.assert_allclose(grid.centers_mm(), centers, atol=EXACT)


@pytest.fixture
def plain():
    """Voxels of 1 x 2 x 4 mm, the first one at (10, 20, 30)."""
    return Grid.from_spacing((2, 3, 4), (1, 2, 4), (10, 20, 30))


def test_from_spacing_puts_the_first_voxel_at_the_origin_and_steps_by_the_spacing(plain):
    assert plain.affine.tolist() == [[1, 0, 0, 10], [0, 2, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1]]
    assert Grid.from_spacing((1, 1, 1), 0.5).affine.tolist() == np.diag([0.5, 0.5, 0.5, 1]).tolist()


def test_a_plain_grid_has_the_measures_computed_by_hand(plain):
    assert plain.spacing_mm.tolist() == [1, 2, 4]
    assert plain.origin_mm.tolist() == [10, 20, 30]
    assert plain.extent_mm.tolist() == [2, 6, 16]
    assert plain.center_mm.tolist() == [10.5, 22, 36]
    assert plain.voxel_count == 24
    assert plain.orientation == "LPS"
    assert plain.shear == 0
    assert [b.tolist() for b in plain.bounds_mm()] == [[9.5, 19, 28], [11.5, 25, 44]]
    assert sorted(plain.corners_mm().tolist()) == [
        list(corner) for corner in product((9.5, 11.5), (19.0, 25.0), (28.0, 44.0))
    ]


def test_a_sheared_grid_says_so():
    # Axes (1, 0, 0) and (0.6, 0.8, 0) have the cosine 0.6.
    grid = Grid((2, 2, 2), affine_from([[1, 0.6, 0], [0, 0.8, 0], [0, 0, 1]], [0, 0, 0]))
    assert grid.shear == pytest.approx(0.6, abs=1e-15)


@given(grid=GRIDS, indices=st.lists(st.tuples(*[st.floats(-10.0, 10.0)] * 3), min_size=1))
def test_index_to_world_and_back_is_the_identity(grid, indices):
    np.testing.assert_allclose(grid.to_index(grid.to_world(indices)), indices, atol=1e-9)


@given(grid=GRIDS, index=st.tuples(*[st.floats(-10.0, 10.0)] * 3))
def test_to_world_walks_from_the_origin_along_each_axis(grid, index):
    steps = [n * s * d for n, s, d in zip(index, grid.spacing_mm, grid.direction.T, strict=True)]
    np.testing.assert_allclose(grid.to_world(index), grid.origin_mm + sum(steps), atol=EXACT)


@given(grid=GRIDS)
def test_the_parts_of_a_grid_rebuild_it(grid):
    again = Grid.from_spacing(grid.shape, grid.spacing_mm, grid.origin_mm, grid.direction)
    assert again.is_close(grid, 1e-9)
    np.testing.assert_allclose(grid.index_from_world @ grid.affine, np.eye(4), atol=1e-10)
    assert grid.shear < 1e-14


@given(grid=GRIDS)
def test_a_grid_is_left_handed_when_its_third_axis_goes_against_the_first_two(grid):
    i, j, k = grid.direction.T
    assert grid.is_left_handed == bool(np.cross(i, j) @ k < 0)


@given(grid=GRIDS)
def test_centers_agree_with_a_loop_over_voxels(grid):
    centers = grid.centers_mm()
    assert centers.shape == (*grid.shape, 3)
    for index in np.ndindex(grid.shape):
        np.testing.assert_allclose(centers[index], grid.to_world(index), atol=EXACT)
    np.testing.assert_allclose(grid.center_mm, centers.reshape(-1, 3).mean(axis=0), atol=EXACT)


@given(grid=GRIDS)
def test_corners_lie_half_a_step_beyond_the_outermost_centres(grid):
    expected = [
        grid.to_world([-0.5 if low else n - 0.5 for low, n in zip(ends, grid.shape, strict=True)])
        for ends in product((True, False), repeat=3)
    ]
    np.testing.assert_allclose(grid.corners_mm(), expected, atol=EXACT)
    low, high = grid.bounds_mm()
    np.testing.assert_array_equal(low, grid.corners_mm().min(axis=0))
    np.testing.assert_array_equal(high, grid.corners_mm().max(axis=0))


@given(grid=GRIDS, data=st.data())
def test_crop_agrees_with_slicing(grid, data):
    start = tuple(data.draw(st.integers(0, n - 1)) for n in grid.shape)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, grid.shape, strict=True))
    part = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    assert_same_points(grid.crop(start, stop), grid.centers_mm()[part])


@given(grid=GRIDS, before=counts(0, 3), after=counts(0, 3))
def test_pad_surrounds_the_old_voxels_with_new_ones(grid, before, after):
    padded = grid.pad(before, after)
    assert padded.shape == tuple(np.array(before) + grid.shape + after)
    old = tuple(slice(b, b + n) for b, n in zip(before, grid.shape, strict=True))
    np.testing.assert_allclose(padded.centers_mm()[old], grid.centers_mm(), atol=EXACT)
    np.testing.assert_allclose(padded.spacing_mm, grid.spacing_mm, rtol=1e-14)
    stop = np.array(before) + grid.shape
    assert padded.crop(before, stop).is_close(grid, EXACT)


@given(grid=GRIDS, step=counts(1, 4))
def test_stride_agrees_with_slicing(grid, step):
    centers = grid.centers_mm()[:: step[0], :: step[1], :: step[2]]
    assert_same_points(grid.stride(step), centers)


@given(grid=GRIDS, step=st.integers(1, 4))
def test_a_pooled_voxel_lies_in_the_middle_of_its_block(grid, step):
    grid = Grid(tuple(step * n for n in grid.shape), grid.affine)
    i, j, k = (n // step for n in grid.shape)
    blocks = grid.centers_mm().reshape(i, step, j, step, k, step, 3)
    assert_same_points(grid.pool(step), blocks.mean(axis=(1, 3, 5)))


@given(grid=GRIDS, step=st.integers(1, 4), axis=st.sampled_from([0, 1, 2]))
def test_pooling_keeps_the_box_and_goes_along_with_a_flip(grid, step, axis):
    grid = Grid(tuple(2 * step * n for n in grid.shape), grid.affine)
    pooled = grid.pool(step)
    np.testing.assert_allclose(pooled.corners_mm(), grid.corners_mm(), atol=EXACT)
    assert pooled.pool(2).is_close(grid.pool(2 * step), EXACT)
    assert grid.flip(axis).pool(step).is_close(pooled.flip(axis), EXACT)


def test_pool_by_hand():
    grid = Grid.from_spacing((4, 6, 2), (1, 2, 4), (10, 20, 30)).pool(2)
    assert grid.shape == (2, 3, 1)
    assert grid.spacing_mm.tolist() == [2, 4, 8]
    assert grid.origin_mm.tolist() == [10.5, 21, 32]


@given(grid=GRIDS, axis=st.sampled_from([0, 1, 2, -1]))
def test_flip_agrees_with_numpy_and_turns_the_handedness(grid, axis):
    flipped = grid.flip(axis)
    assert_same_points(flipped, np.flip(grid.centers_mm(), axis if axis >= 0 else 2))
    assert flipped.is_left_handed != grid.is_left_handed
    assert flipped.flip(axis).is_close(grid, EXACT)


@given(grid=GRIDS, order=st.permutations([0, 1, 2]))
def test_permute_agrees_with_numpy(grid, order):
    assert_same_points(grid.permute(order), np.transpose(grid.centers_mm(), (*order, 3)))


@given(grid=GRIDS, spacing=st.tuples(*[st.floats(0.05, 10.0)] * 3))
def test_respace_has_the_exact_spacing_and_the_old_middle_axes_and_box(grid, spacing):
    new = grid.respace(spacing)
    np.testing.assert_allclose(new.spacing_mm, spacing, rtol=1e-13)
    np.testing.assert_allclose(new.direction, grid.direction, atol=1e-13)
    np.testing.assert_allclose(new.center_mm, grid.center_mm, atol=EXACT)
    # Half a new voxel in all, so a quarter at each end; a grid keeps at least one voxel, though.
    excess = np.abs(new.extent_mm - grid.extent_mm)
    one = np.array(new.shape) == 1
    assert (excess <= np.where(one, 1.0, 0.5) * np.array(spacing) + EXACT).all()


@given(grid=GRIDS)
def test_respace_to_the_own_spacing_is_the_identity(grid):
    assert grid.respace(grid.spacing_mm).is_close(grid, EXACT)


def test_respace_by_hand_shares_what_does_not_fit_between_both_ends():
    # 10 voxels of 1 mm fill -0.5 to 9.5; three of 3 mm fill 9 mm, so half a millimetre is cut off
    # at each end and the centres are 1.5, 4.5, 7.5.
    new = Grid.from_spacing((10, 10, 10), 1).respace(3)
    assert new.shape == (3, 3, 3)
    assert new.centers_mm()[:, 0, 0, 0].tolist() == [1.5, 4.5, 7.5]


def test_scale_of_the_papers_volume_gives_the_papers_input():
    grid = Grid.from_spacing((220, 205, 260), 0.5).scale(0.4)
    assert grid.shape == (88, 82, 104)
    np.testing.assert_allclose(grid.spacing_mm, 1.25, rtol=1e-15)


@given(grid=GRIDS, factor=st.floats(0.1, 4.0))
def test_scale_divides_the_spacing_and_keeps_the_middle(grid, factor):
    new = grid.scale(factor)
    np.testing.assert_allclose(new.spacing_mm, grid.spacing_mm / factor, rtol=1e-13)
    np.testing.assert_allclose(new.center_mm, grid.center_mm, atol=EXACT)


def depths_mm(grid: Grid, point: np.ndarray) -> list[float]:
    """How deep a point lies under each of the six faces, along the face's normal."""
    columns = grid.affine[:3, :3].T
    depths = []
    for axis in range(3):
        normal = np.cross(columns[axis - 2], columns[axis - 1])
        normal /= np.linalg.norm(normal) * np.sign(normal @ columns[axis])
        for end, inwards in ((-0.5, 1), (grid.shape[axis] - 0.5, -1)):
            on_face = np.zeros(3)
            on_face[axis] = end
            depths.append(float(inwards * normal @ (point - grid.to_world(on_face))))
    return depths


@given(
    grid=GRIDS,
    shear=st.floats(-0.5, 0.5),
    place=st.tuples(*[st.floats(-0.3, 1.3)] * 3),
    margin=st.floats(-3.0, 3.0),
)
def test_contains_measures_its_margin_in_millimetres_along_the_normal_of_each_face(
    grid, shear, place, margin
):
    sheared = np.eye(3)
    sheared[0, 1] = shear
    grid = Grid(grid.shape, affine_from(grid.affine[:3, :3] @ sheared, grid.origin_mm))
    point = grid.to_world(np.array(place) * grid.shape - 0.5)
    depth = min(depths_mm(grid, point))
    assume(abs(depth - margin) > 1e-9)
    assert bool(grid.contains(point, margin)) == (depth > margin)


def test_contains_by_hand_on_anisotropic_voxels(plain):
    points = [[9.4, 22, 36], [9.6, 22, 36], [10.5, 22, 43.9], [10.5, 22, 44.1], [np.nan, 22, 36]]
    assert plain.contains(points).tolist() == [False, True, True, False, False]
    assert plain.contains(points, 0.15).tolist() == [False, False, False, False, False]
    assert plain.contains(points, -0.15).tolist() == [True, True, True, True, False]
    assert plain.contains(plain.corners_mm()).all()


def test_contains_by_hand_on_a_sheared_grid():
    # The second axis climbs 0.8 mm per step, so its lower face is the plane y = -0.4 and a point
    # at y = 0.5 lies 0.9 mm deep.
    sheared = affine_from([[1, 0.6, 0], [0, 0.8, 0], [0, 0, 1]], [0, 0, 0])
    grid = Grid((10, 10, 10), sheared)
    assert grid.contains([4, 0.5, 5], 0.89)
    assert not grid.contains([4, 0.5, 5], 0.91)


def test_contains_keeps_the_shape_of_the_points(plain):
    assert plain.contains(plain.centers_mm()).shape == (2, 3, 4)
    assert plain.contains(plain.centers_mm()).all()


def test_grids_are_equal_when_shape_and_affine_are(plain):
    same = Grid.from_spacing((2, 3, 4), (1, 2, 4), (10, 20, 30))
    assert same == plain
    assert hash(same) == hash(plain)
    assert plain != Grid((2, 3, 5), plain.affine)
    assert plain != Grid.from_spacing((2, 3, 4), (1, 2, 4), (10, 20, 30 + 1e-12))
    assert plain != "a grid"
    assert len({plain, same}) == 1


def test_is_close_looks_at_the_corner_that_is_furthest_apart(plain):
    assert plain.is_close(Grid.from_spacing((2, 3, 4), (1, 2, 4), (10, 20, 30.5)), 0.51)
    assert not plain.is_close(Grid.from_spacing((2, 3, 4), (1, 2, 4), (10, 20, 30.5)), 0.49)
    # Steps 0.1 mm longer: the last corner of the third axis is 3.5 steps away.
    longer = Grid.from_spacing((2, 3, 4), (1, 2, 4.1), (10, 20, 30))
    assert plain.is_close(longer, 0.36)
    assert not plain.is_close(longer, 0.34)
    assert not plain.is_close(Grid((2, 3, 5), plain.affine), 1e9)


@given(grid=GRIDS, shift=st.floats(-1.0, 1.0))
def test_is_close_is_true_just_within_the_distance_that_a_grid_was_moved(grid, shift):
    moved = Grid(
        grid.shape, affine_from(grid.affine[:3, :3], grid.origin_mm + shift * np.array([0, 1, 0]))
    )
    assert grid.is_close(moved, abs(shift) + 1e-9)
    assert not grid.is_close(moved, abs(shift) - 1e-9)


def test_a_grid_cannot_be_changed(plain):
    with pytest.raises(ValueError, match="read-only"):
        plain.affine[0, 0] = 9
    with pytest.raises(FrozenInstanceError):
        plain.shape = (9, 9, 9)
    plain.origin_mm[0] = 99
    assert plain.affine[0, 3] == 10


def test_a_grid_does_not_follow_the_matrix_it_was_made_from():
    matrix = np.eye(4)
    grid = Grid((1, 1, 1), matrix)
    matrix[0, 3] = 5
    assert grid.origin_mm.tolist() == [0, 0, 0]


def test_a_shape_of_whole_numbers_of_any_type_becomes_integers():
    shape = Grid((np.int16(2), np.int64(3), 4), np.eye(4)).shape
    assert shape == (2, 3, 4)
    assert all(type(n) is int for n in shape)


@pytest.mark.parametrize(
    ("make", "subject", "found"),
    [
        (lambda _: Grid((2, 3), np.eye(4)), "grid shape", "(2, 3)"),
        (lambda _: Grid((2, 3, 0), np.eye(4)), "grid shape", "(2, 3, 0)"),
        (lambda _: Grid((2, 3, -1), np.eye(4)), "grid shape", "(2, 3, -1)"),
        (lambda _: Grid((2, 3, 4.5), np.eye(4)), "grid shape", "(2, 3, 4.5)"),
        (lambda _: Grid((2, 3, 4), np.zeros((4, 4))), "grid affine", "[0.0, 0.0, 0.0, 0.0]"),
        (lambda _: Grid.from_spacing((2, 3, 4), (1, 0, 1)), "spacing", "[1.0, 0.0, 1.0]"),
        (lambda _: Grid.from_spacing((2, 3, 4), (1, -1, 1)), "spacing", "[1.0, -1.0, 1.0]"),
        (lambda _: Grid.from_spacing((2, 3, 4, 5)), "grid shape", "(2, 3, 4, 5)"),
        (lambda _: Grid.from_spacing((2, 3)), "grid shape", "(2, 3)"),
        (lambda _: Grid.from_spacing((2, 3, 4), direction=2 * np.eye(3)), "grid direction", "2."),
        (lambda g: g.respace([1, 2]), "spacing", "[1.0, 2.0]"),
        (lambda g: g.scale(0), "scale", "0"),
        (lambda g: g.crop((0, 0), (1, 1)), "crop", "(0, 0)"),
        (lambda g: g.pad((0, 0), (1, 1)), "pad", "(0, 0)"),
        (lambda g: g.stride((1, 1)), "stride", "(1, 1)"),
        (lambda g: g.pool(2), "pool", "2"),
        (lambda g: g.pool(0), "pool", "0"),
        (lambda g: g.pool(-1), "pool", "-1"),
        (lambda g: g.flip(3), "flip", "3"),
        (lambda g: g.respace(1e-30), "spacing", "1e-30"),
        (lambda g: g.crop((0, 0, 0), (2, 3, 5)), "crop", "(0, 0, 0) to (2, 3, 5)"),
        (lambda g: g.crop((-1, 0, 0), (2, 3, 4)), "crop", "(-1, 0, 0) to (2, 3, 4)"),
        (lambda g: g.crop((1, 0, 0), (1, 3, 4)), "crop", "(1, 0, 0) to (1, 3, 4)"),
        (lambda g: g.pad((0, 0, -1), (0, 0, 0)), "pad", "(0, 0, -1) and (0, 0, 0)"),
        (lambda g: g.stride((1, 0, 1)), "stride", "(1, 0, 1)"),
        (lambda g: g.permute((0, 0, 1)), "permute", "(0, 0, 1)"),
        (lambda g: g.permute((0, 1)), "permute", "(0, 1)"),
        (lambda g: g.respace((1, 0, 1)), "spacing", "[1.0, 0.0, 1.0]"),
        (lambda g: g.respace(np.nan), "spacing", "nan"),
        (lambda g: g.scale(-0.4), "scale", "-0.4"),
    ],
)
def test_what_makes_no_grid_is_refused_in_one_line(plain, make, subject, found):
    with pytest.raises(BadInput) as error:
        make(plain)
    assert str(error.value).startswith(f"{subject}: expected ")
    assert found in error.value.found
    assert "\n" not in str(error.value)


@given(grid=GRIDS, place=st.tuples(*[st.floats(-5.0, 5.0)] * 3), order=st.permutations([0, 1, 2]))
def test_a_landmark_between_voxels_has_the_index_that_the_change_of_the_array_gives_it(
    grid, place, order
):
    landmark = grid.center_mm + place
    i, j, k = index = grid.to_index(landmark)
    for new, expected in (
        (grid.flip(1), (i, grid.shape[1] - 1 - j, k)),
        (grid.permute(order), index[order]),
        (grid.pad((1, 2, 3), (0, 0, 1)), (i + 1, j + 2, k + 3)),
        (grid.crop((0, 0, grid.shape[2] - 1), grid.shape), (i, j, k - grid.shape[2] + 1)),
        (grid.stride((2, 1, 4)), (i / 2, j, k / 4)),
    ):
        np.testing.assert_allclose(new.to_index(landmark), expected, atol=1e-9)


def test_a_centered_grid_has_its_middle_where_it_was_asked_for():
    turn = rotation_from_vector([0.3, -0.5, 0.9])
    grid = Grid.centered((5, 6, 8), (0.5, 1, 2), (10, -20, 30), turn)
    np.testing.assert_allclose(grid.to_world([2, 2.5, 3.5]), [10, -20, 30], atol=1e-12)
    np.testing.assert_allclose(grid.spacing_mm, [0.5, 1, 2], rtol=1e-14)
    np.testing.assert_allclose(grid.direction, turn, atol=1e-14)


def test_the_right_handed_grid_holds_the_same_voxels():
    grid = Grid.from_spacing((3, 4, 5), (1, 2, 3), (7, 8, 9), np.diag([1.0, -1.0, 1.0]))
    right = grid.right_handed()
    assert grid.is_left_handed
    assert not right.is_left_handed
    np.testing.assert_array_equal(np.flip(grid.centers_mm(), 2), right.centers_mm())
    assert right.right_handed() is right


def test_equal_grids_have_equal_hashes_whatever_the_sign_of_zero():
    grid = Grid.from_spacing((4, 5, 6)).flip(0)
    other = Grid(grid.shape, grid.affine + 0.0)
    assert grid == other
    assert hash(grid) == hash(other)

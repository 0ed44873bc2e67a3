"""Grey levels against ranks counted one by one, and blobs that may not move."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from fetusmap.geometry import Grid
from fetusmap.preprocess import Prepared, equalize, prepare, sample, standardize
from fetusmap.volume import Volume, resample

SEEDS = st.integers(0, 2**32 - 1)
ROTATIONS = st.from_type(Rotation)
BLOB_SIGMA_MM = 3.0


def ranks_one_by_one(grey: np.ndarray) -> np.ndarray:
    """1 + 254 times the part of the voxels above 0 that are darker, ties counted half."""
    lit = grey[grey > 0]
    ranks = np.zeros(grey.shape)
    for index in np.argwhere(grey > 0):
        level = grey[tuple(index)]
        below = (lit < level).sum() + (lit == level).sum() / 2
        ranks[tuple(index)] = 1 + 254 * below / lit.size
    return ranks


def blob(grid: Grid, place_mm, height: float = 200.0) -> np.ndarray:
    apart = np.linalg.norm(grid.centers_mm() - place_mm, axis=-1)
    return height * np.exp(-0.5 * (apart / BLOB_SIGMA_MM) ** 2)


def in_world(prepared: Prepared) -> Volume:
    """The prepared volume where it lies in the world."""
    volume, grid = prepared.volume, prepared.volume.grid
    return replace(volume, grid=Grid(grid.shape, prepared.world_from_network @ grid.affine))


def middle_of_mass(volume: Volume) -> np.ndarray:
    weights = volume.array.astype(float)
    return np.einsum("ijk,ijkx->x", weights, volume.grid.centers_mm()) / weights.sum()


@st.composite
def grids_around_a_blob(draw: st.DrawFn) -> Grid:
    """About 40 mm along each axis: oblique, anisotropic, and every second one left-handed."""
    spacing = np.array(draw(st.tuples(*[st.floats(0.7, 1.8)] * 3)))
    direction = draw(ROTATIONS).as_matrix()
    return Grid.centered(
        np.ceil(40 / spacing).astype(int),
        spacing,
        draw(st.tuples(*[st.floats(-200.0, 200.0)] * 3)),
        direction[:, ::-1] if draw(st.booleans()) else direction,
    )


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.uint8, np.uint16, np.int16])
@given(grey=arrays(np.uint8, (3, 4, 5)))
def test_equal_to_ranks_counted_one_by_one(kind, grey):
    ranks = equalize(grey.astype(kind))
    assert ranks.dtype == np.uint8
    np.testing.assert_allclose(ranks, ranks_one_by_one(grey), atol=0.5 + 1e-9)


def test_ranks_by_hand():
    # Of four voxels above 0 the two of 7 lie above 1 and share the second and third place.
    grey = np.array([0.0, 7.0, 1.0, 7.0, 200.0, 0.0]).reshape(1, 2, 3)
    expected = [0, 1 + 254 * 2 / 4, 1 + 254 * 0.5 / 4, 1 + 254 * 2 / 4, 1 + 254 * 3.5 / 4, 0]
    np.testing.assert_allclose(equalize(grey).ravel(), np.rint(expected))


@given(seed=SEEDS, grey=arrays(np.uint8, (4, 4, 4)), stretch=st.floats(0.0, 1.0))
def test_a_strictly_monotone_change_of_grey_leaves_the_ranks(seed, grey, stretch):
    # Each level lies an eighth and a little above the one below it, and some far above.
    extra = np.random.default_rng(seed).exponential(size=255) ** 3
    curve = np.append(0, np.cumsum(0.126 + stretch * 222 * extra / extra.sum()))
    assert curve[-1] < 255
    grey = grey.astype(np.float32)
    changed = curve[grey.astype(int)].astype(np.float32)
    np.testing.assert_array_equal(equalize(changed), equalize(grey))


@pytest.mark.parametrize("exponent", [0.45, 0.7, 1.6])
def test_a_gamma_curve_leaves_the_ranks_of_levels_that_stay_apart(exponent):
    grey = np.random.default_rng(0).choice([0, 20, 60, 90, 130, 180, 255], (8, 8, 8))
    curved = (255 * (grey / 255) ** exponent).astype(np.float32)
    np.testing.assert_array_equal(equalize(curved), equalize(grey.astype(np.float32)))


def test_levels_are_told_apart_in_eighths_and_not_finer():
    grey = np.array([10.0, 10.1, 10.13, 10.24, 10.26]).reshape(1, 1, 5)
    first, same, second, also, third = equalize(grey).ravel()
    assert first == same < second == also < third


def test_below_the_first_eighth_there_is_nothing():
    grey = np.array([0.0, 0.06, 0.1249, 0.125, 0.2499, 0.25]).reshape(1, 1, 6)
    # Of three voxels with an echo two share the first step.
    expected = [0, 0, 0, *np.rint([1 + 254 * 1 / 3, 1 + 254 * 1 / 3, 1 + 254 * 2.5 / 3])]
    assert equalize(grey).ravel().tolist() == expected


def test_nothing_there_stays_nothing_there():
    grey = np.random.default_rng(0).integers(0, 4, (6, 7, 8)).astype(np.float32)
    np.testing.assert_array_equal(equalize(grey) == 0, grey == 0)
    assert equalize(np.zeros((3, 3, 3))).max() == 0


@pytest.mark.parametrize("level", [1, 7, 255])
def test_one_level_everywhere_becomes_the_middle_rank(level):
    assert (equalize(np.full((3, 4, 5), float(level))) == 128).all()


def test_levels_below_and_above_a_byte_are_those_at_its_ends():
    grey = np.array([-5.0, 0.0, 0.1, 100.0, 255.0, 300.0]).reshape(1, 1, 6)
    ranks = equalize(grey).ravel()
    assert ranks[:3].tolist() == [0, 0, 0]
    assert 0 < ranks[3] < ranks[4] == ranks[5]


def test_ranks_become_numbers_of_mean_0_and_variance_1():
    numbers = standardize(np.arange(256, dtype=np.uint8).reshape(4, 8, 8))
    assert numbers.dtype == np.float32
    assert numbers.mean() == pytest.approx(0, abs=1e-6)
    assert numbers.var() == pytest.approx(1, abs=1e-4)
    first, last = numbers.ravel()[[0, -1]]
    assert (first, last) == pytest.approx((-127.5 * 12**0.5 / 256, 127.5 * 12**0.5 / 256))


@given(grid=grids_around_a_blob(), shift=st.tuples(*[st.floats(-5.0, 5.0)] * 3))
def test_preparing_moves_nothing(grid, shift):
    place = grid.center_mm + shift
    prepared = in_world(prepare(Volume(np.rint(blob(grid, place)).astype(np.uint8), grid)))
    assert np.linalg.norm(middle_of_mass(prepared) - place) < 0.1
    assert 160 < prepared.array.max() <= 200


@given(grid=st.from_type(Grid), spacing=st.sampled_from([1.0, 0.7, 2.5]))
def test_a_prepared_volume_is_right_handed_of_one_spacing_and_of_bytes(grid, spacing):
    array = np.random.default_rng(0).integers(1, 255, grid.shape, dtype=np.uint8)
    prepared = in_world(prepare(Volume(array, grid, name="case", warnings=("w",)), spacing))
    assert not prepared.grid.is_left_handed
    np.testing.assert_allclose(prepared.grid.spacing_mm, spacing, rtol=1e-12)
    np.testing.assert_allclose(prepared.grid.center_mm, grid.center_mm, atol=1e-9)
    assert prepared.array.dtype == np.uint8
    assert prepared.array.flags.c_contiguous
    assert (prepared.name, prepared.warnings) == ("case", ("w",))


@given(grid=st.from_type(Grid), spacing=st.sampled_from([1.0, 0.7, 2.5]))
def test_the_networks_frame_is_centred_along_its_axes_and_a_rigid_map_leads_back(grid, spacing):
    prepared = prepare(Volume(np.zeros(grid.shape, np.uint8), grid), spacing)
    own, way_back = prepared.volume.grid, prepared.world_from_network
    np.testing.assert_array_equal(own.direction, np.eye(3))
    np.testing.assert_allclose(own.center_mm, 0, atol=1e-9)
    turn = way_back[:3, :3]
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(turn) == pytest.approx(1)


def test_a_volume_of_the_right_spacing_and_hand_stays_as_it_is():
    grid = Grid.from_spacing(
        (5, 6, 7), 1, (10, 20, 30), Rotation.from_rotvec([0, 0, 0.5]).as_matrix()
    )
    array = np.random.default_rng(0).integers(0, 256, grid.shape, dtype=np.uint8)
    prepared = in_world(prepare(Volume(array, grid)))
    np.testing.assert_array_equal(prepared.array, array)
    assert prepared.grid.is_close(grid)


def test_a_left_handed_array_is_flipped_with_its_grid():
    grid = Grid.from_spacing((5, 6, 7), 1, (10, 20, 30), np.diag([1.0, 1.0, -1.0]))
    array = np.random.default_rng(0).integers(0, 256, grid.shape, dtype=np.uint8)
    prepared = in_world(prepare(Volume(array, grid)))
    for point in grid.centers_mm().reshape(-1, 3):
        there = tuple(np.rint(prepared.grid.to_index(point)).astype(int))
        assert prepared.array[there] == array[tuple(np.rint(grid.to_index(point)).astype(int))]


@pytest.mark.parametrize(
    ("kind", "scale", "offset"),
    [
        (np.float32, 1 / 255, 0.0),
        (np.float64, 1e6, 0.0),
        (np.uint16, 257, 0.0),
        (np.int16, 100, -12_000),
        (np.float32, 3.0, -1024.0),
        (np.int8, 0.49, -120),
    ],
)
def test_other_kinds_of_voxels_become_the_same_bytes(kind, scale, offset):
    grid = Grid.from_spacing((12, 11, 10))
    grey = np.random.default_rng(0).integers(0, 250, grid.shape)
    grey[0, 0] = 0
    grey[5:, 5:] = 250
    array = grey * scale + offset
    array = np.rint(array) if kind == np.int8 else array
    prepared = in_world(prepare(Volume(array.astype(kind), grid)))
    assert prepared.array.dtype == np.uint8
    np.testing.assert_allclose(prepared.array, grey * 255 / 250, atol=3 if kind == np.int8 else 1)


def test_one_outrageous_voxel_does_not_darken_the_others():
    grid = Grid.from_spacing((20, 20, 20))
    grey = np.random.default_rng(0).uniform(0, 100, grid.shape).astype(np.float32)
    grey[3, 4, 5] = 1e9
    prepared = prepare(Volume(grey, grid)).volume.array
    assert prepared[3, 4, 5] == 255
    np.testing.assert_allclose(prepared.ravel()[:1000], grey.ravel()[:1000] * 2.55, atol=1.5)


@pytest.mark.parametrize("level", [0.0, 5.0, -5.0])
def test_a_constant_volume_is_prepared_without_complaint(level):
    grid = Grid.from_spacing((4, 5, 6), 0.8)
    prepared = in_world(prepare(Volume(np.full(grid.shape, level, np.float32), grid)))
    assert np.ptp(prepared.array) == 0
    assert prepared.array[0, 0, 0] == (255 if level > 0 else 0)


@given(rotation=ROTATIONS, seed=SEEDS, spacing=st.floats(0.4, 1.7))
def test_a_sample_is_what_resampling_without_a_filter_gives(rotation, seed, spacing):
    grid = Grid.from_spacing(
        (14, 13, 15), 1, (50, -20, 7), Rotation.from_rotvec([1, 2, 0.5]).as_matrix()
    )
    array = np.random.default_rng(seed).integers(0, 256, grid.shape, dtype=np.uint8)
    target = Grid.centered((9, 10, 8), spacing, grid.center_mm + 0.3, rotation.as_matrix())
    sampled = sample(Volume(array, grid), target)
    expected = resample(Volume(array.astype(np.float32), grid), target, antialias=False).array
    index = grid.to_index(target.centers_mm())
    inside = ((index >= 0) & (index <= np.array(grid.shape) - 1)).all(axis=-1)
    assert inside.any()
    assert sampled.dtype == np.float32
    np.testing.assert_allclose(sampled[inside], expected[inside], atol=2e-3)
    beyond = ((index <= -1) | (index >= np.array(grid.shape))).any(axis=-1)
    assert np.abs(sampled[beyond]).max(initial=0) == 0


def test_a_sample_fades_to_nothing_over_the_last_half_voxel_and_the_next():
    grid = Grid.from_spacing((4, 4, 4))
    volume = Volume(np.full(grid.shape, 100, np.uint8), grid)
    line = sample(volume, Grid.from_spacing((9, 1, 1), 0.5, (-2, 1, 1)))
    assert line.ravel().tolist() == [0, 0, 0, 50, 100, 100, 100, 100, 100]


@given(rotation=ROTATIONS, spacing=st.floats(0.8, 2.0))
def test_a_sampled_blob_stays_where_it_is(rotation, spacing):
    grid = Grid.from_spacing((40, 42, 44), 1, (50, -20, 7))
    place = grid.center_mm + np.array([1.3, -0.7, 2.1])
    volume = Volume(np.rint(blob(grid, place)).astype(np.uint8), grid)
    count = int(34 / spacing)
    target = Grid.centered([count] * 3, spacing, place + 1, rotation.as_matrix())
    sampled = Volume(sample(volume, target), target)
    assert np.linalg.norm(middle_of_mass(sampled) - place) < 0.1


def test_the_voxel_size_before_the_preparation_is_kept():
    grid = Grid.from_spacing((12, 14, 16), (0.5, 0.75, 2.0))
    prepared = prepare(Volume(np.ones(grid.shape, np.uint8), grid))
    assert prepared.source_spacing_mm == (0.5, 0.75, 2.0)
    assert tuple(prepared.volume.grid.spacing_mm) == (1.0, 1.0, 1.0)

"""Heatmaps against Gaussians reckoned voxel by voxel, and read back where they were written."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from fetusmap.errors import BadInput
from fetusmap.geometry import Grid
from fetusmap.heatmap import Heatmaps, encode, find_peaks

SEEDS = st.integers(0, 2**32 - 1)
SIGMAS = st.floats(1.0, 2.5)
SHAPE = (13, 12, 15)
CUBE = Grid.from_spacing((20, 20, 20))
OBLIQUE = Grid.from_spacing(
    (24, 20, 22),
    (1.5, 2.0, 1.2),
    (-40, 60, 25),
    Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix()[:, [1, 0, 2]],
)
"""Oblique, anisotropic and left-handed."""


@st.composite
def oblique_grids(draw: st.DrawFn) -> Grid:
    """Voxels of 1 to 1.8 mm along each axis, so that a Gaussian spans some voxels of each."""
    direction = draw(st.from_type(Rotation)).as_matrix()
    return Grid.from_spacing(
        SHAPE,
        draw(st.tuples(*[st.floats(1.0, 1.8)] * 3)),
        draw(st.tuples(*[st.floats(-200.0, 200.0)] * 3)),
        direction[:, ::-1] if draw(st.booleans()) else direction,
    )


def read(maps: np.ndarray, grid: Grid, count: int = 1):
    return find_peaks(Heatmaps(torch.from_numpy(np.asarray(maps)), grid), count)


def points_inside(seed: int, grid: Grid, count: int, rim: float) -> np.ndarray:
    """World points whose index is at least `rim` voxels away from the outermost centres."""
    high = np.array(grid.shape) - 1 - rim
    return grid.to_world(np.random.default_rng(seed).uniform(rim, high, (count, 3)))


def one_each(points) -> list[tuple[int]]:
    return [(row,) for row in range(len(points))]


def voxels_apart(grid: Grid, first, second) -> np.ndarray:
    """Distance in voxels along the axis where it is largest."""
    return np.abs(grid.to_index(first) - grid.to_index(second)).max(axis=-1)


def rough_maps(seed: int, channels: int = 3, shape=(9, 11, 10)) -> np.ndarray:
    """Positive noise with some twenty maxima in each channel."""
    return np.random.default_rng(seed).uniform(0.1, 1, (channels, *shape)).astype(np.float32)


@given(grid=oblique_grids(), seed=SEEDS, sigma=st.floats(1.0, 3.0))
def test_a_gaussian_falls_with_the_distance_in_the_world(grid, seed, sigma):
    points = points_inside(seed, grid, 2, rim=0)
    maps = encode(points, grid, sigma, one_each(points))
    distance = np.linalg.norm(grid.centers_mm() - points[:, None, None, None], axis=-1)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, np.exp(-0.5 * (distance / sigma) ** 2), atol=1e-6)


@given(grid=oblique_grids(), seed=SEEDS, sigma=SIGMAS)
def test_what_was_written_between_voxels_is_read_back(grid, seed, sigma):
    points = points_inside(seed, grid, 8, rim=1.5)
    found = read(encode(points, grid, 1.8 * sigma, one_each(points)), grid)
    assert found.positions_mm.shape == (8, 1, 3)
    assert voxels_apart(grid, found.positions_mm[:, 0], points).max() < 0.02


@given(grid=oblique_grids(), seed=SEEDS)
def test_a_little_noise_moves_a_peak_a_little(grid, seed):
    # Noise of up to 2 % of the height: without smoothing it would be off twice as far.
    points = points_inside(seed, grid, 8, rim=1.5)
    maps = encode(points, grid, 2.2, one_each(points))
    maps += np.random.default_rng(seed).uniform(0, 0.02, maps.shape).astype(np.float32)
    apart = voxels_apart(grid, read(maps, grid).positions_mm[:, 0], points)
    assert apart.max() < 0.1
    assert apart.mean() < 0.03


@pytest.mark.parametrize(("sigma", "nearly"), [(1.0, 0.4), (1.5, 0.08), (2.5, 0.02)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_at_the_border_of_the_box_a_peak_is_closer_than_its_voxel(axis, sigma, nearly):
    index = np.full((81, 3), 9.3)
    index[:, axis] = np.linspace(-0.5, 1.5, 81)
    for mirrored in (index, 19 - index):
        maps = encode(mirrored, CUBE, sigma, one_each(mirrored))
        found = read(maps, CUBE).positions_mm[:, 0]
        assert np.abs(found - mirrored).max() < nearly
        np.testing.assert_allclose(np.delete(found - mirrored, axis, 1), 0, atol=0.02)


@given(seed=SEEDS, order=st.permutations([0, 1, 2]))
def test_several_peaks_come_in_the_order_of_their_heights(seed, order):
    rng = np.random.default_rng(seed)
    heights = np.array([0.9, 0.6, 0.3])
    index = np.array([[5, 5, 5], [17, 6, 15], [8, 14, 11]])[order] + rng.uniform(-0.5, 0.5, (3, 3))
    points = OBLIQUE.to_world(index)
    maps = heights[:, None, None, None] * encode(points, OBLIQUE, 2.0, one_each(points))
    found = read(maps.sum(axis=0, keepdims=True), OBLIQUE, 3)
    assert voxels_apart(OBLIQUE, found.positions_mm[0], points).max() < 0.02
    at_voxels = maps.max(axis=(1, 2, 3))
    np.testing.assert_allclose(found.heights[0], at_voxels, rtol=1e-4)
    first = read(maps.sum(axis=0, keepdims=True), OBLIQUE)
    np.testing.assert_allclose(first.positions_mm[0], found.positions_mm[0, :1], atol=1e-9)


@given(seed=SEEDS)
def test_a_pair_in_one_channel_is_read_back_as_two_peaks(seed):
    shifts = np.random.default_rng(seed).uniform(-0.5, 0.5, (2, 3))
    points = OBLIQUE.to_world(np.array([[6, 6, 6], [16, 12, 15]]) + shifts)
    maps = encode(points, OBLIQUE, 2.0, [(0, 1)])
    alone = encode(points, OBLIQUE, 2.0, [(0,), (1,)])
    np.testing.assert_allclose(maps[0], alone.sum(axis=0), atol=1e-7)
    found = read(maps, OBLIQUE, 2).positions_mm[0]
    apart = np.linalg.norm(found[:, None] - points, axis=-1)
    assert sorted(apart.argmin(axis=1)) == [0, 1]
    assert apart.min(axis=1).max() < 0.03


@pytest.mark.parametrize("between", [(0.5, 0, 0), (0, 0.5, 0.5), (0.5, 0.5, 0.5)])
def test_a_landmark_halfway_between_voxels_is_one_peak(between):
    point = np.array([9.0, 9.0, 9.0]) + between
    found = read(encode([point], CUBE, 1.5, [(0,)]), CUBE, 2)
    np.testing.assert_allclose(found.positions_mm[0, 0], point, atol=0.02)
    assert np.isnan(found.positions_mm[0, 1]).all()
    assert found.heights[0, 1] == 0


@pytest.mark.parametrize("seed", range(3))
def test_both_of_a_pair_are_found_when_logits_were_rounded_to_bfloat16(seed):
    # Bfloat16 has 8 bits: near its top a peak often has two or more equal voxels.
    rng = np.random.default_rng(seed)
    index = np.array([[6, 6, 6], [13, 13, 13]]) + rng.uniform(-0.5, 0.5, (60, 2, 3))
    maps = encode(index.reshape(-1, 3), CUBE, 1.0, [(2 * n, 2 * n + 1) for n in range(60)])
    logits = torch.from_numpy(np.log(maps + 1e-6) + 12).bfloat16().float()
    found = read(torch.softmax(logits.flatten(1), 1).reshape(maps.shape).numpy(), CUBE, 2)
    apart = np.linalg.norm(found.positions_mm[:, :, None] - index[:, None], axis=-1)
    assert np.sort(apart.argmin(axis=2), axis=1).tolist() == [[0, 1]] * 60
    assert apart.min(axis=2).max() < 0.5


def test_an_empty_channel_has_no_peak():
    maps = np.zeros((2, *CUBE.shape), np.float32)
    maps[1] = encode([[7.2, 8.1, 9.4]], CUBE, 1.5, [(0,)])[0]
    found = read(maps, CUBE, 2)
    assert np.isnan(found.positions_mm[0]).all()
    assert found.heights[0].tolist() == [0, 0]
    assert found.masses[0].tolist() == [0, 0]
    np.testing.assert_allclose(found.positions_mm[1, 0], [7.2, 8.1, 9.4], atol=0.02)


def test_where_there_are_fewer_peaks_than_asked_for_the_rest_is_nothing():
    found = read(encode([[7.2, 8.1, 9.4]], CUBE, 1.5, [(0,)]), CUBE, 3)
    np.testing.assert_allclose(found.positions_mm[0, 0], [7.2, 8.1, 9.4], atol=0.02)
    assert np.isnan(found.positions_mm[0, 1:]).all()
    assert found.heights[0, 1:].tolist() == [0, 0]
    assert found.masses[0, 1:].tolist() == [0, 0]


def test_more_peaks_may_be_asked_for_than_there_are_voxels():
    found = read(np.full((1, 1, 1, 1), 0.7), Grid.from_spacing((1, 1, 1), 2, (3, 4, 5)), 4)
    assert found.positions_mm[0, 0].tolist() == [3, 4, 5]
    assert found.heights[0] == pytest.approx([0.7, 0, 0, 0])
    assert found.masses[0] == pytest.approx([1, 0, 0, 0])
    assert found.positions_mm.shape == (1, 4, 3)
    assert np.isnan(found.positions_mm[0, 1:]).all()


def test_absent_and_far_landmarks_are_not_written():
    points = [[np.nan] * 3, [-0.6, 5, 5], [5, 5, 19.6], [-0.4, 5, 5], [5, 5, 19.4]]
    maps = encode(points, CUBE, 1.5, [*one_each(points), (0, 1, 3)])
    assert maps[:3].max() == 0
    assert maps[3].max() == pytest.approx(np.exp(-0.5 * (0.4 / 1.5) ** 2), rel=1e-6)
    assert maps[4].max() == maps[3].max()
    np.testing.assert_array_equal(maps[5], maps[3])


def test_channels_show_the_landmarks_that_they_are_told_to():
    points = np.array([[4.2, 5.1, 6.3], [14.7, 13.2, 12.9], [9.4, 9.6, 4.1]])
    maps = encode(points, CUBE, 1.5, [(2,), (0,), (1,), (), (2,)])
    assert maps.shape == (5, *CUBE.shape)
    found = read(maps, CUBE).positions_mm[:, 0]
    np.testing.assert_allclose(found[[0, 1, 2, 4]], points[[2, 0, 1, 2]], atol=0.02)
    assert np.isnan(found[3]).all()


def test_masses_by_hand():
    # Two voxels to each side count: all of the row but its ends, and at the corner 2 + 1.
    maps = np.zeros((1, *CUBE.shape), np.float32)
    maps[0, 10, 10, 5:12] = 1, 2, 3, 4, 3, 2, 1
    maps[0, 0, 0, 0], maps[0, 2, 2, 2], maps[0, 3, 0, 0] = 2.0, 1.0, 1.5
    found = read(maps, CUBE, 2)
    total = 16 + 2 + 1 + 1.5
    assert found.heights[0].tolist() == [4, 2]
    np.testing.assert_allclose(found.masses[0], [14 / total, 3 / total], rtol=1e-6)


@given(seed=SEEDS)
def test_heights_and_masses_agree_with_a_loop_over_voxels(seed):
    (array,) = rough_maps(seed, channels=1)
    grid = Grid.from_spacing(array.shape)
    maxima = []
    for index in np.ndindex(array.shape):
        around = array[tuple(slice(max(n - 2, 0), n + 3) for n in index)]
        if array[index] == around.max():
            maxima.append((array[index], around.sum() / array.sum(), index))
    maxima = sorted(maxima, reverse=True)[:4]
    found = read(array[None], grid, 4)
    padding = [0.0] * (4 - len(maxima))
    np.testing.assert_allclose(found.heights[0], [m[0] for m in maxima] + padding, rtol=1e-6)
    np.testing.assert_allclose(found.masses[0], [m[1] for m in maxima] + padding, rtol=1e-5)
    for position, (_, _, index) in zip(found.positions_mm[0], maxima, strict=False):
        assert np.abs(position - index).max() <= 0.5 + 1e-6


@given(seed=SEEDS)
def test_channels_together_equal_channels_one_by_one(seed):
    maps = rough_maps(seed)
    grid = Grid.from_spacing(maps.shape[1:], (1, 2, 1.5), (5, 6, 7))
    together = read(maps, grid, 3)
    for n in range(len(maps)):
        alone = read(maps[n : n + 1], grid, 3)
        np.testing.assert_allclose(together.positions_mm[n], alone.positions_mm[0], atol=1e-5)
        np.testing.assert_array_equal(together.heights[n], alone.heights[0])
        np.testing.assert_allclose(together.masses[n], alone.masses[0], rtol=1e-5)


@given(seed=SEEDS, axis=st.sampled_from([0, 1, 2]))
def test_peaks_stay_where_they_are_when_array_and_grid_are_flipped(seed, axis):
    maps = rough_maps(seed)
    grid = Grid.from_spacing(
        maps.shape[1:], OBLIQUE.spacing_mm, OBLIQUE.origin_mm, OBLIQUE.direction
    )
    plain = read(maps, grid, 3)
    flipped = read(np.flip(maps, axis + 1).copy(), grid.flip(axis), 3)
    np.testing.assert_allclose(flipped.positions_mm, plain.positions_mm, atol=1e-4)
    np.testing.assert_array_equal(flipped.heights, plain.heights)
    np.testing.assert_allclose(flipped.masses, plain.masses, rtol=1e-5)


@pytest.mark.parametrize("factor", [1e-5, 3.0])
def test_positions_and_masses_do_not_depend_on_the_unit_of_the_map(factor):
    points = points_inside(0, OBLIQUE, 5, rim=1.5)
    maps = encode(points, OBLIQUE, 2.0, one_each(points))
    plain, scaled = read(maps, OBLIQUE), read(maps * np.float32(factor), OBLIQUE)
    np.testing.assert_allclose(scaled.positions_mm, plain.positions_mm, atol=1e-3)
    np.testing.assert_allclose(scaled.heights, plain.heights * factor, rtol=1e-6)
    np.testing.assert_allclose(scaled.masses, plain.masses, rtol=1e-5)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_maps_of_any_precision_are_read(kind):
    maps = torch.from_numpy(encode([[7.2, 8.1, 9.4]], CUBE, 1.5, [(0,)])).to(kind)
    found = find_peaks(Heatmaps(maps, CUBE)).positions_mm[0, 0]
    np.testing.assert_allclose(found, [7.2, 8.1, 9.4], atol=0.03)


@pytest.mark.parametrize("shape", [(20, 20, 20), (2, 20, 20, 19), (2, 20, 19, 20), (1, 2, 20, 20)])
def test_an_array_that_does_not_fit_the_grid_is_refused_in_one_line(shape):
    with pytest.raises(BadInput) as error:
        Heatmaps(torch.zeros(shape), CUBE)
    assert str(error.value) == (
        "heatmaps: expected channels of the grid's shape (20, 20, 20), "
        f"found shape {shape}; give the grid of the heatmaps, not that of the network's input"
    )

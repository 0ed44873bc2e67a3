"""Heatmaps as evidence, at known voxels and by brute force."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from fetusmap.geometry import Grid
from fetusmap.heatmap import Heatmaps, encode
from fetusmap.heatmap.landmark_maps import (
    BACKGROUND_HEIGHT,
    MIN_PAIR_DISTANCE,
    LandmarkMaps,
    find_places,
)

ALONE = [(row,) for row in range(16)]
LOG_FLOOR = np.log(BACKGROUND_HEIGHT)


@pytest.fixture
def numbered():
    """Two maps of 4 x 3 x 2 voxels: voxel i, j, k of the first is i / 10, of the second j / 10."""
    i, j, _ = np.indices((4, 3, 2)) / 10
    grid = Grid.from_spacing((4, 3, 2), (1, 2, 3), (10, 20, 30))
    return LandmarkMaps(np.stack([i, j]).astype(np.float32), grid)


def test_heights_are_read_at_the_nearest_voxel(numbered):
    at = numbered.grid.to_world([[3, 0, 1], [0.4, 1.6, 0.4]])
    expected = (np.log(0.3 + BACKGROUND_HEIGHT) + np.log(0.2 + BACKGROUND_HEIGHT)) / 2
    assert numbered.mean_log_at(at) == pytest.approx(expected, abs=1e-6)
    several = np.stack([at, at[::-1]])
    found = numbered.mean_log_at(several)
    assert found.shape == (2,)
    assert found[0] == pytest.approx(expected, abs=1e-6)
    assert found[1] == pytest.approx(LOG_FLOOR, abs=1e-6)


@pytest.mark.parametrize("nowhere", [[4, 0, 0], [-0.6, 0, 0], [0, 0, 1e9], [np.nan] * 3])
def test_what_is_outside_or_absent_has_the_floor(numbered, nowhere):
    at = numbered.grid.to_world([nowhere, [0, 2, 0]])
    expected = (LOG_FLOOR + np.log(0.2 + BACKGROUND_HEIGHT)) / 2
    assert numbered.mean_log_at(at) == pytest.approx(expected, abs=1e-6)


def test_maps_that_are_of_both_sides_by_hand(skeleton):
    heatmaps = torch.rand(16, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    grid = Grid.from_spacing((3, 4, 5), 1.0)
    found = LandmarkMaps.of_both_sides(Heatmaps(heatmaps, grid), skeleton, 0.5, 0.7)
    assert found.grid == grid
    left, right, neck = skeleton.indices(("left_knee", "right_knee", "neck"))
    one, other, middle = (2 * heatmaps[row].numpy() for row in (left, right, neck))
    np.testing.assert_allclose(found.heights[left], 0.7 * one + 0.3 * other, rtol=1e-6)
    np.testing.assert_allclose(found.heights[right], 0.7 * other + 0.3 * one, rtol=1e-6)
    np.testing.assert_allclose(found.heights[neck], middle, rtol=1e-6)


# Places


def cloud_around(pose, sd_mm=3.0, count=20, seed=0):
    """Symmetric around the pose, so that its mean is the pose."""
    aside = np.random.default_rng(seed).normal(0, sd_mm, (count // 2, *pose.shape))
    return pose + np.concatenate([aside, -aside])


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (0.5, -0.3, 1.2), (2.0, 1.0, -0.7)])
@pytest.mark.parametrize("spacing", [(1.5, 1.5, 1.5), (1.0, 1.4, 1.9)])
def test_a_gaussian_and_a_cloud_around_it_give_its_position(library, skeleton, box, turn, spacing):
    """To a tenth of a voxel, in any grid."""
    pose = library.positions_mm[3].astype(float)
    grid = box(pose, spacing, turn, margin_mm=25)  # the cloud shall not be cut off
    maps = LandmarkMaps(encode(pose, grid, 2.0, ALONE), grid)
    for place, truth in zip(
        find_places(maps, skeleton, cloud_around(pose), 3.0, 0.3), pose, strict=True
    ):
        assert np.abs(grid.to_index(place.position_mm) - grid.to_index(truth)).max() < 0.1
        assert np.abs(place.index - grid.to_index(truth)).max() < 0.51
        assert 0.6 < place.height <= 1


def test_the_position_has_the_least_expected_distance(skeleton, library, box):
    """By brute force over all voxels near the peak; two bumps of unlike heights."""
    pose = library.positions_mm[3].astype(float)
    grid = box(pose)
    bumps = [encode(pose + shift, grid, 2.0, ALONE) for shift in ([0, 0, 0], [3.5, 2.0, 0.0])]
    maps = LandmarkMaps(0.9 * bumps[0] + 0.5 * bumps[1], grid)
    cloud = pose + np.random.default_rng(2).normal([1, 0, -1], [2, 3, 4], (30, 16, 3))
    places = find_places(maps, skeleton, cloud, 2.5, 0.3)
    centers = grid.centers_mm()
    for row in (0, 2, 6, 7):  # of the midline: nobody else claims their peaks
        prior = multivariate_normal(
            cloud[:, row].mean(axis=0), np.cov(cloud[:, row].T) + 2.5**2 * np.eye(3)
        )
        logs = np.log(maps.heights[row] + BACKGROUND_HEIGHT) + 0.3 * prior.logpdf(centers)
        assert np.array_equal(places[row].index, np.unravel_index(logs.argmax(), logs.shape))
        away = np.abs(centers - cloud[:, row].mean(axis=0)).max(axis=-1)
        share = maps.heights[row] * np.exp(0.3 * prior.logpdf(centers))
        weights = share * (away < 14) * (share > 1e-3 * share[tuple(places[row].index)])
        points, weights = centers[weights > 0], weights[weights > 0]

        def distance(x, points=points, weights=weights):
            return weights @ np.linalg.norm(points - x, axis=1) / weights.sum()

        best = minimize(distance, places[row].position_mm, method="Nelder-Mead")
        assert distance(places[row].position_mm) == pytest.approx(best.fun, rel=0.002)
        assert np.linalg.norm(best.x - places[row].position_mm) < 0.3


def test_two_of_a_pair_never_share_a_peak(skeleton, library, box):
    """Both clouds lie where the left knee was seen, and alone both would be there."""
    pose = library.positions_mm[3].astype(float)
    left, right = skeleton.indices(("left_knee", "right_knee"))
    pose[right] = pose[left] + [9, 3, 0]
    grid = box(pose)
    heatmaps = Heatmaps(torch.from_numpy(encode(pose, grid, 2.0, ALONE)), grid)
    maps = LandmarkMaps.of_both_sides(heatmaps, skeleton, 1.0, 0.7)
    centers = pose.copy()
    centers[right] = pose[left] + [1, 0, 0]
    cloud = cloud_around(centers, 4.0)
    places = find_places(maps, skeleton, cloud, 3.0, 0.3)
    for row in (left, right):
        assert np.array_equal(places[row].index, np.rint(grid.to_index(pose[row])))
    for one, other in skeleton.mirror_pairs:
        first, second = places[skeleton.index(one)], places[skeleton.index(other)]
        assert np.abs(first.index - second.index).max() > MIN_PAIR_DISTANCE


def test_exchanged_sides_are_put_right_by_a_cloud(skeleton, library, box):
    pose = library.positions_mm[3].astype(float)
    grid = box(pose)
    exchanged = encode(pose, grid, 2.0, ALONE)[skeleton.mirror_index]
    heatmaps = Heatmaps(torch.from_numpy(exchanged), grid)
    maps = LandmarkMaps.of_both_sides(heatmaps, skeleton, 1.0, 0.5)
    places = find_places(maps, skeleton, cloud_around(pose, 2.0), 2.0, 1.0)
    found = np.array([place.position_mm for place in places])
    assert np.linalg.norm(found - pose, axis=1).max() < 1.5


def test_a_landmark_of_which_nothing_is_known_has_no_place(skeleton, library, box):
    pose = library.positions_mm[3].astype(float)
    grid = box(pose)
    maps = LandmarkMaps(encode(pose, grid, 2.0, ALONE), grid)
    cloud = cloud_around(pose)
    cloud[:, 0] = np.nan
    cloud[1:, 1] = np.nan  # one position is no cloud
    cloud[:, 2] += 500
    places = find_places(maps, skeleton, cloud, 3.0, 0.3)
    assert [row for row, place in enumerate(places) if place is None] == [0, 1, 2]


def test_a_map_that_shows_nothing_leaves_the_middle_of_the_cloud(skeleton, library, box):
    pose = library.positions_mm[3].astype(float)
    grid = box(pose)
    maps = LandmarkMaps(np.zeros((16, *grid.shape), np.float32), grid)
    for row in (0, 2, 6, 7):
        place = find_places(maps, skeleton, cloud_around(pose), 3.0, 1.0)[row]
        assert np.linalg.norm(place.position_mm - pose[row]) < 0.75
        assert place.height == 0

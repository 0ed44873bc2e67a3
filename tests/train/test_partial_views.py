"""Hidden parts of a body: voxels beyond a plane and around lines."""

import numpy as np
import pytest

from fetusmap.geometry import Grid, rotation_from_vector
from fetusmap.train.partial_views import cut_off, erase_around
from fetusmap.volume import Volume


@pytest.fixture
def volume():
    turn = rotation_from_vector([0.3, -0.2, 0.5])
    grid = Grid.centered((24, 20, 22), (1.0, 1.2, 0.9), (5.0, 6.0, 7.0), turn)
    rng = np.random.default_rng(2)
    return Volume(rng.integers(1, 255, grid.shape, dtype=np.uint8), grid)


def test_beyond_a_plane_everything_is_blank_and_nothing_else(volume):
    point, normal = np.array([6.0, 5.0, 7.0]), np.array([0.6, 0.0, -0.8])
    landmarks = np.array([[6.0, 5.0, 7.0], [7.0, 9.0, 7.0], [6.0, 0.0, 8.0]])
    cut, in_view = cut_off(volume, landmarks, point, normal)
    beyond = (volume.grid.centers_mm() - point) @ normal > 0
    np.testing.assert_array_equal(cut.array, np.where(beyond, 0, volume.array))
    assert in_view.tolist() == [True, False, True]


def test_around_lines_there_is_fluid(volume):
    corners = np.array([[2.0, 6.0, 7.0], [7.0, 6.0, 7.0], [7.0, 9.0, 7.0]])
    lines = np.array([corners[:2], corners[1:], [corners[0], [np.nan] * 3]])
    erased = erase_around(volume, lines, 3.0, np.random.default_rng(0))
    steps = np.linspace(0, 1, 200)[:, None]
    points = np.concatenate([a + steps * (b - a) for a, b in lines[:2]])
    centers = volume.grid.centers_mm().reshape(-1, 3)
    distance = np.linalg.norm(centers[:, None] - points, axis=-1).min(axis=1)
    before, after = volume.array.reshape(-1), erased.array.reshape(-1)
    np.testing.assert_array_equal(after[distance > 3.0], before[distance > 3.0])
    inside = distance < 2.9
    assert inside.sum() > 100
    assert after[inside].max() <= np.percentile(before, 12)
    assert after[inside].min() > 0


def test_the_echoes_of_fluid_are_correlated_like_speckle(volume):
    line = np.array([[[5.0, 6.0, 7.0], [5.0, 6.0, 7.0]]])
    erased = erase_around(volume, line, 50.0, np.random.default_rng(0)).array.astype(float)
    assert np.corrcoef(erased[1:].ravel(), erased[:-1].ravel())[0, 1] > 0.4
    assert abs(np.corrcoef(erased[6:].ravel(), erased[:-6].ravel())[0, 1]) < 0.1


def test_lines_outside_the_volume_erase_nothing(volume):
    far = np.full((1, 2, 3), 300.0)
    erased = erase_around(volume, far, 3.0, np.random.default_rng(0))
    np.testing.assert_array_equal(erased.array, volume.array)

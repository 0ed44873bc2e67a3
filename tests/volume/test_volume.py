"""Volumes: what they refuse, and that a crop stays where it was."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetusmap.errors import BadInput
from fetusmap.geometry import Grid
from fetusmap.volume import Volume

GRID = Grid.from_spacing((2, 3, 4), (1, 2, 3), (10, 20, 30))


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((4, 3, 2)), "(4, 3, 2)"),
        (np.zeros((2, 3, 4, 1)), "(2, 3, 4, 1)"),
        (np.zeros((2, 3, 4), dtype=bool), "bool"),
        (np.zeros((2, 3, 4), dtype=complex), "complex128"),
        (np.zeros((2, 3, 4), dtype=object), "object"),
        (np.zeros((2, 3, 4), dtype=[("r", "u1"), ("g", "u1")]), "[('r', 'u1'), ('g', 'u1')]"),
    ],
)
def test_an_array_that_is_no_volume_on_its_grid_is_refused_in_one_line(array, found):
    with pytest.raises(BadInput) as error:
        Volume(array, GRID)
    assert error.value.subject == "volume"
    assert error.value.found == found
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "i8", "f2", "f4", "f8", ">i2"])
def test_every_real_scalar_type_is_kept_and_not_copied(dtype):
    array = np.zeros((2, 3, 4), dtype=dtype)
    assert Volume(array, GRID).array is array


def test_the_intensity_range_is_the_lowest_and_highest_voxel():
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4) - 7
    assert Volume(array, GRID).intensity_range == (-7.0, 16.0)


def test_facts_are_copied_and_read_only():
    facts = {"maker": "x"}
    volume = Volume(np.zeros((2, 3, 4)), GRID, facts=facts)
    facts["maker"] = "y"
    assert volume.facts == {"maker": "x"}
    with pytest.raises(TypeError, match="does not support item assignment"):
        volume.facts["maker"] = "z"
    with pytest.raises(FrozenInstanceError):
        volume.name = "other"


@given(grid=st.from_type(Grid), data=st.data())
def test_a_crop_shows_the_same_voxels_at_the_same_world_points(grid, data):
    start = tuple(data.draw(st.integers(0, n - 1)) for n in grid.shape)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, grid.shape, strict=True))
    array = np.random.default_rng(0).normal(size=grid.shape)
    part = Volume(array, grid).crop(start, stop)
    assert np.shares_memory(part.array, array)
    for index in np.ndindex(part.grid.shape):
        place = np.round(grid.to_index(part.grid.to_world(index))).astype(int)
        assert part.array[index] == array[tuple(place)]


def test_a_crop_beyond_the_volume_is_refused():
    with pytest.raises(BadInput, match=r"^crop: expected ranges inside shape \(2, 3, 4\)"):
        Volume(np.zeros((2, 3, 4)), GRID).crop((0, 0, 0), (2, 3, 5))

"""Corruptions: what each of them does to the voxels, and that it does nothing else."""

import numpy as np
import pytest
from scipy import ndimage

from fetusmap.geometry import Grid
from fetusmap.train.corruptions import CORRUPTIONS
from fetusmap.volume import Volume

SHAPE = (20, 22, 25)


@pytest.fixture(scope="module")
def volume():
    """Speckle between two empty faces."""
    rng = np.random.default_rng(0)
    array = np.clip(rng.rayleigh(50, SHAPE), 1, 255).astype(np.uint8)
    array[:2], array[-2:] = 0, 0
    return Volume(array, Grid.from_spacing(SHAPE, 1.0, (3.0, -4.0, 5.0)), "case")


def corrupted(name, volume, seed=1):
    return CORRUPTIONS[name](volume, np.random.default_rng(seed))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_is_a_function_of_volume_and_generator(name, volume):
    before = volume.array.copy()
    first, second = corrupted(name, volume), corrupted(name, volume)
    np.testing.assert_array_equal(first.array, second.array)
    assert first.grid == second.grid
    assert first.array.dtype == np.uint8
    assert first.name == "case"
    np.testing.assert_array_equal(volume.array, before)
    changed = first.grid != volume.grid or (first.array != volume.array).mean() > 0.005
    assert changed


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - {"overlays", "inverted grey levels"}))
def test_empty_voxels_stay_empty(name, volume):
    """Except under overlays, and where black and white are exchanged."""
    found = corrupted(name, volume)
    index = np.argwhere(np.ones(found.array.shape, bool))
    places = np.rint(volume.grid.to_index(found.grid.to_world(index))).astype(int)
    inside = ((places >= 0) & (places < SHAPE)).all(axis=1)
    empty = np.ones(len(index), bool)
    empty[inside] = volume.array[tuple(places[inside].T)] == 0
    if name == "median smoothing":  # the border of the echoes moves by up to a voxel
        empty &= ~inside | (ndimage.distance_transform_edt(volume.array == 0).ravel() > 1)
    assert (found.array.reshape(-1)[empty] == 0).all()


@pytest.mark.parametrize("name", ["zero padding", "crop"])
def test_voxels_keep_their_places(name, volume):
    found = corrupted(name, volume)
    index = np.argwhere(found.array > 0)
    there = np.rint(volume.grid.to_index(found.grid.to_world(index))).astype(int)
    np.testing.assert_array_equal(volume.array[tuple(there.T)], found.array[found.array > 0])


def test_a_crop_takes_28_percent_of_one_axis(volume):
    shapes = {corrupted("crop", volume, seed).array.shape for seed in range(12)}
    assert shapes == {(14, 22, 25), (20, 16, 25), (20, 22, 18)}


def test_inverting_exchanges_black_and_white(volume):
    twice = corrupted("inverted grey levels", corrupted("inverted grey levels", volume))
    np.testing.assert_array_equal(twice.array, volume.array)
    assert corrupted("inverted grey levels", volume).array[0].min() == 255


def test_few_grey_levels_are_few_and_keep_their_order(volume):
    found = corrupted("few grey levels", volume)
    assert 3 <= len(np.unique(found.array[found.array > 0])) <= 8
    order = np.argsort(volume.array, axis=None)
    assert (np.diff(found.array.reshape(-1)[order].astype(int)) >= 0).all()


def test_a_ramp_brightens_one_end_and_darkens_the_other(volume):
    found = corrupted("gain ramp", volume).array.astype(float)
    ratios = np.divide(found, volume.array, where=volume.array > 60, out=np.full(SHAPE, np.nan))
    spread = [
        np.nanmean(ratios[volume.array < 140], where=volume.array[volume.array < 140] > 60),
        *(np.ptp([np.nanmedian(part) for part in np.array_split(ratios[2:-2], 3, axis=axis)])
          for axis in range(3)),
    ]  # fmt: skip
    assert spread[0] == pytest.approx(1.0, abs=0.15)
    assert sorted(spread[1:])[0] < 0.15
    assert sorted(spread[1:])[2] > 0.7


def test_smoothing_and_sharpening_change_the_contrast(volume):
    sd = volume.array[4:-4].std()
    assert corrupted("Gaussian smoothing", volume).array[4:-4].std() < 0.6 * sd
    assert corrupted("median smoothing", volume).array[4:-4].std() < 0.6 * sd
    assert corrupted("sharpening", volume).array[4:-4].std() > 1.1 * sd


def test_fans_thresholds_and_gaps_only_blank(volume):
    for name, least in (("fan mask", 0.05), ("threshold", 0.2), ("missing slices", 0.05)):
        found = corrupted(name, volume).array
        kept = found > 0
        np.testing.assert_array_equal(found[kept], volume.array[kept])
        assert least < 1 - kept.sum() / (volume.array > 0).sum() < 0.75

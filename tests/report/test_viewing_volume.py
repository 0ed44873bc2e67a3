"""The copy of a volume for viewing: small, in the same place, with the same structures."""

import gzip

import numpy as np
import pytest

from fetusmap.geometry import Grid
from fetusmap.io import load_volume
from fetusmap.report import viewing_nifti, viewing_volume
from fetusmap.volume import Volume


def with_a_blob(shape, spacing_mm, dtype=np.int16) -> tuple[Volume, np.ndarray]:
    """A dark volume with one bright blob, and where the blob lies."""
    turn = np.linalg.qr(np.array([[1.0, 0.2, 0.1], [0.0, 1.0, 0.3], [0.2, 0.0, 1.0]]))[0]
    grid = Grid.from_spacing(shape, spacing_mm, (10.0, -20.0, 5.0), turn)
    place = grid.to_world(np.array(shape) * (0.3, 0.6, 0.5))
    points = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    away = np.linalg.norm(grid.to_world(points) - place, axis=-1)
    return Volume((1000 * np.exp(-((away / 3.0) ** 2)) - 200).astype(dtype), grid), place


@pytest.mark.parametrize("spacing_mm", [(0.5, 0.5, 0.5), (0.3, 0.6, 1.2)])
def test_a_large_volume_becomes_small_and_keeps_its_place(spacing_mm):
    volume, place = with_a_blob((60, 50, 40), spacing_mm)
    small = viewing_volume(volume, max_bytes=20_000)
    assert small.array.dtype == np.uint8
    assert 14_000 < small.array.size <= 20_000
    np.testing.assert_allclose(small.grid.extent_mm, volume.grid.extent_mm)
    np.testing.assert_allclose(small.grid.center_mm, volume.grid.center_mm)
    np.testing.assert_allclose(small.grid.direction, volume.grid.direction, atol=1e-12)
    peak = np.argwhere(small.array == 255).mean(axis=0)  # the brightest voxels saturate
    assert np.linalg.norm(small.grid.to_world(peak) - place) < small.grid.spacing_mm.max()


def test_the_finest_axis_is_coarsened_first():
    volume, _ = with_a_blob((60, 40, 20), (0.3, 0.6, 1.2))
    small = viewing_volume(volume, max_bytes=25_000)
    assert small.grid.shape == (31, 40, 20)


def test_a_small_volume_keeps_its_voxels_and_uses_all_grey_levels():
    volume, _ = with_a_blob((20, 21, 22), (1, 1, 1))
    small = viewing_volume(volume)
    assert small.grid.shape == volume.grid.shape
    assert (small.array.min(), small.array.max()) == (0, 255)
    assert small.array.flat[volume.array.argmax()] == 255


def test_a_constant_volume_is_black():
    volume = Volume(np.full((16, 16, 16), 7, np.uint8), Grid.from_spacing((16, 16, 16), 1.0))
    assert not viewing_volume(volume).array.any()


def test_the_file_reads_back_with_the_same_grid_and_has_no_name(tmp_path):
    volume, _ = with_a_blob((40, 30, 20), (0.5, 0.5, 0.5))
    content = viewing_nifti(Volume(volume.array, volume.grid, name="Secret"), max_bytes=16_000)
    assert len(content) <= 16_000
    assert content == viewing_nifti(volume, max_bytes=16_000)
    assert b"Secret" not in gzip.decompress(content)
    (tmp_path / "view.nii.gz").write_bytes(content)
    back, small = load_volume(tmp_path / "view.nii.gz"), viewing_volume(volume, max_bytes=16_000)
    np.testing.assert_array_equal(back.array, small.array)
    np.testing.assert_allclose(back.grid.affine, small.grid.affine, atol=1e-5)


def test_a_few_bright_voxels_in_an_even_volume_stay_visible():
    array = np.full((40, 40, 40), 10, np.int16)
    array[21, 21, 21] = 110
    grid = Grid.centered((40, 40, 40), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    shown = viewing_volume(Volume(array, grid)).array
    assert (shown[21, 21, 21], shown[0, 0, 0], np.count_nonzero(shown)) == (255, 0, 1)
    assert not viewing_volume(Volume(np.full_like(array, 10), grid)).array.any()

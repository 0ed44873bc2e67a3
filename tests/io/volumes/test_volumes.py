"""Volumes through every writable format, against SimpleITK, nibabel and real files."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.geometry import Grid
from fetusmap.io import (
    WRITABLE_SUFFIXES,
    Conversion,
    ReadLimits,
    load_grid,
    load_volume,
    read_volume_header,
    save_volume,
)
from fetusmap.volume import Volume

DTYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8")
NIFTI = {".nii", ".nii.gz"}


@pytest.fixture(scope="session")
def oblique():
    """A grid with a known rotation of 30 degrees about z and three different spacings."""
    c, s = math.cos(math.radians(30)), math.sin(math.radians(30))
    direction = [[c, -s, 0], [s, c, 0], [0, 0, 1]]
    return Grid.from_spacing((16, 17, 18), (0.5, 1.0, 2.0), (10, -20, 30), direction)


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_a_saved_volume_comes_back_in_place_for_us_and_for_the_other_readers(
    suffix, data, grids, phantom, read_simpleitk, read_nibabel
):
    grid = data.draw(grids)
    dtype = data.draw(st.sampled_from(DTYPES))
    array = phantom(grid.shape, dtype, data.draw(st.integers(0, 1000)))
    low, high = -0.5, np.array(grid.shape) - 0.5
    part = data.draw(hnp.arrays(np.float64, (8, 3), elements=st.floats(0, 1)))
    indices = low + part * (high - low)
    # The matrix product written out, so that no function of ours says what is right.
    world = np.array([[sum(row[n] * p[n] for n in range(3)) + row[3] for row in grid.affine[:3]]
                      for p in indices])  # fmt: skip

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"case{suffix}"
        save_volume(Volume(array, grid), path)
        ours = load_volume(path)
        views = [read_simpleitk(path), *([read_nibabel(path)] if suffix in NIFTI else [])]

    assert ours.array.dtype == np.dtype(dtype)
    assert ours.warnings == ()
    np.testing.assert_array_equal(ours.array, array)
    assert np.abs(ours.grid.to_world(indices) - world).max() < 1e-3
    for view in views:
        np.testing.assert_array_equal(view.array, array)
        assert np.abs(view.to_world(indices) - world).max() < 1e-3


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_keeps_its_extremes_and_its_order_of_axes(suffix, dtype, tmp_path, phantom):
    array = phantom(dtype=dtype)
    path = tmp_path / f"case{suffix}"
    save_volume(Volume(array, Grid.from_spacing(array.shape)), path)

    loaded = load_volume(path)

    assert loaded.array.dtype == np.dtype(dtype)
    assert loaded.array.shape == (16, 17, 18)
    assert loaded.intensity_range == (float(array.min()), float(array.max()))
    np.testing.assert_array_equal(loaded.array, array)


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_a_known_voxel_has_its_known_world_point(suffix, tmp_path, oblique):
    array = np.zeros((16, 17, 18), np.uint8)
    array[2, 4, 6] = 9
    save_volume(Volume(array, oblique), tmp_path / f"case{suffix}")

    loaded = load_volume(tmp_path / f"case{suffix}")

    assert np.argwhere(loaded.array == 9).tolist() == [[2, 4, 6]]
    # 2 steps of 0.5 mm along (cos 30, sin 30), 4 of 1 mm along (-sin 30, cos 30), 6 of 2 mm up.
    cos, sin = math.sqrt(3) / 2, 0.5
    expected = [10 + 1 * cos - 4 * sin, -20 + 1 * sin + 4 * cos, 30 + 12]
    np.testing.assert_allclose(loaded.grid.to_world([2, 4, 6]), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_a_left_handed_volume_stays_left_handed(suffix, tmp_path, phantom):
    array = phantom()
    grid = Grid.from_spacing(array.shape, direction=np.diag([-1, 1, 1]))
    save_volume(Volume(array, grid), tmp_path / f"case{suffix}")
    loaded = load_volume(tmp_path / f"case{suffix}")
    assert loaded.grid.is_left_handed
    np.testing.assert_array_equal(loaded.grid.affine, np.diag([-1.0, 1.0, 1.0, 1.0]))


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
@pytest.mark.parametrize("layout", ["C", "F", "strided"])
def test_the_memory_order_of_the_array_does_not_matter(suffix, layout, tmp_path, phantom):
    array = phantom()
    stored = {
        "C": np.ascontiguousarray(array),
        "F": np.asfortranarray(array),
        "strided": np.repeat(array, 2, axis=1)[:, ::2],
    }[layout]
    save_volume(Volume(stored, Grid.from_spacing(array.shape)), tmp_path / f"case{suffix}")
    np.testing.assert_array_equal(load_volume(tmp_path / f"case{suffix}").array, array)


def test_half_precision_is_written_as_single(tmp_path):
    array = np.linspace(-2, 2, 16**3).reshape(16, 16, 16).astype(np.float16)
    save_volume(Volume(array, Grid.from_spacing(array.shape)), tmp_path / "case.nrrd")
    loaded = load_volume(tmp_path / "case.nrrd")
    assert loaded.array.dtype == np.float32
    np.testing.assert_array_equal(loaded.array, array.astype(np.float32))


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_files_are_compressed_where_the_format_can(suffix, tmp_path):
    volume = Volume(np.zeros((32, 32, 32), np.uint8), Grid.from_spacing((32, 32, 32)))
    save_volume(volume, tmp_path / f"case{suffix}")
    assert (tmp_path / f"case{suffix}").stat().st_size < 32**3 / 10


def test_a_plain_nii_is_not_compressed(tmp_path):
    volume = Volume(np.zeros((32, 32, 32), np.uint8), Grid.from_spacing((32, 32, 32)))
    save_volume(volume, tmp_path / "case.nii")
    assert (tmp_path / "case.nii").stat().st_size == 352 + 32**3


def test_the_name_comes_from_the_file_and_the_facts_tell_what_was_read(tmp_path, phantom):
    array = phantom(dtype="i2")
    volume = Volume(array, Grid.from_spacing(array.shape), name="other", warnings=("old",))
    save_volume(volume, tmp_path / "case 7.nii.gz")
    loaded = load_volume(tmp_path / "case 7.nii.gz")
    assert loaded.name == "case_7"
    assert loaded.warnings == ()
    assert loaded.facts["format"] == "NIfTI-1 (gzip)"
    assert loaded.facts["stored as"] == "int16"
    assert loaded.facts["unit"] == "millimetre"


def test_a_path_may_be_a_string_with_an_upper_case_suffix(tmp_path, phantom):
    array = phantom()
    save_volume(Volume(array, Grid.from_spacing(array.shape)), tmp_path / "case.nii")
    (tmp_path / "case.nii").rename(tmp_path / "CASE.NII")
    np.testing.assert_array_equal(load_volume(str(tmp_path / "CASE.NII")).array, array)


def test_a_file_name_that_is_no_utf8_can_be_read(tmp_path, phantom):
    array = phantom()
    save_volume(Volume(array, Grid.from_spacing(array.shape)), tmp_path / "case.nii")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.nii"))
    (tmp_path / "case.nii").rename(odd)
    loaded = load_volume(odd)
    np.testing.assert_array_equal(loaded.array, array)
    assert loaded.name == "caf"


def test_the_header_is_read_without_the_voxels(tmp_path, craft):
    # The voxels do not even unpack: whoever touches them fails.
    head = craft.nrrd({"encoding": "gzip"}, voxels=b"no gzip")
    (tmp_path / "case.nrrd").write_bytes(head)
    header = read_volume_header(tmp_path / "case.nrrd")
    assert header.shape == (16, 17, 18)
    assert header.dtype == np.uint8
    assert header.data_bytes == 16 * 17 * 18
    np.testing.assert_array_equal(header.affine, np.eye(4))
    with pytest.raises(UnreadableFile):
        load_volume(tmp_path / "case.nrrd")


@pytest.mark.parametrize("suffix", [".nhdr", ".mhd", ".json", ".png", ""])
def test_a_suffix_that_we_do_not_write_is_refused(suffix, tmp_path, phantom, refused):
    array = phantom()
    with refused(".nii.gz", error=BadInput):
        save_volume(Volume(array, Grid.from_spacing(array.shape)), tmp_path / f"case{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_a_sheared_volume_is_not_written(tmp_path, refused):
    affine = np.eye(4)
    affine[0, 1] = 0.01
    with refused("cosine 0.010", error=BadInput):
        save_volume(Volume(np.zeros((16, 16, 16)), Grid((16, 16, 16), affine)), tmp_path / "a.nii")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_volume_is_kept_unless_it_may_be_overwritten(tmp_path, phantom, refused):
    path = tmp_path / "case.nii"
    old, new = phantom(seed=1), phantom(seed=2)
    save_volume(Volume(old, Grid.from_spacing(old.shape)), path)
    with refused("existing", error=BadInput):
        save_volume(Volume(new, Grid.from_spacing(new.shape)), path, overwrite=False)
    np.testing.assert_array_equal(load_volume(path).array, old)
    save_volume(Volume(new, Grid.from_spacing(new.shape)), path)
    np.testing.assert_array_equal(load_volume(path).array, new)
    assert [p.name for p in tmp_path.iterdir()] == ["case.nii"]


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_a_missing_folder_is_refused_in_one_line(suffix, tmp_path, phantom, refused):
    array = phantom()
    with refused("folder", error=BadInput):
        save_volume(Volume(array, Grid.from_spacing(array.shape)), tmp_path / "no" / f"x{suffix}")


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_integers_that_we_cannot_read_are_not_written(dtype, tmp_path, refused):
    volume = Volume(np.zeros((16, 16, 16), dtype), Grid.from_spacing((16, 16, 16)))
    with refused("32", error=BadInput):
        save_volume(volume, tmp_path / "case.nrrd")


@pytest.mark.parametrize("dtype", ["i2", "f4"])
def test_an_array_of_foreign_byte_order_can_be_saved(dtype, tmp_path, phantom):
    native = phantom(dtype=dtype)
    foreign = native.astype(native.dtype.newbyteorder("S"))
    save_volume(Volume(foreign, Grid.from_spacing(native.shape)), tmp_path / "case.nii")
    np.testing.assert_array_equal(load_volume(tmp_path / "case.nii").array, native)


def test_a_spacing_that_contradicts_the_file_is_refused_unless_forced(tmp_path, oblique, refused):
    save_volume(Volume(np.zeros(oblique.shape, np.uint8), oblique), tmp_path / "case.nrrd")
    with refused("0.5 x 1 x 2 mm", "0.3 x 0.4 x 0.5 mm", "--force-spacing", error=BadInput):
        load_volume(tmp_path / "case.nrrd", spacing_mm=(0.3, 0.4, 0.5))
    forced = Conversion(force_spacing=True)
    loaded = load_volume(tmp_path / "case.nrrd", spacing_mm=(0.3, 0.4, 0.5), conversion=forced)
    np.testing.assert_allclose(loaded.grid.spacing_mm, [0.3, 0.4, 0.5], rtol=1e-12)
    np.testing.assert_allclose(loaded.grid.direction, oblique.direction, atol=1e-12)
    np.testing.assert_allclose(loaded.grid.origin_mm, [10, -20, 30], atol=1e-12)
    (warning,) = loaded.warnings
    assert "0.3 x 0.4 x 0.5 mm given by the caller" in warning
    assert "the file states 0.5 x 1 x 2 mm" in warning


def test_a_spacing_that_agrees_with_the_file_is_accepted(tmp_path, oblique):
    save_volume(Volume(np.zeros(oblique.shape, np.uint8), oblique), tmp_path / "case.nrrd")
    loaded = load_volume(tmp_path / "case.nrrd", spacing_mm=(0.5, 1.0, 2.0))
    np.testing.assert_allclose(loaded.grid.affine, oblique.affine, atol=1e-12)


@pytest.mark.parametrize(
    "spacing",
    [
        (0, 1, 1),
        (1, 1, math.nan),
        (1, 1, 99),
        (1, math.inf, 1),
        (-1, 1, 1),
        (1, 1),
    ],
)
def test_a_callers_spacing_that_cannot_be_is_refused(spacing, tmp_path, phantom, refused):
    array = phantom()
    save_volume(Volume(array, Grid.from_spacing(array.shape)), tmp_path / "case.nii")
    with refused("spacing", error=BadInput):
        load_volume(tmp_path / "case.nii", spacing_mm=spacing)


def test_limits_can_be_moved_for_a_file_that_is_trusted(tmp_path, craft, refused):
    path = tmp_path / "small.nrrd"
    fields = {"sizes": "8 8 8", "space directions": "(9,0,0) (0,9,0) (0,0,9)"}
    path.write_bytes(craft.nrrd(fields, voxels=bytes(range(256)) * 2))
    with refused("16 voxels"):
        load_volume(path)
    with refused("9 x 9 x 9 mm"):
        load_volume(path, limits=ReadLimits(min_axis=8))
    loaded = load_volume(path, limits=ReadLimits(min_axis=8, spacing_mm=(1, 10)))
    # 512 counting bytes, first index fastest: voxel [i, j, k] holds i + 8 j + 64 k modulo 256.
    assert loaded.array[7, 0, 0] == 7
    assert loaded.array[1, 2, 3] == 1 + 16 + 192
    assert loaded.array[0, 0, 4] == 0


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd"])
def test_the_number_of_voxels_is_capped_by_the_header_alone(suffix, tmp_path, craft, refused):
    path = tmp_path / f"case{suffix}"
    whole = {
        ".nii": craft.nifti(dim=(3, 30, 30, 30, 1, 1, 1, 1)),
        ".nii.gz": craft.gzip_with_zeros(craft.nifti(dim=(3, 30, 30, 30, 1, 1, 1, 1)), 1),
        ".nrrd": craft.nrrd({"sizes": "30 30 30"}, bytes(27000)),
        ".nhdr": craft.nrrd({"sizes": "30 30 30", "data file": "case.raw"}, b""),
        ".mha": craft.metaimage({"DimSize": "30 30 30"}, bytes(27000)),
        ".mhd": craft.metaimage({"DimSize": "30 30 30", "ElementDataFile": "case.raw"}, b""),
    }[suffix]
    path.write_bytes(whole)
    (tmp_path / "case.raw").write_bytes(bytes(27000))
    read_volume_header(path, limits=ReadLimits(max_voxels=27000, max_bytes=27000))
    for limits in (ReadLimits(max_voxels=26999), ReadLimits(max_bytes=26999)):
        with refused("27000 voxels", "27000 bytes"):
            read_volume_header(path, limits=limits)


def test_the_real_ultrasound_sweep_agrees_with_other_readers(
    shared_data, read_simpleitk, read_nibabel
):
    path = shared_data / "liver-sweep" / "liver_sweep_compounded_1mm.nii.gz"
    ours = load_volume(path)
    assert ours.array.shape == (253, 197, 153)
    assert ours.array.dtype == np.uint8
    assert ours.intensity_range == (0, 235)
    np.testing.assert_allclose(ours.grid.spacing_mm, [1, 1, 1], atol=1e-6)
    for view in (read_simpleitk(path), read_nibabel(path)):
        np.testing.assert_array_equal(view.array, ours.array)
        corners = np.argwhere(np.ones((2, 2, 2))) * (np.array(ours.array.shape) - 1)
        assert np.abs(view.to_world(corners) - ours.grid.to_world(corners)).max() < 1e-3


def test_the_real_oblique_label_map_agrees_with_other_readers(
    shared_data, read_simpleitk, read_nibabel
):
    path = shared_data / "fetal-mri" / "fetus_segmentation.nii.gz"
    ours = load_volume(path)
    assert ours.array.shape == (288, 288, 90)
    direction = np.abs(ours.grid.direction)
    assert np.sort(direction, axis=0)[:2].max() > 0.01  # oblique: no axis lies along the world's
    for view in (read_simpleitk(path), read_nibabel(path)):
        np.testing.assert_array_equal(view.array, ours.array)
        corners = np.argwhere(np.ones((2, 2, 2))) * (np.array(ours.array.shape) - 1)
        assert np.abs(view.to_world(corners) - ours.grid.to_world(corners)).max() < 1e-3


@pytest.fixture(scope="module")
def full_disk(tmp_path_factory):
    """A folder with one small file per format, and what writing larger ones there said.

    A limit on the size of files ends a write as a full disk does: with an error in the middle.
    """
    pytest.importorskip("resource")
    folder = tmp_path_factory.mktemp("full")
    old = Volume(np.zeros((16, 16, 16), np.uint8), Grid.from_spacing((16, 16, 16)))
    for suffix in WRITABLE_SUFFIXES:
        save_volume(old, folder / f"case{suffix}")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    script = """
import json, resource, signal, sys
from pathlib import Path
import numpy as np
from fetusmap.errors import BadInput
from fetusmap.geometry import Grid
from fetusmap.io import save_volume
from fetusmap.volume import Volume

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
noise = np.random.default_rng(0).integers(0, 255, (64, 64, 64), dtype=np.uint8)
messages = {}
for path in map(Path, sys.argv[1:]):
    try:
        save_volume(Volume(noise, Grid.from_spacing(noise.shape)), path)
    except BadInput as error:
        messages[path.name] = str(error)
print(json.dumps(messages))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, folder.iterdir())],
        capture_output=True,
        text=True,
        check=True,
    )
    return folder, before, json.loads(done.stdout)


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_a_full_disk_is_an_error_and_the_old_file_stays(suffix, full_disk):
    folder, before, messages = full_disk
    assert "expected a place that can be written" in messages[f"case{suffix}"]
    assert (folder / f"case{suffix}").read_bytes() == before[f"case{suffix}"]
    assert {path.name for path in folder.iterdir()} == set(before)


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_the_same_volume_gives_the_same_bytes_under_any_name(suffix, tmp_path, phantom, oblique):
    array = phantom(shape=oblique.shape)
    for name, order in (("a", "C"), ("b", "F")):
        volume = Volume(np.array(array, order=order), oblique, name=name)
        save_volume(volume, tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
def test_a_slight_shear_is_kept_exactly(suffix, tmp_path):
    affine = np.diag([0.5, 0.5, 0.5, 1.0])
    affine[0, 1] = 4e-4
    grid = Grid((220, 205, 26), affine)
    save_volume(Volume(np.zeros(grid.shape, np.uint8), grid), tmp_path / f"case{suffix}")
    apart = load_volume(tmp_path / f"case{suffix}").grid.corners_mm() - grid.corners_mm()
    assert np.abs(apart).max() < 1e-4


@pytest.mark.parametrize(
    ("array", "spacing", "found"),
    [
        (np.full((16, 16, 16), np.nan), 1.0, "NaN"),
        (np.zeros((16, 16, 8), np.uint8), 1.0, "(16, 16, 8)"),
        (np.zeros((16, 16, 16), np.uint8), 0.01, "0.01"),
        (np.zeros((16, 16, 16), np.longdouble), 1.0, "at most 64"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(array, spacing, found, tmp_path):
    with pytest.raises(BadInput) as caught:
        save_volume(Volume(array, Grid.from_spacing(array.shape, spacing)), tmp_path / "case.nii")
    assert found in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_load_grid_is_where_the_volume_is(tmp_path, phantom, oblique):
    save_volume(Volume(phantom(shape=oblique.shape), oblique), tmp_path / "case.nii.gz")
    assert load_grid(tmp_path / "case.nii.gz") == load_volume(tmp_path / "case.nii.gz").grid

"""NIfTI files that nibabel writes and files packed by hand are read as nibabel reads them."""

from __future__ import annotations

import gzip
import itertools
import math
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from fetusmap.errors import BadInput
from fetusmap.geometry import Grid, random_rotations
from fetusmap.io import load_volume, save_volume
from fetusmap.volume import Volume

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
CORNERS = np.argwhere(np.ones((2, 2, 2))) * (15, 16, 17)


def _ras(angles_deg, spacing, origin):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix() * spacing
    affine[:3, 3] = origin
    return affine


OBLIQUE = _ras((20, -35, 50), (0.5, 0.8, 1.3), (-40, 25, 60))
TURNED = _ras((0, 0, 90), (0.5, 0.8, 1.3), (1, 2, 3))


@pytest.fixture
def write(tmp_path, phantom):
    """Write a NIfTI with nibabel and return its path."""

    def write(*, qform=None, sform=None, unit="mm", suffix=".nii.gz", dtype="i2", trailing=()):
        array = phantom(dtype=dtype).reshape((16, 17, 18, *trailing))
        # The affine given here sets pixdim, as any writer would.
        known = (sform or qform)[0]
        image = nib.Nifti1Image(array, known)
        image.set_sform(*(sform or (None, 0)), update_affine=False)
        image.set_qform(*(qform or (None, 0)), update_affine=False)
        image.header.set_xyzt_units(unit)
        path = tmp_path / f"case{suffix}"
        nib.save(image, path)
        return path

    return write


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    "forms",
    [
        {"sform": (OBLIQUE, 1)},
        {"sform": (OBLIQUE, 4)},
        {"qform": (OBLIQUE, 1)},
        {"qform": (OBLIQUE, 3)},
        {"qform": (OBLIQUE, 1), "sform": (OBLIQUE, 1)},
        {"qform": (OBLIQUE, 1), "sform": (OBLIQUE, 4)},
        {"qform": (OBLIQUE, 3), "sform": (OBLIQUE, 2)},
    ],
    ids=["s1", "s4", "q1", "q3", "q1s1", "q1s4", "q3s2"],
)
def test_every_way_to_give_an_orientation_is_read_as_others_read_it(
    forms, suffix, write, read_nibabel, read_simpleitk
):
    path = write(**forms, suffix=suffix)
    ours = load_volume(path)
    assert ours.warnings == ()
    expected = CORNERS @ (RAS_FROM_LPS @ OBLIQUE)[:3, :3].T + (40, -25, 60)
    for view in (ours.grid, read_nibabel(path), read_simpleitk(path)):
        assert np.abs(view.to_world(CORNERS) - expected).max() < 1e-3
    np.testing.assert_array_equal(ours.array, read_nibabel(path).array)
    np.testing.assert_array_equal(ours.array, read_simpleitk(path).array)


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_whatever_nibabel_writes_we_read_as_nibabel_does(data, grids, phantom, read_nibabel):
    grid = data.draw(grids)
    order = data.draw(st.sampled_from("<>"))
    dtype = np.dtype(data.draw(st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])))
    forms = data.draw(st.sampled_from([(0, 1), (1, 0), (1, 1), (2, 4), (4, 2)]), label="q, s")
    kind = data.draw(st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]))
    header = kind.header_class(endianness=order)
    header.set_data_dtype(dtype.newbyteorder(order))
    ras = RAS_FROM_LPS @ grid.affine
    image = kind(phantom(grid.shape, dtype.name), ras, header)
    image.set_sform(ras, forms[1], update_affine=False)
    image.set_qform(ras, forms[0], update_affine=False)
    image.header.set_xyzt_units("mm")
    if not forms[1]:
        # Near a half turn the fourth part of the quaternion drowns in the rounding of the other
        # three, and the standard's own code and nibabel round it to 0 at different thresholds.
        stored = np.array([float(image.header[f"quatern_{axis}"]) for axis in "bcd"])
        assume(1 - stored @ stored > 1e-6)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.nii"
        nib.save(image, path)
        ours, theirs = load_volume(path), read_nibabel(path)
    corners = np.argwhere(np.ones((2, 2, 2))) * (np.array(grid.shape) - 1)
    assert np.abs(ours.grid.to_world(corners) - theirs.to_world(corners)).max() < 1e-3
    if forms[1]:  # a quaternion in single precision is too coarse for this near a half turn
        assert np.abs(ours.grid.to_world(corners) - grid.to_world(corners)).max() < 1e-3
    np.testing.assert_array_equal(ours.array, theirs.array)
    assert ours.array.dtype == dtype
    assert ours.warnings == ()


@pytest.mark.parametrize("codes", [(1, 1), (3, 1), (1, 4), (2, 4)], ids=str)
def test_where_the_forms_conflict_the_sform_is_used_with_a_warning(
    codes, write, read_nibabel, read_simpleitk
):
    path = write(qform=(TURNED, codes[0]), sform=(OBLIQUE, codes[1]))
    ours = load_volume(path)
    assert len(ours.warnings) == 1
    assert "sform used" in ours.warnings[0]
    expected = CORNERS @ (RAS_FROM_LPS @ OBLIQUE)[:3, :3].T + (40, -25, 60)
    assert np.abs(ours.grid.to_world(CORNERS) - expected).max() < 1e-3
    assert np.abs(read_nibabel(path).to_world(CORNERS) - expected).max() < 1e-3
    # SimpleITK goes by the sform only when its code is 1, and otherwise by the qform: that readers
    # differ is why there is a warning.
    apart = np.abs(read_simpleitk(path).to_world(CORNERS) - expected).max()
    assert (apart < 1e-3) == (codes[1] == 1)


def test_forms_that_differ_by_rounding_are_no_conflict(write):
    nudged = OBLIQUE.copy()
    nudged[:3, 3] += 0.03  # less than a tenth of the smallest voxel
    assert load_volume(write(qform=(nudged, 1), sform=(OBLIQUE, 1))).warnings == ()


@pytest.mark.parametrize(("unit", "per_mm"), [("mm", 1), ("meter", 1e-3), ("micron", 1e3)])
def test_units_are_turned_into_millimetres(unit, per_mm, write, read_nibabel, read_simpleitk):
    stored = OBLIQUE.copy()
    stored[:3] *= per_mm
    path = write(qform=(stored, 1), sform=(stored, 1), unit=unit)
    ours = load_volume(path)
    np.testing.assert_allclose(ours.grid.spacing_mm, [0.5, 0.8, 1.3], rtol=1e-5)
    np.testing.assert_allclose(ours.grid.origin_mm, [40, -25, 60], rtol=1e-5)
    assert ours.warnings == ()
    assert np.abs(read_simpleitk(path).to_world(CORNERS) - ours.grid.to_world(CORNERS)).max() < 1e-3
    # nibabel does not look at the unit: it gives the stored numbers.
    np.testing.assert_allclose(read_nibabel(path).affine, RAS_FROM_LPS @ stored, rtol=1e-5)


def test_an_unknown_unit_is_taken_as_millimetres_with_a_warning(write, read_simpleitk):
    path = write(sform=(OBLIQUE, 1), unit="unknown")
    ours = load_volume(path)
    assert ours.warnings == ("no unit in the file: taken as millimetres",)
    np.testing.assert_allclose(ours.grid.spacing_mm, [0.5, 0.8, 1.3], rtol=1e-6)
    assert np.abs(read_simpleitk(path).to_world(CORNERS) - ours.grid.to_world(CORNERS)).max() < 1e-3


def test_a_unit_code_that_does_not_exist_is_warned_about(tmp_path, craft):
    (tmp_path / "case.nii").write_bytes(craft.nifti(units=5))
    assert load_volume(tmp_path / "case.nii").warnings


def test_the_time_unit_beside_the_space_unit_is_ignored(tmp_path, craft):
    # Bits 3 to 5 hold the unit of time: 8 is seconds.
    (tmp_path / "case.nii").write_bytes(craft.nifti(units=2 | 8))
    loaded = load_volume(tmp_path / "case.nii")
    assert loaded.warnings == ()
    np.testing.assert_array_equal(loaded.grid.spacing_mm, [1, 1, 1])


def test_big_endian_files_give_native_voxels(tmp_path, phantom, read_simpleitk, read_nibabel):
    array = phantom(dtype="i2")
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    header.set_xyzt_units("mm")
    path = tmp_path / "case.nii"
    nib.save(nib.Nifti1Image(array, OBLIQUE, header), path)
    assert path.read_bytes()[:4] == b"\0\0\1\x5c"  # 348, the high byte first

    loaded = load_volume(path)

    assert loaded.facts["byte order"] == "big endian"
    assert loaded.array.dtype == np.dtype("=i2")
    for view in (read_nibabel(path), read_simpleitk(path)):
        np.testing.assert_array_equal(loaded.array, view.array)
        assert np.abs(loaded.grid.to_world(CORNERS) - view.to_world(CORNERS)).max() < 1e-3
    np.testing.assert_array_equal(loaded.array, array)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_2_is_read(suffix, tmp_path, phantom, read_nibabel):
    array = phantom(dtype="f4")
    image = nib.Nifti2Image(array, OBLIQUE)
    image.header.set_xyzt_units("mm")
    path = tmp_path / f"case{suffix}"
    nib.save(image, path)
    loaded = load_volume(path)
    assert loaded.facts["format"].startswith("NIfTI-2")
    # SimpleITK has no reader for NIfTI-2, so nibabel is the only other opinion.
    np.testing.assert_array_equal(loaded.array, read_nibabel(path).array)
    np.testing.assert_allclose(loaded.grid.affine, RAS_FROM_LPS @ OBLIQUE, atol=1e-12)


def test_scaled_integers_become_the_floats_that_others_compute(
    tmp_path, read_nibabel, read_simpleitk
):
    values = np.linspace(-3, 7, 16 * 17 * 18).reshape(16, 17, 18)
    image = nib.Nifti1Image(values, OBLIQUE)
    image.header.set_data_dtype("i2")
    image.header.set_xyzt_units("mm")
    path = tmp_path / "case.nii.gz"
    nib.save(image, path)

    loaded = load_volume(path)

    assert loaded.array.dtype == np.float32
    # Half a step of the 65,535 that the writer had for a range of 10, and single precision.
    np.testing.assert_allclose(loaded.array, values, rtol=0, atol=0.5 * 10 / 65535 + 1e-6)
    np.testing.assert_array_equal(loaded.array, read_nibabel(path).array.astype(np.float32))
    np.testing.assert_array_equal(loaded.array, read_simpleitk(path).array.astype(np.float32))


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8"])
def test_slope_and_intercept_are_applied_by_hand(dtype, tmp_path, craft):
    stored = np.arange(16 * 17 * 18) % 100
    voxels = stored.astype(np.dtype(dtype).newbyteorder("<")).tobytes()
    path = tmp_path / "case.nii"
    path.write_bytes(craft.nifti(dtype=dtype, scaling=(0.5, -3), voxels=voxels))
    loaded = load_volume(path)
    assert loaded.array.dtype == np.float32
    # Halves of integers below 100, less 3, are exact; the first index runs fastest.
    expected = np.reshape(stored * 0.5 - 3, (16, 17, 18), order="F")
    np.testing.assert_array_equal(loaded.array, expected)


@pytest.mark.parametrize("scaling", [(0, 0), (0, 5), (math.nan, 0), (math.nan, math.nan), (1, 0)])
def test_no_scaling_leaves_the_stored_type(scaling, tmp_path, craft, phantom):
    array = phantom()
    path = tmp_path / "case.nii"
    path.write_bytes(craft.nifti(scaling=scaling, voxels=array.tobytes("F")))
    loaded = load_volume(path)
    assert loaded.array.dtype == np.uint8
    np.testing.assert_array_equal(loaded.array, array)


def test_a_slope_is_not_dropped_because_the_intercept_is_nan(tmp_path, craft):
    # nibabel refuses such a header; SimpleITK takes the intercept as 0 and keeps the slope.
    path = tmp_path / "case.nii"
    path.write_bytes(
        craft.nifti(scaling=(2, math.nan), voxels=bytes(np.full(16 * 17 * 18, 3, np.uint8)))
    )
    loaded = load_volume(path)
    assert loaded.array.max() == 6 or loaded.warnings


@pytest.mark.parametrize("trailing", [(1,), (1, 1), (1, 1, 1)])
def test_further_axes_of_one_are_dropped(trailing, write, phantom, read_nibabel, read_simpleitk):
    path = write(sform=(OBLIQUE, 1), trailing=trailing)
    assert len(read_nibabel(path).array.shape) == 3 + len(trailing)
    loaded = load_volume(path)
    np.testing.assert_array_equal(loaded.array, phantom(dtype="i2"))
    np.testing.assert_array_equal(loaded.array, read_simpleitk(path).array)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_header_extensions_are_skipped(
    suffix, tmp_path, phantom, craft, read_nibabel, read_simpleitk
):
    array = phantom(dtype="u2")
    image = nib.Nifti1Image(array, OBLIQUE)
    image.header.set_xyzt_units("mm")
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"a patient? " * 50))
    path = tmp_path / f"case{suffix}"
    nib.save(image, path)
    whole = path.read_bytes()
    whole = gzip.decompress(whole) if suffix == ".nii.gz" else whole
    offset = np.frombuffer(whole, "<f4", 1, 108)[0]
    assert offset > 352 + 500

    loaded = load_volume(path)

    np.testing.assert_array_equal(loaded.array, array)
    np.testing.assert_array_equal(loaded.array, read_nibabel(path).array)
    np.testing.assert_array_equal(loaded.array, read_simpleitk(path).array)
    assert "patient" not in str(dict(loaded.facts))


@pytest.mark.parametrize(
    "cuts",
    [
        (400,),
        (352,),
        (348,),
        (1000, 2000, 3000),
        (100,),
        (0,),
        tuple(range(64, 4000, 64)),
    ],
    ids=["400", "352", "348", "thousands", "100", "empty-first", "64-each"],
)
def test_a_gzip_of_several_members_is_one_file(cuts, tmp_path, phantom, craft, read_nibabel):
    array = phantom()
    whole = craft.nifti(voxels=array.tobytes("F"))
    places = [0, *cuts, len(whole)]
    path = tmp_path / "case.nii.gz"
    path.write_bytes(b"".join(gzip.compress(whole[a:b]) for a, b in itertools.pairwise(places)))
    np.testing.assert_array_equal(read_nibabel(path).array, array)
    np.testing.assert_array_equal(load_volume(path).array, array)


def test_zeros_after_the_gzip_stream_are_padding(tmp_path, phantom, craft):
    array = phantom()
    path = tmp_path / "case.nii.gz"
    path.write_bytes(gzip.compress(craft.nifti(voxels=array.tobytes("F"))) + bytes(512))
    np.testing.assert_array_equal(load_volume(path).array, array)


def test_a_qform_is_read_by_hand(tmp_path, craft):
    half = math.sqrt(0.5)
    path = tmp_path / "case.nii"
    path.write_bytes(
        craft.nifti(
            codes=(1, 0),
            pixdim=(-1, 0.5, 1, 2, 0, 0, 0, 0),
            quatern=(0, 0, half),  # a quarter turn about z: x goes to y, y goes to -x
            qoffset=(10, 20, 30),
        )
    )
    ras = [[0, -1, 0, 10], [0.5, 0, 0, 20], [0, 0, -2, 30], [0, 0, 0, 1]]  # qfac turns z round
    np.testing.assert_allclose(
        load_volume(path).grid.affine, RAS_FROM_LPS @ np.array(ras), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(
    ("quatern", "diagonal"),
    [
        ((1, 0, 0), (1, -1, -1)),
        ((0, 1, 0), (-1, 1, -1)),
        ((0, 0, 1), (-1, -1, 1)),
        ((0, 0, 1.000001), (-1, -1, 1)),  # rounding
        ((0, 0, 0), (1, 1, 1)),
    ],
)
def test_half_turns_are_read_by_hand(quatern, diagonal, tmp_path, craft):
    path = tmp_path / "case.nii"
    path.write_bytes(craft.nifti(codes=(1, 0), quatern=quatern))
    expected = RAS_FROM_LPS @ np.diag([*diagonal, 1])
    np.testing.assert_allclose(load_volume(path).grid.affine, expected, rtol=0, atol=1e-6)


def _turns():
    """The 24 turns that carry axes to axes."""
    for order in itertools.permutations(range(3)):
        for signs in itertools.product([1, -1], repeat=3):
            matrix = np.zeros((3, 3))
            matrix[order, range(3)] = signs
            if np.linalg.det(matrix) > 0:
                yield matrix


@pytest.mark.parametrize("turn", list(_turns()))
def test_a_qform_along_the_axes_is_exact(turn, tmp_path, phantom, read_nibabel, read_simpleitk):
    affine = np.eye(4)
    affine[:3, :3] = turn
    image = nib.Nifti1Image(phantom(), affine)
    image.set_sform(None, 0)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm")
    path = tmp_path / "case.nii"
    nib.save(image, path)
    expected = CORNERS @ (RAS_FROM_LPS @ affine)[:3, :3].T
    for view in (read_nibabel(path), read_simpleitk(path), load_volume(path).grid):
        assert np.abs(view.to_world(CORNERS) - expected).max() < 1e-3


def test_a_qfac_of_zero_means_one(tmp_path, craft):
    path = tmp_path / "case.nii"
    path.write_bytes(craft.nifti(codes=(1, 0), pixdim=(0, 1, 1, 1, 0, 0, 0, 0)))
    np.testing.assert_allclose(load_volume(path).grid.affine, RAS_FROM_LPS, atol=1e-12)


def test_a_negative_pixdim_in_a_qform_does_not_mirror_the_volume(tmp_path, craft, refused):
    # The standard wants pixdim[1..3] positive; nibabel raises HeaderDataError.
    path = tmp_path / "case.nii"
    path.write_bytes(craft.nifti(codes=(1, 0), pixdim=(1, -1, 1, 1, 0, 0, 0, 0)))
    with refused("-1"):
        load_volume(path)


def test_an_sform_is_read_by_hand(tmp_path, craft):
    path = tmp_path / "case.nii"
    path.write_bytes(
        craft.nifti(pixdim=(1, 0.5, 2, 4, 0, 0, 0, 0), srow=(0, 2, 0, 7, 0, 0, 4, 8, 0.5, 0, 0, 9))
    )
    expected = [[0, -2, 0, -7], [0, 0, -4, -8], [0.5, 0, 0, 9], [0, 0, 0, 1]]
    np.testing.assert_array_equal(load_volume(path).grid.affine, expected)


def test_a_pixdim_that_contradicts_the_sform_is_refused_until_the_caller_decides(
    tmp_path, craft, refused
):
    path = tmp_path / "case.nii"
    path.write_bytes(craft.nifti(pixdim=(1, 1, 1, 3, 0, 0, 0, 0)))
    with refused("pixdim (1, 1, 3)", "(1, 1, 1) in the sform", "--spacing"):
        load_volume(path)
    loaded = load_volume(path, spacing_mm=(1, 1, 3))
    np.testing.assert_array_equal(loaded.grid.affine, np.diag([-1.0, -1.0, 3.0, 1.0]))
    assert loaded.warnings == (
        "spacing 1 x 1 x 3 mm given by the caller",
        "not used: pixdim (1, 1, 3) but spacing (1, 1, 1) in the sform",
    )


def test_pixdim_and_sform_may_differ_by_rounding(tmp_path, craft):
    path = tmp_path / "case.nii"
    path.write_bytes(craft.nifti(pixdim=(1, 1.005, 0.995, 1, 0, 0, 0, 0)))
    np.testing.assert_array_equal(load_volume(path).grid.affine, RAS_FROM_LPS)


def test_a_file_without_any_orientation_is_refused_until_the_caller_decides(
    tmp_path, craft, refused
):
    path = tmp_path / "case.nii"
    path.write_bytes(craft.nifti(codes=(0, 0), pixdim=(1, 0.5, 0.5, 0.5, 0, 0, 0, 0)))
    with refused("neither qform nor sform", "(0.5, 0.5, 0.5)", "--spacing"):
        load_volume(path)
    with refused("the file states, 0.5 x 0.5 x 0.5 mm", "--force-spacing", error=BadInput):
        load_volume(path, spacing_mm=(1, 1, 1))
    loaded = load_volume(path, spacing_mm=(0.5, 0.5, 0.5))
    np.testing.assert_array_equal(loaded.grid.affine, np.diag([0.5, 0.5, 0.5, 1.0]))
    assert loaded.warnings == (
        "spacing 0.5 x 0.5 x 0.5 mm given by the caller",
        "no usable orientation in the file: axes taken as left, posterior, superior",
        "not used: neither qform nor sform, only pixdim (0.5, 0.5, 0.5)",
    )


def test_a_nan_in_the_sform_is_refused_until_the_caller_decides(tmp_path, craft, refused):
    path = tmp_path / "case.nii"
    path.write_bytes(craft.nifti(srow=(1, 0, 0, math.nan, 0, 1, 0, 0, 0, 0, 1, 0)))
    with refused("nan", "--spacing"):
        load_volume(path)
    assert len(load_volume(path, spacing_mm=(1, 1, 1)).warnings) == 2


def test_a_mirror_that_no_spacing_can_settle_stays_refused(write, refused):
    mirrored = OBLIQUE.copy()
    mirrored[:3, 0] *= -1
    path = write(qform=(mirrored, 1), sform=(OBLIQUE, 1))
    for spacing in (None, (1.0, 1.0, 1.0)):
        with refused("mirror images of each other"):
            load_volume(path, spacing_mm=spacing)


@pytest.mark.parametrize(
    ("shape", "origin", "found"),
    [((40_000, 16, 16), (0, 0, 0), "40000"), ((16, 16, 16), (1e6 + 0.03, 0, 0), "an error of")],
)
def test_what_nifti_cannot_hold_is_refused_and_nrrd_takes_it(shape, origin, found, tmp_path):
    grid = Grid.from_spacing(shape, 0.5, origin)
    volume = Volume(np.zeros(shape, np.uint8), grid)
    with pytest.raises(BadInput, match=found):
        save_volume(volume, tmp_path / "case.nii.gz")
    save_volume(volume, tmp_path / "case.nrrd")
    assert load_volume(tmp_path / "case.nrrd").grid.is_close(grid, 1e-9)
    assert [path.name for path in tmp_path.iterdir()] == ["case.nrrd"]


@pytest.mark.parametrize("spacing", [0.05, 5.0])
@pytest.mark.parametrize("seed", range(5))
def test_spacings_at_the_limits_survive_single_precision(spacing, seed, tmp_path):
    turn = random_rotations(np.random.default_rng(seed), 1)[0]
    grid = Grid.from_spacing((16, 16, 16), spacing, (1, 2, 3), turn)
    save_volume(Volume(np.zeros(grid.shape, np.uint8), grid), tmp_path / "case.nii")
    assert load_volume(tmp_path / "case.nii").grid.is_close(grid, 1e-3)


@pytest.mark.parametrize("degrees", [0.0, 0.02, 0.1, 0.5, 10.0, 90.0])
def test_no_form_that_we_write_is_off_by_a_micrometre(degrees, tmp_path, read_simpleitk):
    turn = Rotation.from_rotvec(np.array([0.6, -0.64, 0.48]) * degrees, degrees=True)
    grid = Grid.from_spacing((220, 205, 26), 0.5, (100, -200, 50), turn.as_matrix())
    path = tmp_path / "case.nii"
    save_volume(Volume(np.zeros(grid.shape, np.uint8), grid), path)
    corners = np.argwhere(np.ones((2, 2, 2))) * (219, 204, 25)
    here = grid.to_world(corners)
    image = nib.load(path)
    forms = [image.get_sform(coded=True), image.get_qform(coded=True)]
    assert forms[0][1] == 1
    for form, code in forms:
        if code:
            ras = corners @ form[:3, :3].T + form[:3, 3]
            np.testing.assert_allclose(ras * (-1, -1, 1), here, rtol=0, atol=1e-3)
    np.testing.assert_allclose(read_simpleitk(path).to_world(corners), here, rtol=0, atol=1e-3)


def test_a_mirror_is_seen_even_where_pixdim_contradicts_the_sform(tmp_path, craft, refused):
    path = tmp_path / "case.nii"
    mirrored = (-1, 1, 1, 3, 0, 0, 0, 0)  # qfac -1 turns the third axis round
    path.write_bytes(craft.nifti(codes=(1, 1), pixdim=mirrored))
    for spacing in (None, (1.0, 1.0, 3.0)):
        with refused("mirror images of each other"):
            load_volume(path, spacing_mm=spacing)

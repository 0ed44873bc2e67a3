"""MetaImage files written by hand, against SimpleITK where it can read them."""

from __future__ import annotations

import contextlib
import gzip
import zlib

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.io import Conversion, load_volume

DIRECTION = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()
SPACING = (0.5, 0.8, 1.3)
# Row n of TransformMatrix is the direction of index axis n.
MATRIX = " ".join(map(repr, DIRECTION.T.ravel().tolist()))
OBLIQUE = {"TransformMatrix": MATRIX, "Offset": "10.5 -20 30", "ElementSpacing": "0.5 0.8 1.3"}
COUNT = 16 * 17 * 18


@pytest.fixture
def put(tmp_path):
    """Write bytes into the test's folder and return the path."""

    def put(content: bytes, name: str = "case.mha"):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return put


def test_the_matrix_holds_the_directions_in_rows(put, craft, phantom, agrees):
    array = phantom()
    loaded = agrees(put(craft.metaimage(OBLIQUE, array.tobytes("F"))), array)
    np.testing.assert_allclose(loaded.grid.affine[:3, :3], DIRECTION * SPACING, atol=1e-15)
    np.testing.assert_array_equal(loaded.grid.origin_mm, [10.5, -20, 30])
    assert loaded.warnings == ()


@pytest.mark.parametrize("offset", ["Offset", "Position", "Origin"])
@pytest.mark.parametrize("matrix", ["TransformMatrix", "Rotation", "Orientation"])
def test_the_synonyms_of_offset_and_matrix_are_known(offset, matrix, put, craft, phantom, agrees):
    array = phantom()
    fields = {"Offset": None, "TransformMatrix": None, offset: "10.5 -20 30", matrix: MATRIX}
    loaded = agrees(put(craft.metaimage({**OBLIQUE, **fields}, array.tobytes("F"))), array)
    np.testing.assert_allclose(loaded.grid.affine[:3, :3], DIRECTION * SPACING, atol=1e-15)
    np.testing.assert_array_equal(loaded.grid.origin_mm, [10.5, -20, 30])


def test_two_offsets_that_differ_are_not_chosen_from_in_silence(put, craft, read_simpleitk):
    path = put(craft.metaimage({"Offset": "0 0 0", "Origin": "5 5 5"}))
    with contextlib.suppress(UnreadableFile):
        loaded = load_volume(path)
        theirs = read_simpleitk(path).affine[:3, 3]
        assert loaded.warnings or np.array_equal(loaded.grid.origin_mm, theirs)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("MET_CHAR", "i1"),
        ("MET_UCHAR", "u1"),
        ("MET_SHORT", "i2"),
        ("MET_USHORT", "u2"),
        ("MET_INT", "i4"),
        ("MET_UINT", "u4"),
        ("MET_FLOAT", "f4"),
        ("MET_DOUBLE", "f8"),
    ],
)
def test_every_type_and_byte_order_is_read(kind, dtype, order, packed, put, craft, phantom, agrees):
    array = phantom(dtype=dtype)
    voxels = array.astype(array.dtype.newbyteorder(order)).tobytes("F")
    stored = zlib.compress(voxels) if packed else voxels
    fields = {
        "ElementType": kind,
        "BinaryDataByteOrderMSB": "True" if order == ">" else "False",
        "CompressedData": str(packed),
        # SimpleITK unpacks only when it is told the packed size.
        **({"CompressedDataSize": str(len(stored))} if packed else {}),
    }
    agrees(put(craft.metaimage({**OBLIQUE, **fields}, stored)), array)


def test_the_other_name_of_the_byte_order_is_known(put, craft, phantom, agrees):
    array = phantom(dtype="i2")
    fields = {
        "ElementType": "MET_SHORT", "BinaryDataByteOrderMSB": None, "ElementByteOrderMSB": "True",
    }  # fmt: skip
    agrees(put(craft.metaimage(fields, array.astype(">i2").tobytes("F"))), array)


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
def test_compressed_voxels_need_no_size(pack, put, craft, phantom):
    # SimpleITK fails on these without CompressedDataSize.
    array = phantom()
    content = craft.metaimage({"CompressedData": "True"}, pack(array.tobytes("F")))
    np.testing.assert_array_equal(load_volume(put(content)).array, array)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_of_both_kinds_are_read(end, put, craft, phantom, agrees):
    array = phantom()
    content = craft.metaimage({**OBLIQUE, "Comment": "x = y"}, array.tobytes("F"), end=end)
    loaded = agrees(put(content), array)
    np.testing.assert_array_equal(loaded.grid.origin_mm, [10.5, -20, 30])


def test_blanks_around_the_equal_sign_do_not_matter(put, craft, phantom, agrees):
    array = phantom()
    head = craft.metaimage(OBLIQUE, b"").replace(b" = ", b"=")
    agrees(put(head + array.tobytes("F")), array)


def test_centre_and_anatomy_keys_move_nothing(put, craft, phantom, agrees):
    array = phantom()
    keys = {"CenterOfRotation": "5 6 7", "AnatomicalOrientation": "RAI"}
    loaded = agrees(put(craft.metaimage({**OBLIQUE, **keys}, array.tobytes("F"))), array)
    np.testing.assert_array_equal(loaded.grid.origin_mm, [10.5, -20, 30])


@pytest.mark.parametrize("local", ["LOCAL", "Local", "local"])
def test_local_means_this_file(local, put, craft, phantom, agrees):
    array = phantom()
    agrees(put(craft.metaimage({"ElementDataFile": local}, array.tobytes("F"))), array)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_detached_header_reads_the_file_beside_it(packed, end, put, craft, phantom, agrees):
    array = phantom(dtype="u2")
    voxels = array.astype(">u2").tobytes("F")
    put(zlib.compress(voxels) if packed else voxels, "voxels.raw")
    fields = {
        "ElementType": "MET_USHORT",
        "BinaryDataByteOrderMSB": "True",
        "CompressedData": str(packed),
        "ElementDataFile": "voxels.raw",
    }
    loaded = agrees(put(craft.metaimage({**OBLIQUE, **fields}, b"", end=end), "case.mhd"), array)
    assert loaded.facts["data file"] == "voxels.raw"


def test_header_size_skips_into_a_detached_file(put, craft, phantom, agrees):
    array = phantom()
    put(b"20 bytes of preamble" + array.tobytes("F"), "voxels.raw")
    fields = {"HeaderSize": "20", "ElementDataFile": "voxels.raw"}
    agrees(put(craft.metaimage(fields, b""), "case.mhd"), array)


def test_a_header_size_of_minus_one_means_the_end_of_the_file(put, craft, phantom, agrees):
    array = phantom()
    put(b"20 bytes of preamble" + array.tobytes("F"), "voxels.raw")
    fields = {"HeaderSize": "-1", "ElementDataFile": "voxels.raw"}
    agrees(put(craft.metaimage(fields, b""), "case.mhd"), array)


def test_the_end_of_a_compressed_file_is_not_guessed(put, craft, refused):
    put(zlib.compress(bytes(COUNT)), "voxels.raw")
    fields = {"HeaderSize": "-1", "CompressedData": "True", "ElementDataFile": "voxels.raw"}
    with refused("HeaderSize"):
        load_volume(put(craft.metaimage(fields, b""), "case.mhd"))


@pytest.mark.parametrize("from_end", [True, False])
def test_a_header_size_in_an_attached_file_shifts_no_voxel(
    from_end, put, craft, phantom, read_simpleitk
):
    array = phantom()
    length = len(craft.metaimage({"HeaderSize": "9999"}, b""))
    size = "-1  " if from_end else f"{length + 4:04d}"
    content = craft.metaimage({"HeaderSize": size}, b"skip" + array.tobytes("F"))
    path = put(content)
    np.testing.assert_array_equal(read_simpleitk(path).array, array)
    with contextlib.suppress(UnreadableFile):  # to refuse it is as good as to honour it
        np.testing.assert_array_equal(load_volume(path).array, array)


@pytest.mark.parametrize(("unit", "mm"), [("mm", 1), ("um", 1e-3), ("cm", 10), ("m", 1000)])
def test_distance_units_are_turned_into_millimetres(unit, mm, put, craft):
    # SimpleITK does not look at this key.
    fields = {
        "DistanceUnits": unit,
        "ElementSpacing": " ".join([repr(0.5 / mm)] * 3),
        "Offset": f"{10 / mm!r} 0 0",
    }
    loaded = load_volume(put(craft.metaimage(fields)))
    np.testing.assert_allclose(loaded.grid.spacing_mm, [0.5] * 3, rtol=1e-12)
    np.testing.assert_allclose(loaded.grid.origin_mm, [10, 0, 0], rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"ElementSpacing": None}, "no ElementSpacing"),
        ({"ElementSpacing": "0 1 1"}, "ElementSpacing = 0 1 1"),
        ({"DistanceUnits": "inch"}, "DistanceUnits = inch"),
    ],
)
def test_a_doubtful_spacing_is_refused_until_the_caller_decides(
    changes, found, put, craft, refused
):
    path = put(craft.metaimage({"TransformMatrix": "-1 0 0 0 1 0 0 0 1", **changes}))
    with refused(found, "--spacing"):
        load_volume(path)
    loaded = load_volume(path, spacing_mm=(1, 2, 3))
    # The file's own directions are kept: it is left-handed.
    np.testing.assert_array_equal(loaded.grid.affine, np.diag([-1.0, 2.0, 3.0, 1.0]))
    told = ("spacing 1 x 2 x 3 mm given by the caller", f"not used: {found}")
    assert loaded.warnings == told


def test_an_element_size_stands_in_for_the_spacing(put, craft, phantom, agrees):
    array = phantom()
    fields = {"ElementSpacing": None, "ElementSize": "0.5 0.6 0.7"}
    loaded = agrees(put(craft.metaimage(fields, array.tobytes("F"))), array)
    np.testing.assert_array_equal(loaded.grid.spacing_mm, [0.5, 0.6, 0.7])


def test_a_missing_orientation_is_refused_until_the_caller_decides(put, craft, refused):
    path = put(craft.metaimage({"TransformMatrix": None}))
    with refused("no TransformMatrix", "--spacing"):
        load_volume(path)
    with refused("the file states, 1 x 1 x 1 mm", "--force-spacing", error=BadInput):
        load_volume(path, spacing_mm=(1, 2, 3))
    forced = Conversion(force_spacing=True)
    loaded = load_volume(path, spacing_mm=(1, 2, 3), conversion=forced)
    np.testing.assert_array_equal(loaded.grid.affine, np.diag([1.0, 2.0, 3.0, 1.0]))
    assert loaded.warnings == (
        "spacing 1 x 2 x 3 mm given by the caller, where the file states 1 x 1 x 1 mm",
        "no usable orientation in the file: axes taken as left, posterior, superior",
        "not used: no TransformMatrix",
    )


def test_a_negative_spacing_is_refused(put, craft, refused):
    with refused("ElementSpacing = -1 1 1", "--spacing"):
        load_volume(put(craft.metaimage({"ElementSpacing": "-1 1 1"})))


def test_a_negative_spacing_does_not_mirror_what_the_caller_overrides(put, craft):
    path = put(craft.metaimage({"ElementSpacing": "-1 1 1"}))
    loaded = load_volume(path, spacing_mm=(1, 1, 1))
    np.testing.assert_array_equal(loaded.grid.affine, np.eye(4))  # TransformMatrix is the identity


def test_a_missing_offset_is_zero(put, craft, phantom, agrees):
    array = phantom()
    loaded = agrees(put(craft.metaimage({"Offset": None}, array.tobytes("F"))), array)
    np.testing.assert_array_equal(loaded.grid.origin_mm, [0, 0, 0])


def test_a_left_handed_file_stays_left_handed(put, craft, phantom, agrees):
    array = phantom()
    fields = {"TransformMatrix": "-1 0 0 0 1 0 0 0 1"}
    loaded = agrees(put(craft.metaimage(fields, array.tobytes("F"))), array)
    assert loaded.grid.is_left_handed


def test_synonyms_of_the_matrix_that_differ_are_refused(put, craft, refused):
    path = put(craft.metaimage({"Rotation": "-1 0 0 0 1 0 0 0 1"}))
    for spacing in (None, (1.0, 1.0, 1.0)):
        with refused("Rotation"):
            load_volume(path, spacing_mm=spacing)


def test_a_key_that_stands_twice_is_refused(put, craft, refused):
    content = craft.metaimage().replace(b"NDims", b"ElementSpacing = 2 2 2\nNDims", 1)
    with refused("'ElementSpacing' twice"):
        load_volume(put(content))

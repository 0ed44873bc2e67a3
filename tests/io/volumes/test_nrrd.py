"""NRRD files written by hand, against SimpleITK where it can read them."""

from __future__ import annotations

import bz2
import gzip
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fetusmap.errors import BadInput
from fetusmap.io import load_volume

DIRECTION = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()
COLUMNS = DIRECTION * (0.5, 0.8, 1.3)
VECTORS = " ".join("(" + ",".join(map(repr, column.tolist())) + ")" for column in COLUMNS.T)
OBLIQUE = {"space directions": VECTORS, "space origin": "(10.5,-20,30)"}


@pytest.fixture
def put(tmp_path):
    """Write bytes into the test's folder and return the path."""

    def put(content: bytes, name: str = "case.nrrd"):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return put


def test_space_directions_are_the_columns_of_the_affine(put, craft, phantom, agrees):
    array = phantom()
    loaded = agrees(put(craft.nrrd(OBLIQUE, array.tobytes("F"))), array)
    np.testing.assert_array_equal(loaded.grid.affine[:3, :3], COLUMNS)
    np.testing.assert_array_equal(loaded.grid.origin_mm, [10.5, -20, 30])
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (1, 1, 1)),
        ("LPS", (1, 1, 1)),
        ("right-anterior-superior", (-1, -1, 1)),
        ("RAS", (-1, -1, 1)),
        ("left-anterior-superior", (1, -1, 1)),
        ("LAS", (1, -1, 1)),
    ],
)
def test_every_anatomical_space_is_turned_into_lps(space, signs, put, craft, phantom, agrees):
    array = phantom()
    loaded = agrees(put(craft.nrrd({**OBLIQUE, "space": space}, array.tobytes("F"))), array)
    np.testing.assert_array_equal(loaded.grid.affine[:3, :3], COLUMNS * np.c_[list(signs)])
    np.testing.assert_array_equal(loaded.grid.origin_mm, np.array([10.5, -20, 30]) * signs)


@pytest.mark.parametrize("space", ["scanner-xyz", "3D-right-handed", "RPS", None])
def test_a_space_without_anatomy_is_refused_until_the_caller_decides(space, put, craft, refused):
    path = put(craft.nrrd({"space": space}))
    with refused("--spacing"):
        load_volume(path)
    loaded = load_volume(path, spacing_mm=(1, 2, 3))
    np.testing.assert_array_equal(loaded.grid.spacing_mm, [1, 2, 3])
    assert loaded.warnings[0] == "axes of the file taken as left, posterior, superior"
    assert len(loaded.warnings) == 3


@pytest.mark.parametrize(
    ("space", "orientation"),
    [(None, "LPI"), ("scanner-xyz", "LPI"), ("3D-right-handed", "LPI"), ("3D-left-handed", "RPI")],
)
@pytest.mark.parametrize("extra", [{}, {"spacings": "2 2 2"}, {"space units": '"ell" "ell" "ell"'}])
def test_a_given_spacing_never_replaces_directions_or_origin(space, orientation, extra, put, craft):
    """A file that loses its third axis would be its own mirror image: every left a right."""
    fields = {
        "space": space,
        "space directions": "(1,0,0) (0,1,0) (0,0,-1)",
        "space origin": "(5,7,90)",
        **extra,
    }
    loaded = load_volume(put(craft.nrrd(fields)), spacing_mm=(0.5, 0.5, 0.5))
    assert loaded.grid.orientation == orientation
    assert np.abs(loaded.grid.origin_mm).tolist() == [5, 7, 90]


def test_spacings_beside_directions_must_agree_with_them(put, craft, refused):
    fields = {"space directions": "(1,0,0) (0,1,0) (0,0,-1)", "spacings": "1 nan 1"}
    assert load_volume(put(craft.nrrd(fields))).grid.orientation == "LPI"
    path = put(craft.nrrd({**fields, "spacings": "1 1 2"}))
    with refused("spacings 1 1 2, but space directions of the lengths 1 1 1", "--spacing"):
        load_volume(path)
    assert load_volume(path, spacing_mm=(1, 1, 2)).grid.orientation == "LPI"


def test_spacings_without_directions_are_refused_until_the_caller_decides(put, craft, refused):
    # SimpleITK reads this with invented axes.
    fields = {"space": None, "space directions": None, "space origin": None, "spacings": "1 1 2"}
    path = put(craft.nrrd(fields))
    with refused("1 1 2", "--spacing"):
        load_volume(path)
    with refused("the file states, 1 x 1 x 2 mm", "--force-spacing", error=BadInput):
        load_volume(path, spacing_mm=(1, 1, 1))
    np.testing.assert_array_equal(
        load_volume(path, spacing_mm=(1, 1, 2)).grid.spacing_mm, [1, 1, 2]
    )


@pytest.mark.parametrize(
    ("unit", "mm"),
    [
        ("mm", 1),
        ("cm", 10),
        ("centimeter", 10),
        ("m", 1000),
        ("um", 1e-3),
        ("\u00b5m", 1e-3),
        ("\u03bcm", 1e-3),
        ("microns", 1e-3),
        ("micrometer", 1e-3),
    ],
)
def test_space_units_are_turned_into_millimetres(unit, mm, put, craft):
    # SimpleITK ignores the units.
    size = 0.5 / mm
    fields = {
        "space directions": f"({size!r},0,0) (0,{size!r},0) (0,0,{size!r})",
        "space origin": f"({10 / mm!r},0,0)",
        "space units": " ".join([f'"{unit}"'] * 3),
    }
    loaded = load_volume(put(craft.nrrd(fields)))
    np.testing.assert_allclose(loaded.grid.spacing_mm, [0.5] * 3, rtol=1e-12)
    np.testing.assert_allclose(loaded.grid.origin_mm, [10, 0, 0], rtol=1e-12)


@pytest.mark.parametrize("units", ['"mm" "mm" "m"', '"inch" "inch" "inch"', '"" "mm" "mm"'])
def test_units_that_differ_or_are_unknown_are_refused(units, put, craft, refused):
    with refused("space units", "--spacing"):
        load_volume(put(craft.nrrd({"space units": units})))


def test_a_spacing_for_an_unknown_unit_keeps_the_directions(put, craft):
    # The second axis points to the front: the volume is left-handed and must stay so.
    fields = {
        "space directions": "(2,0,0) (0,-2,0) (0,0,2)",
        "space units": '"inch" "inch" "inch"',
    }
    loaded = load_volume(put(craft.nrrd(fields)), spacing_mm=(0.5, 0.5, 0.5))
    np.testing.assert_array_equal(loaded.grid.affine, np.diag([0.5, -0.5, 0.5, 1]))
    assert loaded.warnings[1] == 'not used: space units "inch" "inch" "inch"'


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("signed char", "i1"),
        ("unsigned char", "u1"),
        ("short", "i2"),
        ("unsigned short", "u2"),
        ("int", "i4"),
        ("unsigned int", "u4"),
        ("float", "f4"),
        ("double", "f8"),
    ],
)
def test_every_type_and_byte_order_is_read(
    kind, dtype, order, encoding, put, craft, phantom, agrees
):
    array = phantom(dtype=dtype)
    voxels = array.astype(array.dtype.newbyteorder(order)).tobytes("F")
    endian = "big" if order == ">" else "little"
    content = craft.nrrd(
        {**OBLIQUE, "type": kind, "endian": endian, "encoding": encoding},
        voxels if encoding == "raw" else gzip.compress(voxels),
    )
    agrees(put(content), array)


def test_gz_is_another_name_of_gzip(put, craft, phantom, agrees):
    array = phantom()
    agrees(put(craft.nrrd({"encoding": "gz"}, gzip.compress(array.tobytes("F")))), array)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("int8", "i1"), ("int8_t", "i1"), ("uchar", "u1"), ("uint8_t", "u1"),
        ("short int", "i2"), ("signed short", "i2"), ("signed short int", "i2"), ("int16", "i2"),
        ("int16_t", "i2"), ("ushort", "u2"), ("unsigned short int", "u2"), ("uint16", "u2"),
        ("uint16_t", "u2"), ("signed int", "i4"), ("int32", "i4"), ("int32_t", "i4"),
        ("uint", "u4"), ("uint32", "u4"), ("uint32_t", "u4"),
    ],
)  # fmt: skip
def test_every_name_of_a_type_is_known(kind, dtype, put, craft, phantom, agrees):
    array = phantom(dtype=dtype)
    content = craft.nrrd({"type": kind, "endian": "little"}, array.tobytes("F"))
    agrees(put(content), array)


@pytest.mark.parametrize("encoding", ["bzip2", "bz2"])
def test_bzip2_is_read(encoding, put, craft, phantom):
    # SimpleITK is built without bzip2.
    array = phantom(dtype="i2")
    fields = {"type": "short", "endian": "little", "encoding": encoding}
    loaded = load_volume(put(craft.nrrd(fields, bz2.compress(array.tobytes("F")))))
    np.testing.assert_array_equal(loaded.array, array)


def test_several_bytes_without_an_endian_line_are_not_guessed(put, craft, refused):
    # The format definition demands the line, and SimpleITK refuses the file.
    path = put(craft.nrrd({"type": "short"}, bytes(2 * 16 * 17 * 18)))
    with refused("endian"):
        load_volume(path)


@pytest.mark.parametrize(
    "line",
    ["space origin: (5,5,5)", "sizes: 18 17 16", "spacings: 2 2 2"],
)
def test_a_geometry_that_is_given_twice_is_refused(line, put, craft, read_simpleitk, refused):
    content = craft.nrrd().replace(b"encoding", line.encode() + b"\nencoding")
    path = put(content)
    with pytest.raises(RuntimeError, match=r"already set|direction vector"):
        read_simpleitk(path)
    with refused():
        load_volume(path)


def test_gzip_of_several_members_is_read(put, craft, phantom, agrees):
    array = phantom()
    voxels = array.tobytes("F")
    packed = gzip.compress(voxels[:99]) + gzip.compress(voxels[99:])
    agrees(put(craft.nrrd({"encoding": "gzip"}, packed)), array)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_comments_and_remarks_are_passed_over(end, put, craft, phantom, agrees):
    array = phantom()
    remarks = (
        "# sizes: 1 1 1",
        "#",
        "sizes:=1 1 1",
        "a remark:=encoding: gzip",
        "space directions:=(9,0,0) (0,9,0) (0,0,9)",
    )
    loaded = agrees(put(craft.nrrd(OBLIQUE, array.tobytes("F"), end=end, remarks=remarks)), array)
    np.testing.assert_array_equal(loaded.grid.affine[:3, :3], COLUMNS)


def test_voxels_that_look_like_line_breaks_are_voxels(put, craft, agrees):
    array = np.full((16, 17, 18), ord("\n"), np.uint8)
    array[0, 0, 0] = ord("\r")
    agrees(put(craft.nrrd({}, array.tobytes("F"), end="\r\n")), array)


@pytest.mark.parametrize("magic", [f"NRRD000{n}" for n in range(1, 6)])
def test_every_version_of_the_format_is_read(magic, put, craft, phantom):
    array = phantom()
    loaded = load_volume(put(craft.nrrd({}, array.tobytes("F"), magic=magic)))
    np.testing.assert_array_equal(loaded.array, array)


def test_white_space_in_vectors_does_not_matter(put, craft, phantom, agrees):
    array = phantom()
    fields = {**OBLIQUE, "space directions": VECTORS.replace(",", " , ")}
    loaded = agrees(put(craft.nrrd(fields, array.tobytes("F"))), array)
    np.testing.assert_array_equal(loaded.grid.affine[:3, :3], COLUMNS)


@pytest.mark.parametrize("key", ["data file", "datafile"])
@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_detached_header_reads_the_file_beside_it(
    key, encoding, end, put, craft, phantom, agrees
):
    array = phantom(dtype="u2")
    voxels = array.astype(">u2").tobytes("F")
    put(voxels if encoding == "raw" else gzip.compress(voxels), "voxels.bin")
    fields = {"type": "ushort", "endian": "big", "encoding": encoding, key: "voxels.bin"}
    loaded = agrees(put(craft.nrrd({**OBLIQUE, **fields}, b"", end=end), "case.nhdr"), array)
    assert loaded.name == "case"
    assert loaded.facts["data file"] == "voxels.bin"


def test_a_detached_header_may_end_without_a_line_break(put, craft, phantom):
    array = phantom()
    put(array.tobytes("F"), "voxels.raw")
    content = craft.nrrd({"data file": "voxels.raw"}, b"").rstrip(b"\n")
    np.testing.assert_array_equal(load_volume(put(content, "case.nhdr")).array, array)


def test_an_attached_suffix_may_have_a_detached_file(put, craft, phantom, agrees):
    array = phantom()
    put(array.tobytes("F"), "voxels.raw")
    agrees(put(craft.nrrd({"data file": "voxels.raw"}, b"")), array)


def test_a_byte_skip_of_zero_is_no_skip(put, craft, phantom, agrees):
    array = phantom()
    agrees(put(craft.nrrd({"byte skip": "0", "line skip": "0"}, array.tobytes("F"))), array)


def test_a_left_handed_file_stays_left_handed(put, craft, phantom, agrees):
    array = phantom()
    fields = {"space directions": "(0,0,-2) (0,1,0) (1,0,0)"}
    mirrored = {"space directions": "(0,0,2) (0,1,0) (1,0,0)"}
    assert not agrees(put(craft.nrrd(fields, array.tobytes("F"))), array).grid.is_left_handed
    assert agrees(put(craft.nrrd(mirrored, array.tobytes("F"))), array).grid.is_left_handed


def test_a_missing_origin_is_zero(put, craft):
    loaded = load_volume(put(craft.nrrd({"space origin": None})))
    np.testing.assert_array_equal(loaded.grid.origin_mm, [0, 0, 0])


def test_a_rotation_by_hand(put, craft):
    c, s = math.cos(0.3), math.sin(0.3)
    vectors = f"({c!r},{s!r},0) ({-s!r},{c!r},0) (0,0,2)"
    loaded = load_volume(put(craft.nrrd({"space directions": vectors, "space": "RAS"})))
    # One step along the first index goes cos right and sin anterior: minus both in LPS.
    np.testing.assert_allclose(loaded.grid.to_world([1, 0, 0]), [-c, -s, 0], atol=1e-12)
    np.testing.assert_allclose(loaded.grid.to_world([0, 0, 1]), [0, 0, 2], atol=1e-12)

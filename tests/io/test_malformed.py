"""Wrong headers, files that are cut short, files that name others: refused in one line, quickly."""

from __future__ import annotations

import gzip
import math
import os
import zlib

import numpy as np
import pytest

from fetusmap.files import VOLUME_SUFFIXES
from fetusmap.io import ReadLimits, load_volume

COUNT = 16 * 17 * 18
NAN, INF = math.nan, math.inf


def label(value):
    """The changed fields, and the word to be found, name a case."""
    return "+".join(value) if isinstance(value, dict) else str(value)


@pytest.fixture
def put(tmp_path):
    """Write bytes into the test's folder and return the path."""

    def put(content: bytes, name: str):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return put


NIFTI_LIES = [
    ({"dim": (3, 30000, 30000, 30000, 1, 1, 1, 1), "voxels": b""}, "27000000000000 voxels"),
    ({"dim": (2, 64, 64, 1, 1, 1, 1, 1)}, "three axes"),
    ({"dim": (4, 16, 16, 16, 2, 1, 1, 1), "voxels": bytes(2 * 16**3)}, "sequence of 2 volumes"),
    ({"dim": (5, 16, 16, 16, 2, 3, 1, 1), "voxels": bytes(6 * 16**3)}, "three axes"),
    ({"dim": (0, 16, 16, 16, 1, 1, 1, 1)}, "three axes"),
    ({"dim": (9, 16, 16, 16, 1, 1, 1, 1)}, "three axes"),
    ({"dim": (-3, 16, 16, 16, 1, 1, 1, 1)}, "three axes"),
    ({"dim": (3, -16, 16, 16, 1, 1, 1, 1), "voxels": bytes(16**3)}, "three axes"),
    ({"dim": (3, 16, 0, 16, 1, 1, 1, 1)}, "three axes"),
    ({"dim": (3, 64, 64, 1, 1, 1, 1, 1)}, "at least 16 voxels"),
    ({"dim": (3, 1, 64, 64, 1, 1, 1, 1)}, "at least 16 voxels"),
    ({"dim": (3, 15, 64, 64, 1, 1, 1, 1)}, "at least 16 voxels"),
    ({"datatype": 0}, "unknown data type 0"),
    ({"datatype": 1}, "bits"),
    ({"datatype": 32, "voxels": bytes(8 * COUNT)}, "complex"),
    ({"datatype": 128, "voxels": bytes(3 * COUNT)}, "RGB"),
    ({"datatype": 1024, "voxels": b"\xff\xff\xff\x7f" * 2 * COUNT}, "fit into 32 bits"),
    ({"datatype": 1280, "voxels": b"\xff" * 8 * COUNT}, "fit into 32 bits"),
    ({"datatype": 1536, "voxels": bytes(16 * COUNT)}, "128-bit"),
    ({"datatype": 1792, "voxels": bytes(16 * COUNT)}, "complex"),
    ({"datatype": 2304, "voxels": bytes(4 * COUNT)}, "RGBA"),
    ({"datatype": 9999}, "unknown data type 9999"),
    ({"magic": b"n+3\0"}, "magic"),
    ({"magic": b"ni1\0"}, ".hdr/.img"),
    ({"magic": b"\0\0\0\0"}, "Analyze"),
    ({"size": 347}, "single-file NIfTI"),
    ({"vox_offset": 3e38}, "offset"),
    ({"vox_offset": 2e6}, "offset"),
    ({"vox_offset": -352}, "offset"),
    ({"vox_offset": NAN}, "offset of nan"),
    ({"vox_offset": INF}, "offset of inf"),
    ({"codes": (0, 0)}, "neither qform nor sform"),
    ({"codes": (-1, -1)}, "neither qform nor sform"),
    ({"srow": (1, 0.5, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0), "pixdim": (1, 1, 1.118, 1, 0, 0, 0, 0)},
     "sheared"),
    ({"srow": (1, 0.002, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)}, "sheared"),
    ({"srow": (1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0)}, "invertible"),
    ({"srow": (0,) * 12, "pixdim": (1, 0, 0, 0, 0, 0, 0, 0)}, "pixdim (0, 0, 0)"),
    ({"srow": (0,) * 12}, "pixdim"),
    ({"srow": (NAN,) * 12}, "nan"),
    ({"srow": (1, 0, 0, NAN, 0, 1, 0, 0, 0, 0, 1, 0)}, "nan"),
    ({"srow": (INF, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)}, "inf"),
    ({"srow": (1, 0, 0, INF, 0, 1, 0, 0, 0, 0, 1, 0)}, "inf"),
    ({"pixdim": (1, 0, 1, 1, 0, 0, 0, 0)}, "pixdim (0, 1, 1)"),
    ({"pixdim": (1, INF, 1, 1, 0, 0, 0, 0)}, "pixdim (inf, 1, 1)"),
    ({"pixdim": (1, 1, NAN, 1, 0, 0, 0, 0)}, "pixdim (1, nan, 1)"),
    ({"codes": (1, 0), "pixdim": (1, 0, 1, 1, 0, 0, 0, 0)}, "pixdim (0, 1, 1)"),
    ({"codes": (1, 0), "pixdim": (1, NAN, 1, 1, 0, 0, 0, 0)}, "pixdim (nan, 1, 1)"),
    ({"codes": (1, 0), "quatern": (NAN, 0, 0)}, "invertible"),
    ({"codes": (1, 0), "quatern": (INF, 0, 0)}, "invertible"),
    ({"codes": (1, 0), "quatern": (1, 1, 1)}, "invertible"),
    ({"codes": (1, 0), "qoffset": (NAN, 0, 0)}, "nan"),
    ({"codes": (1, 0), "qoffset": (INF, 0, 0)}, "invertible"),
    ({"codes": (1, 0), "pixdim": (1, 1e-3, 1e-3, 1e-3, 0, 0, 0, 0)}, "0.001 x 0.001 x 0.001 mm"),
    ({"codes": (1, 0), "pixdim": (1, 50, 50, 50, 0, 0, 0, 0)}, "50 x 50 x 50 mm"),
    ({"units": 1}, "1000 x 1000 x 1000 mm"),
    ({"units": 3}, "0.001 x 0.001 x 0.001 mm"),
    ({"dtype": "f4", "voxels": np.full(COUNT, NAN, "<f4").tobytes()}, f"{COUNT} voxels with NaN"),
    ({"dtype": "f4", "voxels": np.append(np.zeros(COUNT - 1, "<f4"), np.float32(INF)).tobytes()},
     "1 voxels with NaN or infinity"),
    ({"dtype": "f8", "voxels": np.append(-INF, np.zeros(COUNT - 1)).tobytes()}, "infinity"),
    ({"scaling": (3e38, 3e38), "voxels": bytes([255]) * COUNT}, "infinity"),
    ({"dtype": "f4", "scaling": (1e9, 0), "voxels": np.full(COUNT, 1e30, "<f4").tobytes()},
          "infinity"),
    ({"dtype": "f8", "scaling": (2, 0), "voxels": np.full(COUNT, 1e300).tobytes()},
          "infinity"),
    ({"voxels": b""}, "cut short"),
    ({"voxels": bytes(COUNT - 1)}, "cut short"),
]  # fmt: skip


@pytest.mark.parametrize(("lie", "word"), NIFTI_LIES, ids=label)
def test_a_nifti_that_cannot_be_is_refused(lie, word, put, craft, refused):
    with refused(word):
        load_volume(put(craft.nifti(**lie), "case.nii"))


@pytest.mark.parametrize(
    ("lie", "word"),
    [
        ({"dim": (3, 30000, 30000, 30000, 1, 1, 1, 1), "voxels": b""}, "27000000000000 voxels"),
        ({"dim": (9, 16, 16, 16, 1, 1, 1, 1)}, "three axes"),
        ({"magic": b"ni1\0"}, ".hdr/.img"),
        ({"vox_offset": NAN}, "offset of nan"),
        ({"voxels": b""}, "missing at the end"),
        ({"voxels": bytes(COUNT - 1)}, "1 bytes of voxels are missing"),
        ({"dtype": "f4", "voxels": np.full(COUNT, NAN, "<f4").tobytes()}, "NaN"),
    ],
    ids=label,
)
def test_a_compressed_nifti_that_cannot_be_is_refused(lie, word, put, craft, refused):
    with refused(word):
        load_volume(put(gzip.compress(craft.nifti(**lie)), "case.nii.gz"))


NRRD_LIES = [
    ({"dimension": "4", "sizes": "3 16 17 18"}, "dimension 4"),
    ({"dimension": "2", "sizes": "16 17"}, "dimension 2"),
    ({"dimension": None}, "dimension none"),
    ({"dimension": "three"}, "dimension three"),
    ({"sizes": None}, "sizes"),
    ({"sizes": "16 17"}, "sizes"),
    ({"sizes": "16 17 18 19"}, "sizes"),
    ({"sizes": "16 17 many"}, "many"),
    ({"sizes": "16 17 -18"}, "positive integers"),
    ({"sizes": "16 17 0"}, "positive integers"),
    ({"sizes": "16 17 18.5"}, "positive integers"),
    ({"sizes": "16 17 nan"}, "positive integers"),
    ({"sizes": "16 17 inf"}, "positive integers"),
    ({"sizes": "1 64 64"}, "at least 16 voxels"),
    ({"sizes": "30000 30000 30000"}, "27000000000000 voxels"),
    ({"sizes": "160 170 180"}, "cut short"),
    ({"sizes": "160 170 180", "encoding": "gzip"}, "BadGzipFile"),
    ({"type": None}, "type 'none'"),
    ({"type": "block"}, "type 'block'"),
    ({"type": "long long int"}, "endian"),
    ({"type": "uint64", "endian": "little"}, "cut short"),
    ({"encoding": None}, "an encoding"),
    ({"encoding": "ascii"}, "ascii"),
    ({"encoding": "text"}, "text"),
    ({"encoding": "hex"}, "hex"),
    ({"byte skip": "-1", "encoding": "gzip"}, "byte skip -1"),
    ({"byte skip": "8"}, "byte skip 8"),
    ({"byteskip": "-2"}, "byte skip -2"),
    ({"line skip": "1"}, "line skip 1"),
    ({"lineskip": "1"}, "line skip 1"),
    ({"space": "RAST"}, "rast"),
    ({"space directions": None}, "--spacing"),
    ({"space directions": "none (1,0,0) (0,1,0) (0,0,1)"}, "space directions"),
    ({"space directions": "(1,0,0) (0,1,0)"}, "space directions"),
    ({"space directions": "(1,0,0) (0,1,0) (0,0)"}, "space directions"),
    ({"space directions": "(1,0,0) (0,1,0) (0,0,one)"}, "space directions"),
    ({"space directions": "(1,0,0) (1,0,0) (0,0,1)"}, "invertible"),
    ({"space directions": "(0,0,0) (0,1,0) (0,0,1)"}, "invertible"),
    ({"space directions": "(nan,0,0) (0,1,0) (0,0,1)"}, "nan"),
    ({"space directions": "(inf,0,0) (0,1,0) (0,0,1)"}, "inf"),
    ({"space directions": "(1,0.5,0) (0,1,0) (0,0,1)"}, "sheared"),
    ({"space directions": "(50,0,0) (0,50,0) (0,0,50)"}, "50 x 50 x 50 mm"),
    ({"space directions": "(0.001,0,0) (0,1,0) (0,0,1)"}, "0.001 x 1 x 1 mm"),
    ({"space directions": "(1e200,0,0) (0,1,0) (0,0,1)"}, "invertible"),
    ({"space origin": "(0,0)"}, "space origin"),
    ({"space origin": "(0,0,nan)"}, "nan"),
    ({"space origin": "none"}, "space origin"),
    ({"data file": "LIST"}, "a list"),
    ({"data file": "LIST 2"}, "a list"),
    ({"data file": "missing.raw"}, "missing.raw"),
]


@pytest.mark.parametrize(("lie", "word"), NRRD_LIES, ids=label)
def test_an_nrrd_that_cannot_be_is_refused(lie, word, put, craft, refused):
    with refused(word):
        load_volume(put(craft.nrrd(lie), "case.nrrd"))


METAIMAGE_LIES = [
    ({"NDims": "4", "DimSize": "16 17 18 2"}, "NDims = 4"),
    ({"NDims": "2", "DimSize": "16 17"}, "NDims = 2"),
    ({"NDims": None}, "NDims"),
    ({"NDims": "three"}, "NDims = three"),
    ({"DimSize": None}, "DimSize"),
    ({"DimSize": "16 17"}, "DimSize"),
    ({"DimSize": "16 17 many"}, "many"),
    ({"DimSize": "16 17 -18"}, "positive integers"),
    ({"DimSize": "1 64 64"}, "at least 16 voxels"),
    ({"DimSize": "30000 30000 30000"}, "27000000000000 voxels"),
    ({"DimSize": "160 170 180"}, "cut short"),
    ({"ElementType": None}, "none"),
    ({"ElementType": "MET_LONG"}, "MET_LONG"),
    ({"ElementType": "MET_LONG_LONG"}, "cut short"),
    ({"ElementType": "MET_UCHAR_ARRAY"}, "MET_UCHAR_ARRAY"),
    ({"ElementNumberOfChannels": "3"}, "3 channels"),
    ({"BinaryData": "False"}, "text"),
    ({"ElementSpacing": None}, "no ElementSpacing"),
    ({"TransformMatrix": None}, "no TransformMatrix"),
    ({"ElementSpacing": "-1 1 1"}, "-1 1 1"),
    ({"ElementSpacing": "0 1 1"}, "0 1 1"),
    ({"ElementSpacing": "nan 1 1"}, "nan"),
    ({"ElementSpacing": "1 1"}, "ElementSpacing"),
    ({"ElementSpacing": "1 1 wide"}, "wide"),
    ({"ElementSpacing": "50 50 50"}, "50 x 50 x 50 mm"),
    ({"ElementSpacing": "0.001 1 1"}, "0.001 x 1 x 1 mm"),
    ({"TransformMatrix": "1 0 0 0 1 0"}, "TransformMatrix"),
    ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "invertible"),
    ({"TransformMatrix": "0 0 0 0 0 0 0 0 0"}, "invertible"),
    ({"TransformMatrix": "nan 0 0 0 1 0 0 0 1"}, "nan"),
    ({"TransformMatrix": "1 0.5 0 0 1 0 0 0 1"}, "sheared"),
    ({"TransformMatrix": "1e200 0 0 0 1 0 0 0 1"}, "invertible"),
    ({"Offset": "0 0"}, "Offset"),
    ({"Offset": "0 0 inf"}, "inf"),
    ({"CompressedData": "True"}, "undamaged"),
    ({"ElementDataFile": None}, "not text"),
    ({"ElementDataFile": ""}, "beside the header"),
    ({"ElementDataFile": "LIST"}, "LIST"),
    ({"ElementDataFile": "slice%03d.raw 1 18 1"}, "beside the header"),
    ({"ElementDataFile": "missing.raw"}, "missing.raw"),
    ({"ElementDataFile": "case.mha"}, "cut short"),  # itself, without as many bytes
]


@pytest.mark.parametrize(("lie", "word"), METAIMAGE_LIES, ids=label)
def test_a_metaimage_that_cannot_be_is_refused(lie, word, put, craft, refused):
    voxels = b"" if lie.get("ElementDataFile") == "case.mha" else None
    with refused(word):
        load_volume(put(craft.metaimage(lie, voxels), "case.mha"))


@pytest.mark.parametrize("size", ["²", "1" * 5000], ids=["superscript", "5000-digits"])
def test_a_header_size_that_is_no_number_is_refused(size, put, craft, refused):
    put(bytes(COUNT), "case.raw")
    fields = {"HeaderSize": size, "ElementDataFile": "case.raw"}
    with refused("HeaderSize"):
        load_volume(put(craft.metaimage(fields, b""), "case.mhd"))


def test_a_header_size_beyond_any_file_is_refused_without_a_traceback(put, craft, refused):
    put(zlib.compress(bytes(COUNT)), "case.raw")
    fields = {"HeaderSize": "1" * 30, "CompressedData": "True", "ElementDataFile": "case.raw"}
    with refused():
        load_volume(put(craft.metaimage(fields, b""), "case.mhd"))


def test_sizes_beyond_reason_are_told_in_a_short_line(put, craft, refused):
    with refused("DimSize"):
        load_volume(put(craft.metaimage({"DimSize": "1e300 1e300 1e300"}), "case.mha"))


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
@pytest.mark.parametrize(
    "content",
    [
        b"Dear colleague, please find the volume attached.\n" * 100,
        b"\0" * 5000,
        bytes(range(256)) * 40,
        b"\x89PNG\r\n\x1a\n" + bytes(5000),
        b"\x1f\x8b",
        b"\n",
        b"x",
    ],
    ids=["text", "zeros", "bytes", "png", "gzip-magic", "line-end", "one-byte"],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(content, suffix, put, refused):
    with refused():
        load_volume(put(content, f"case{suffix}"))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("part", [0.01, 0.1, 0.5, 0.9, 0.999])
def test_a_file_that_breaks_off_is_refused(part, suffix, good, put, refused):
    whole = good[suffix]
    np.testing.assert_array_equal(
        load_volume(put(whole, f"good{suffix}")).array.shape, (16, 17, 18)
    )
    with refused():
        load_volume(put(whole[: int(len(whole) * part)], f"case{suffix}"))


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("place", [-1, -3, -6, -100, -2000])
def test_a_changed_byte_in_compressed_voxels_or_their_check_sum_is_found(
    place, suffix, good, put, refused
):
    whole = bytearray(good[suffix])
    whole[place] ^= 0x10
    with refused("undamaged"):
        load_volume(put(bytes(whole), f"case{suffix}"))


def test_junk_after_a_gzip_stream_is_refused(good, put, refused):
    with refused("undamaged"):
        load_volume(put(good[".nii.gz"] + b"junk", "case.nii.gz"))


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd", "../secret.raw", "sub/secret.raw", "././secret.raw", "..", ".",
        "\\secret.raw",
        "..\\secret.raw", "C:secret.raw", "slice%03d.raw", "secret.raw\0.raw", "link.raw",
        "dangling.raw", "sub", "pipe.raw", "LIST",
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".mhd", ".nhdr", ".mha", ".nrrd"])
def test_a_header_cannot_reach_for_other_files(name, suffix, tmp_path, craft, refused):
    folder = tmp_path / "inner"
    (folder / "sub").mkdir(parents=True)
    for place in (tmp_path, folder, folder / "sub"):
        (place / "secret.raw").write_bytes(b"secret! " * COUNT)
    (folder / "link.raw").symlink_to(tmp_path / "secret.raw")
    (folder / "dangling.raw").symlink_to(tmp_path / "nothing")
    os.mkfifo(folder / "pipe.raw")
    path = folder / f"case{suffix}"
    if suffix in (".mhd", ".mha"):
        path.write_bytes(craft.metaimage({"ElementDataFile": name}, b""))
    else:
        path.write_bytes(craft.nrrd({"data file": name}, b""))
    for limits in (ReadLimits(), ReadLimits(follow_links=True)):
        with refused() as caught:
            load_volume(path, limits=limits)
        assert "secret!" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_a_detached_header_without_a_data_file_is_refused(suffix, put, craft, refused):
    content = (
        craft.metaimage({"ElementDataFile": None}, b"") if suffix == ".mhd" else craft.nrrd({}, b"")
    )
    with refused("none"):
        load_volume(put(content, f"case{suffix}"))


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_a_data_file_with_an_endless_name_is_refused(suffix, put, craft, refused):
    name = "x" * 300
    content = (
        craft.metaimage({"ElementDataFile": name}, b"")
        if suffix == ".mhd"
        else craft.nrrd({"data file": name}, b"")
    )
    with refused():
        load_volume(put(content, f"case{suffix}"))


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("breaks", [True, False])
def test_a_header_without_an_end_is_refused(breaks, suffix, put, refused):
    start = b"NRRD0004\n" if "n" in suffix else b"ObjectType = Image\n"
    line = b"Comment: = padding" + (b"\n" if breaks else b" ")
    with refused("header"):
        load_volume(put(start + line * (2_000_000 // len(line)), f"case{suffix}"))


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07",
        "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g",
        "back\x08\x08\x08\x7f",
        "\u202eright to left",
        "\rstart again",
        "zero\0byte",
    ],
)
@pytest.mark.parametrize("format_", ["nrrd", "metaimage", "file name"])
def test_what_a_file_says_cannot_forge_a_line_or_steer_a_terminal(
    text, format_, put, craft, refused
):
    if format_ == "nrrd":
        path = put(craft.nrrd({"encoding": text}), "case.nrrd")
    elif format_ == "metaimage":
        path = put(craft.metaimage({"NDims": text}), "case.mha")
    else:
        path = put(b"no volume", text.replace("\0", "\n") + ".nii")
    with refused():
        load_volume(path)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("missing", "no such file"),
        ("folder", "a folder"),
        ("dangling link", "a symbolic link"),
        ("good link", "a symbolic link"),
        ("pipe", "pipe"),
        ("empty", "empty"),
        ("under a file", "not a directory"),
    ],
)
@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
def test_what_is_no_plain_file_is_refused(kind, word, suffix, tmp_path, good, refused):
    path = tmp_path / f"case{suffix}"
    if kind == "folder":
        path.mkdir()
    elif kind == "dangling link":
        path.symlink_to(tmp_path / "nothing")
    elif kind == "good link":
        (tmp_path / f"good{suffix}").write_bytes(good.get(suffix, b"x"))
        path.symlink_to(tmp_path / f"good{suffix}")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "empty":
        path.touch()
    elif kind == "under a file":
        path.touch()
        path = path / f"case{suffix}"
    with refused(word):
        load_volume(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_link_to_a_good_file_is_read_when_links_are_followed(suffix, tmp_path, good, phantom):
    (tmp_path / f"good{suffix}").write_bytes(good[suffix])
    (tmp_path / f"case{suffix}").symlink_to(tmp_path / f"good{suffix}")
    loaded = load_volume(tmp_path / f"case{suffix}", limits=ReadLimits(follow_links=True))
    np.testing.assert_array_equal(loaded.array, phantom())
    assert loaded.name == "case"


@pytest.mark.parametrize("kind", ["dangling", "circle", "pipe", "folder"])
def test_following_links_leads_to_no_other_kind_of_thing(kind, tmp_path, refused):
    target = tmp_path / "target"
    if kind == "pipe":
        os.mkfifo(target)
    elif kind == "folder":
        target.mkdir()
    elif kind == "circle":
        target.symlink_to(tmp_path / "case.nii")
    (tmp_path / "case.nii").symlink_to(target)
    with refused():
        load_volume(tmp_path / "case.nii", limits=ReadLimits(follow_links=True))


def test_a_file_without_permission_is_refused(good, put, refused):
    path = put(good[".nii"], "case.nii")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user can read every file")
    with refused("permission"):
        load_volume(path)


@pytest.mark.parametrize("name", ["case", "case.png", "case.hdr", "case.img", "case.gz", ".nii"])
def test_content_and_a_suffix_of_no_volume_format_are_refused(name, put, refused):
    with refused("suffix", ".nii.gz"):
        load_volume(put(b"\x89PNG\r\n\x1a\n" + bytes(20_000), name))


def test_a_pair_of_header_and_image_is_refused(craft, put, refused):
    put(bytes(COUNT), "case.img")
    with refused("suffix '.hdr'"):
        load_volume(put(craft.nifti(magic=b"ni1\0", vox_offset=0, voxels=b""), "case.hdr"))


@pytest.mark.parametrize("name", ["zero\0byte.nii", "x" * 300 + ".nii"], ids=["zero", "long"])
def test_a_path_that_no_file_can_have_is_refused(name, tmp_path, refused):
    with refused():
        load_volume(tmp_path / name)

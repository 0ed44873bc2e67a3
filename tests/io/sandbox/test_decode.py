"""The decoding process gives exactly the announced voxels, checked to the end, in little memory."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import subprocess
import sys
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetusmap.files import open_regular
from fetusmap.io import ReadLimits, load_volume
from fetusmap.io.sandbox import decoder
from fetusmap.io.sandbox.decode import decode_voxels
from fetusmap.io.volumes.header import VolumeHeader

MIB = 1 << 20
PACK = {"none": bytes, "gzip": gzip.compress, "zlib": zlib.compress, "bzip2": bz2.compress}


@pytest.fixture
def header(tmp_path):
    """A header of 4 x 3 x 2 bytes in a file that is still to be written."""
    path = tmp_path / "voxels"
    return VolumeHeader("test", (4, 3, 2), np.dtype("u1"), np.eye(4), path)


@pytest.fixture
def decode():
    """Decode what a header announces with the default limits."""

    def decode(header, **limits):
        with open_regular(header.data_path) as data:
            return decode_voxels(header, data, header.data_path, ReadLimits(**limits))

    return decode


@pytest.mark.parametrize("compression", PACK)
def test_the_first_index_runs_fastest(compression, header, decode):
    header.data_path.write_bytes(PACK[compression](bytes(range(24))))
    array = decode(replace(header, compression=compression))
    assert array.shape == (4, 3, 2)
    assert array[:, 0, 0].tolist() == [0, 1, 2, 3]
    assert array[0, :, 0].tolist() == [0, 4, 8]
    assert array[0, 0, :].tolist() == [0, 12]


@pytest.mark.parametrize("compression", PACK)
def test_bytes_before_the_file_part_and_before_the_stream_part_are_skipped(
    compression, header, decode
):
    packed = PACK[compression](b"stream" + bytes(range(24)))
    header.data_path.write_bytes(b"file head" + packed)
    array = decode(replace(header, compression=compression, skip_file=9, skip_stream=6))
    assert array.ravel("F").tolist() == list(range(24))


@pytest.mark.parametrize("order", ["<", ">"])
def test_byte_order_becomes_native(order, header, decode):
    stored = np.arange(24, dtype=order + "i4") * 100_000
    header.data_path.write_bytes(stored.tobytes())
    array = decode(replace(header, dtype=stored.dtype))
    assert array.dtype == np.dtype("=i4")
    assert array.ravel("F").tolist() == [100_000 * n for n in range(24)]


def test_the_array_can_be_written_to(header, decode):
    header.data_path.write_bytes(bytes(24))
    array = decode(header)
    array[0, 0, 0] = 7
    assert array.sum() == 7


def test_slope_and_intercept_give_single_precision(header, decode):
    header.data_path.write_bytes(bytes(range(24)))
    array = decode(replace(header, slope=0.25, intercept=-1.0))
    assert array.dtype == np.float32
    assert array.ravel("F").tolist() == [n / 4 - 1 for n in range(24)]


def test_large_integers_are_scaled_before_they_are_rounded(header, decode):
    # 2**24 + 1 has no single-precision neighbour; less 2**24 it is exactly 1.
    stored = np.full(24, 2**24 + 1, "<u4")
    header.data_path.write_bytes(stored.tobytes())
    array = decode(replace(header, dtype=stored.dtype, intercept=-float(2**24)))
    assert array.ravel().tolist() == [1.0] * 24


def test_a_volume_of_many_pieces_is_scaled_to_its_end(header, decode):
    shape = (200, 200, 220)  # 8.8 million voxels: two whole pieces and a part
    stored = np.resize(np.arange(251, dtype=np.uint8), int(np.prod(shape)))
    header.data_path.write_bytes(stored.tobytes())
    array = decode(replace(header, shape=shape, slope=0.5, intercept=1.0))
    np.testing.assert_array_equal(array.ravel("F"), (stored * 0.5 + 1).astype(np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8"])
def test_voxels_that_are_not_finite_are_counted(bad, dtype, header, decode, refused):
    stored = np.zeros(24, dtype)
    stored[[3, 5]] = bad
    header.data_path.write_bytes(stored.tobytes())
    with refused("2 voxels with NaN or infinity"):
        decode(replace(header, dtype=stored.dtype))


@pytest.mark.parametrize("compression", PACK)
def test_missing_voxels_are_counted_or_the_stream_is_called_short(
    compression, header, decode, refused
):
    header.data_path.write_bytes(PACK[compression](bytes(20)))
    with refused("24 bytes of undamaged voxels", "4 bytes of voxels are missing"):
        decode(replace(header, compression=compression))


@pytest.mark.parametrize("compression", ["gzip", "zlib", "bzip2"])
@pytest.mark.parametrize("surplus", [1, MIB, MIB + 1])
def test_a_megabyte_more_than_announced_is_let_pass_and_not_a_byte_beyond(
    surplus, compression, header, decode, refused
):
    header.data_path.write_bytes(PACK[compression](bytes(range(24)) + bytes(surplus)))
    packed = replace(header, compression=compression)
    if surplus > MIB:
        with refused("follow the voxels"):
            decode(packed)
    else:
        assert decode(packed).sum() == sum(range(24))


@pytest.mark.parametrize("compression", ["gzip", "zlib", "bzip2"])
def test_every_lost_byte_of_a_compressed_stream_is_noticed(compression, header, decode, refused):
    whole = PACK[compression](bytes(range(24)))
    for length in range(1, len(whole)):
        with pytest.raises((EOFError, OSError)):
            unpack(whole[:length], compression)
    assert unpack(whole, compression) == bytes(range(24))
    for length in (1, len(whole) // 2, len(whole) - 1):
        header.data_path.write_bytes(whole[:length])
        with refused("undamaged"):
            decode(replace(header, compression=compression))


def unpack(packed, compression):
    """Unpack 24 bytes as the decoding process does, but in this process."""
    out = io.BytesIO()
    read = decoder.OPEN[compression](io.BytesIO(packed))
    decoder.copy(read, 24, out)
    decoder.check_end(read)
    return out.getvalue()


def test_a_wrong_check_sum_is_noticed(header, decode, refused):
    for compression, offset in (("gzip", 8), ("zlib", 4)):
        whole = bytearray(PACK[compression](bytes(range(24))))
        whole[-offset] ^= 1
        header.data_path.write_bytes(whole)
        with refused("undamaged"):
            decode(replace(header, compression=compression))


def test_the_decoder_may_be_given_too_little_memory_to_start(header, decode, refused):
    header.data_path.write_bytes(gzip.compress(bytes(range(24))))
    with refused("undamaged"):
        decode(replace(header, compression="gzip"), decoder_bytes=MIB)


@pytest.mark.parametrize("name", ["--help", "-c", "a b", "a\nb", "$(touch x)", "'", "é"])
def test_no_file_name_is_taken_for_something_else(name, craft, tmp_path, monkeypatch):
    voxels = np.arange(16 * 17 * 18).astype(np.uint8)
    (tmp_path / name).write_bytes(craft.nifti(voxels=voxels.tobytes()))
    monkeypatch.chdir(tmp_path)
    assert load_volume(name).array.ravel("F").tolist() == voxels.tolist()
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_the_open_file_is_decoded_and_not_the_one_that_took_its_name(header):
    header.data_path.write_bytes(bytes(range(24)))
    with open_regular(header.data_path) as data:
        header.data_path.unlink()
        header.data_path.write_bytes(bytes(24))
        array = decode_voxels(header, data, header.data_path, ReadLimits())
    assert array.ravel("F").tolist() == list(range(24))


def test_the_decoder_uses_nothing_but_the_standard_library(header):
    # -S and -I leave no other package in reach.
    header.data_path.write_bytes(gzip.compress(bytes(range(24))))
    command = [sys.executable, "-I", "-S", decoder.__file__]
    with header.data_path.open("rb") as file:
        done = subprocess.run(
            [*command, "0", "gzip", "0", "24", str(512 * MIB)],
            stdin=file,
            capture_output=True,
            check=True,
        )
    assert done.stdout == bytes(range(24))
    assert done.stderr == b""


@pytest.mark.parametrize("compression", ["gzip", "zlib", "bzip2"])
def test_the_decoder_holds_only_a_few_pieces_of_a_large_volume(compression, tmp_path):
    count = 100 * MIB  # far more than the memory that is allowed below
    piece = bytes(10 * MIB)
    whole = bz2.compress(piece) * 10 if compression == "bzip2" else None
    if whole is None:
        packer = zlib.compressobj(1, zlib.DEFLATED, 31 if compression == "gzip" else 15)
        whole = b"".join(packer.compress(piece) for _ in range(10)) + packer.flush()
    (tmp_path / "voxels").write_bytes(whole)
    # A parent without libraries: a child's peak counts from the fork.
    script = """
import json, resource, subprocess, sys
total = 0
with subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE) as process:
    while piece := process.stdout.read(1 << 16):
        total += len(piece)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"total": total, "code": process.returncode, "peak": peak}))
"""
    child = [sys.executable, "-I", "-S", decoder.__file__]
    with (tmp_path / "voxels").open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", script, *child, "0", compression, "0", str(count),
             str(512 * MIB)],
            stdin=file, capture_output=True, check=True, text=True,
        )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["total"] == count
    assert report["code"] == 0
    unit = 1 if sys.platform == "darwin" else 1024
    assert MIB < report["peak"] * unit < 64 * MIB


@settings(deadline=None, max_examples=50)
@given(
    content=st.binary(max_size=5000) | st.integers(0, 5000).map(bytes),
    level=st.integers(0, 9),
    sizes=st.lists(st.integers(1, 700), min_size=1),
    wrapper=st.sampled_from([15, 31]),
)
def test_a_zlib_stream_read_in_any_pieces_gives_all_of_it(content, level, sizes, wrapper):
    packer = zlib.compressobj(level, zlib.DEFLATED, wrapper)
    packed = packer.compress(content) + packer.flush()
    read = decoder.read_zlib(io.BytesIO(packed + b"what follows the stream"))
    pieces, turn = [], 0
    while piece := read(sizes[turn % len(sizes)]):
        assert len(piece) <= sizes[turn % len(sizes)]
        pieces.append(piece)
        turn += 1
    assert b"".join(pieces) == content
    assert read(1) == b""


def test_a_zlib_stream_without_its_end_is_an_error():
    packed = zlib.compress(bytes(range(256)))
    read = decoder.read_zlib(io.BytesIO(packed[:-1]))
    with pytest.raises(EOFError):
        decoder.check_end(read)


@pytest.mark.parametrize("count", [0, 1, 3, 10])
def test_exactly_the_counted_bytes_are_copied(count):
    out = io.BytesIO()
    decoder.copy(io.BytesIO(b"0123456789").read, count, out)
    assert out.getvalue() == b"0123456789"[:count]


def test_a_copy_of_more_than_there_is_says_how_much_is_missing():
    with pytest.raises(EOFError, match=r"^2 bytes"):
        decoder.copy(io.BytesIO(b"0123456789").read, 12, None)

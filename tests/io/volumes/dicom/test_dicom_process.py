"""DICOM through the decoding process: what the other tests do in this process, with its limits."""

import struct
from dataclasses import replace

import numpy as np
import pytest

from fetusmap.geometry import affine_from
from fetusmap.io import DEFAULT_LIMITS, Source, load_volume

SHAPE = (20, 18, 17)
AFFINE = affine_from(np.diag([0.5, 0.6, 0.7]), [10.0, -20.0, 5.0])
SERIES = np.random.default_rng(0).integers(0, 256, (2, *SHAPE), dtype=np.uint8)


def test_a_compressed_time_series_with_shuffled_frames(dicom, tmp_path):
    order = np.random.default_rng(3).permutation(2 * SHAPE[2])
    data = dicom.enhanced(SERIES, AFFINE, order=order, times=[0, 40], shared=False)
    path = dicom.compress(dicom.save(data, tmp_path / "scan.dcm"), "1.2.840.10008.1.2.5")
    volume = load_volume(Source(path, frame=1))
    np.testing.assert_array_equal(volume.array, SERIES[1])
    np.testing.assert_allclose(volume.grid.affine, AFFINE, atol=1e-9)


def test_more_memory_than_allowed_is_refused(dicom, tmp_path, refused_soon):
    path = dicom.save(dicom.enhanced(SERIES[0], AFFINE), tmp_path / "scan.dcm")
    dicom.compress(path, "1.2.840.10008.1.2.1.99")
    with refused_soon("an undamaged DICOM file"):
        load_volume(path, limits=replace(DEFAULT_LIMITS, decoder_bytes=1 << 24))


def test_a_process_without_an_end_is_ended(dicom, tmp_path, refused_soon):
    path = dicom.save(dicom.enhanced(SERIES[0], AFFINE), tmp_path / "scan.dcm")
    with refused_soon("no end after 0.001 s"):
        load_volume(path, limits=replace(DEFAULT_LIMITS, timeout_s=0.001))


def test_what_libraries_complain_about_is_not_told(dicom, tmp_path, refused_soon):
    """A frame whose stated process is none: the library writes about it, and aborts or refuses."""
    path = dicom.save(dicom.enhanced(SERIES[0], AFFINE), tmp_path / "scan.dcm")
    data = bytearray(dicom.compress(path, "1.2.840.10008.1.2.4.70").read_bytes())
    at = data.index(b"\xff\xda")  # start of the scan of the first frame
    data[at + 2 : at + 8] = b"\x00\x08\x09\x95\x72\x01"
    path.write_bytes(bytes(data))
    with refused_soon("undamaged voxels") as caught:
        load_volume(path)
    assert "JPEG" not in caught.value.found
    assert "gdcm" not in caught.value.found.lower()


def cut_short(good: bytes) -> bytes:
    return good[: int(len(good) * 0.9)]


def missing_fragments(good: bytes) -> bytes:
    item = b"\xfe\xff\x00\xe0"
    start = good.index(struct.pack("<HH", 0x7FE0, 0x10))
    second = good.index(item, good.index(item, good.index(item, start) + 8) + 8)
    return good[:second] + b"\xfe\xff\xdd\xe0\0\0\0\0"


def damaged_fragment(good: bytes) -> bytes:
    item = b"\xfe\xff\x00\xe0"
    start = good.index(struct.pack("<HH", 0x7FE0, 0x10))
    first = good.index(item, good.index(item, start) + 8) + 8
    return good[:first] + b"\xff" * 64 + good[first + 64 :]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut_short, "after the file"),
        (missing_fragments, "17 compressed frames, found 1"),
        (damaged_fragment, "undamaged voxels"),
    ],
)
def test_a_malformed_file_is_refused_soon(dicom, tmp_path, refused_soon, spoil, words):
    path = dicom.save(dicom.enhanced(SERIES[0], AFFINE), tmp_path / "scan.dcm")
    good = dicom.compress(path, "1.2.840.10008.1.2.5").read_bytes()
    path.write_bytes(spoil(good))
    with refused_soon(words):
        load_volume(path)

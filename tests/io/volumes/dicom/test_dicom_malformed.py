"""Malformed DICOM files: each is refused in one line, soon, and with exit code 2."""

import os
import struct
import zlib

import numpy as np
import pytest

from fetusmap.cli.main import run
from fetusmap.geometry import affine_from

pytestmark = pytest.mark.usefixtures("in_process")

SHAPE = (20, 18, 17)
AFFINE = affine_from(np.diag([0.5, 0.6, 0.7]), [10.0, -20.0, 5.0])
SPECKLE = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
EXPLICIT = b"1.2.840.10008.1.2.1\0"


def element(group: int, number: int, kind: bytes, value: bytes, length: int | None = None) -> bytes:
    """An explicit element packed by hand, whose stated length may be wrong."""
    length = len(value) if length is None else length
    head = struct.pack("<HH", group, number) + kind
    if kind in (b"OB", b"OW", b"SQ", b"UN"):
        return head + b"\0\0" + struct.pack("<L", length) + value
    return head + struct.pack("<H", length) + value


META = b"\0" * 128 + b"DICM" + element(2, 0x10, b"UI", EXPLICIT)


def shared(data):
    return data.SharedFunctionalGroupsSequence[0]


def frame(data, n=0):
    return data.PerFrameFunctionalGroupsSequence[n]


def place(data, n, value):
    frame(data, n).PlanePositionVolumeSequence[0].ImagePositionVolume = value


def replaced(word: str, value):
    return lambda data, _: setattr(data, word, value)


def removed(word: str):
    return lambda data, _: delattr(data, word)


def text_in_place_of_a_number(data, _):
    del data.Rows
    data.add_new(0x00280010, "LO", "eighteen")


def wrong_type_of_spacing(data, dicom):
    measures = dicom.item(SpacingBetweenSlices="0.7")
    measures.add_new(0x00280030, "LO", "half a millimetre")
    shared(data).PixelMeasuresSequence = [measures]


def spacing(text):
    def change(data, dicom):
        shared(data).PixelMeasuresSequence = [dicom.item(PixelSpacing=text)]

    return change


def orientation(values):
    def change(data, dicom):
        item = dicom.item(ImageOrientationVolume=values)
        shared(data).PlaneOrientationVolumeSequence = [item]

    return change


def a_sequence_that_is_none(data, _):
    del data.SharedFunctionalGroupsSequence
    data.add_new(0x52009229, "LO", "no sequence")


def without_groups(data, _):
    del data.SharedFunctionalGroupsSequence
    del data.PerFrameFunctionalGroupsSequence


def wrong_type(tag, kind, value):
    def change(data, _):
        del data[tag]
        data.add_new(tag, kind, value)

    return change


def floats(data, _):
    data.FloatPixelData = data.PixelData
    del data.PixelData


def text_for_measures(data, _):
    del shared(data).PixelMeasuresSequence
    shared(data).add_new(0x00289110, "LO", "0.5")


CHANGES = {
    "no rows": (removed("Rows"), "Rows"),
    "text for rows": (text_in_place_of_a_number, "Rows"),
    "no bits": (removed("BitsAllocated"), "BitsAllocated"),
    "12 bits allocated": (replaced("BitsAllocated", 12), "8 of 12 bits"),
    "more bits stored than allocated": (replaced("BitsStored", 12), "12 of 8 bits"),
    "palette colour": (replaced("PhotometricInterpretation", "PALETTE COLOR"), "PALETTE COLOR"),
    "two samples": (replaced("SamplesPerPixel", 2), "2 samples of MONOCHROME2"),
    "65535 rows": (replaced("Rows", 65535), "cut short"),
    "no groups": (without_groups, "17 frames without a distance"),
    "fewer groups than frames": (
        lambda data, _: data.PerFrameFunctionalGroupsSequence.pop(),
        "a functional group for each of 17 frames, found 16",
    ),
    "millions of frames": (replaced("NumberOfFrames", "99999999"), "at most 4000 frames"),
    "negative number of frames": (replaced("NumberOfFrames", "-5"), "NumberOfFrames"),
    "no voxels": (removed("PixelData"), "no voxels"),
    "zero spacing": (spacing(["0", "0"]), "positive spacing"),
    "spacing of one number": (spacing("0.5"), "2 finite numbers in PixelSpacing"),
    "wrong type of spacing": (wrong_type_of_spacing, "PixelSpacing"),
    "huge spacing": (spacing(["60", "50"]), "a spacing of 0.05 to 5.0 mm"),
    "no spacing": (lambda data, _: delattr(shared(data), "PixelMeasuresSequence"), "no spacing"),
    "no orientation": (
        lambda data, _: delattr(shared(data), "PlaneOrientationVolumeSequence"),
        "an orientation of the frames beside their positions, found none",
    ),
    "orientation of zeros": (orientation([0.0] * 6), "unit vectors"),
    "parallel vectors": (orientation([1.0, 0, 0, 1, 0, 0]), "right angle"),
    "orientation NaN": (orientation([float("nan"), 0, 0, 0, 1, 0]), "finite numbers"),
    "shared groups are no sequence": (a_sequence_that_is_none, "expected"),
    "position NaN": (lambda data, _: place(data, 3, [float("nan"), 0, 0]), "finite numbers"),
    "position without a frame": (
        lambda data, _: delattr(frame(data, 3), "PlanePositionVolumeSequence"),
        "some frames without one",
    ),
    "two frames in one place": (lambda data, _: place(data, 3, [10.0, -20, 5]), "one place"),
    "frames beside the line": (lambda data, _: place(data, 3, [12.0, -20, 7.1]), "evenly spaced"),
    "slope 0": (replaced("RescaleSlope", "0"), "a slope other than 0"),
    "a slope of one frame": (
        lambda data, dicom: setattr(
            frame(data, 3), "PixelValueTransformationSequence", [dicom.item(RescaleSlope="2")]
        ),
        "RescaleSlope of every frame, or of none, found 16 frames without one",
    ),
    "no rows at all": (replaced("Rows", 0), "a positive whole number in Rows, found 0"),
    "half a column": (wrong_type(0x00280011, "DS", "16.5"), "in Columns, found 16.5"),
    "voxels of floats": (floats, "no voxels"),
    "text for a group": (text_for_measures, "PixelMeasuresSequence that is no sequence"),
    "endless spacing": (spacing(["1e400", "0.5"]), "2 finite numbers in PixelSpacing"),
    "other data only": (
        lambda data, dicom: setattr(
            shared(data), "ImageDataTypeSequence", [dicom.item(DataType="FLOW_VELOCITY")]
        ),
        "frames of tissue intensity",
    ),
    "64 bits": (replaced("BitsAllocated", 64), "of 64 bits"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_malformed_statements(dicom, tmp_path, check_refused, change):
    edit, words = change
    data = dicom.enhanced(SPECKLE, AFFINE)
    edit(data, dicom)
    path = tmp_path / "scan.dcm"
    data.save_as(path, enforce_file_format=False, implicit_vr=False, little_endian=True)
    check_refused(path, words)


def cut(part: float):
    return lambda good: good[: int(len(good) * part)]


FILES = {
    "cut in the voxels": (cut(0.9), "cut short"),
    "cut in the groups": (cut(0.15), "expected"),
    "only the preamble": (lambda _: b"\0" * 128 + b"DICM", "no voxels"),
    "no DICOM": (lambda _: b"not a DICOM file" * 100, "a DICOM file"),
    "zeros": (lambda good: good[:132] + bytes(1000), "expected"),
    "an element of 4 GB": (
        lambda _: META + element(0x28, 0x10, b"UN", b"\1\0", 0xFFFFFFF0),
        "an element of 4294967280 bytes",
    ),
    "an item of 4 GB": (
        lambda _: (
            META + element(0x5200, 0x9230, b"SQ", b"\xfe\xff\0\xe0" + struct.pack("<L", 0xFFFFFFF0))
        ),
        "no voxels",
    ),
    "an undefined sequence without an end": (
        lambda _: META + element(0x5200, 0x9230, b"SQ", b"\xfe\xff\0\xe0" + b"\xff" * 4, 2**32 - 1),
        "expected",
    ),
    "sequences in sequences": (
        lambda _: (
            META
            + element(0x5200, 0x9230, b"SQ", b"\xfe\xff\0\xe0" + b"\xff" * 4, 2**32 - 1)
            + element(0x5200, 0x9230, b"SQ", b"\xfe\xff\0\xe0" + b"\xff" * 4, 2**32 - 1) * 20000
        ),
        "expected",
    ),
    "deflated rubbish": (
        lambda _: (
            META.replace(EXPLICIT, b"1.2.840.10008.1.2.1.99").replace(b"UI\x14\0", b"UI\x16\0")
            + b"rubbish" * 50
        ),
        "deflated",
    ),
    "a deflated bomb": (
        lambda _: (
            META.replace(EXPLICIT, b"1.2.840.10008.1.2.1.99").replace(b"UI\x14\0", b"UI\x16\0")
            + deflated_zeros(300)
        ),
        "deflated",
    ),
    "no byte": (lambda _: b"", "expected"),
    "only a syntax": (lambda _: META, "no voxels"),
    "half of a deflated data set": (
        lambda good: (
            META.replace(EXPLICIT, b"1.2.840.10008.1.2.1.99").replace(b"UI\x14\0", b"UI\x16\0")
            + zlib.compress(good[500:], wbits=-15)[:2000]
        ),
        "ends too early",
    ),
    "plain voxels that are said to be JPEG 2000": (
        lambda good: good.replace(EXPLICIT, b"1.2.840.10008.1.2.4.90\0\0").replace(
            b"UI\x14\0", b"UI\x18\0", 1
        ),
        "expected",
    ),
    "an unknown compression": (
        lambda good: good.replace(EXPLICIT, b"1.2.840.10008.1.9.1\0"),
        "transfer syntax 1.2.840.10008.1.9.1",
    ),
}


def deflated_zeros(mib: int) -> bytes:
    """Zeros that take a thousandth of their length; after a full flush, pieces can be repeated."""
    packer = zlib.compressobj(9, wbits=-15)
    return (packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)) * mib


@pytest.mark.parametrize("make", FILES.values(), ids=FILES.keys())
def test_malformed_files(dicom, tmp_path, check_refused, make):
    spoil, words = make
    path = dicom.save(dicom.enhanced(SPECKLE, AFFINE), tmp_path / "scan.dcm")
    path.write_bytes(spoil(path.read_bytes()))
    check_refused(path, words)


def test_missing_and_damaged_fragments(dicom, tmp_path, check_refused):
    path = dicom.save(dicom.enhanced(SPECKLE, AFFINE), tmp_path / "scan.dcm")
    good = dicom.compress(path, "1.2.840.10008.1.2.5").read_bytes()
    start = good.index(struct.pack("<HH", 0x7FE0, 0x10))
    item = b"\xfe\xff\x00\xe0"
    second = good.index(item, good.index(item, good.index(item, start) + 8) + 8)
    path.write_bytes(good[:second] + b"\xfe\xff\xdd\xe0\0\0\0\0")
    check_refused(path, "17 compressed frames, found 1")
    path.write_bytes(good[: second + 4] + b"\xf0\xff\xff\xff" + good[second + 8 :])
    check_refused(path, "after the file")
    path.write_bytes(good[:second] + b"\xaa\xaa\xaa\xaa" + good[second + 4 :])
    check_refused(path, "no item where a compressed frame should begin")
    path.write_bytes(good[: second + 8] + b"\xff" * 64 + good[second + 72 :])
    check_refused(path, "undamaged voxels")


def test_mixed_series_are_never_mixed(dicom, tmp_path, check_refused):
    for k in range(17):
        data = dicom.instance(SPECKLE[:, :, k].T[None].copy(), "1.2.840.10008.5.1.4.1.1.6.1")
        data.PixelSpacing, data.InstanceNumber = ["0.6", "0.5"], k + 1
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0] if k % 2 else [0, 1, 0, 0, 0, 1]
        data.ImagePositionPatient = [0, 0, 0.7 * k]
        dicom.save(data, tmp_path / f"{k:02d}.dcm")
    check_refused(tmp_path / "00.dcm", "several orientations")


@pytest.fixture
def check_refused(capfd):
    """Describe a file at the command line: exit code 2, one line, a reason, and no patient."""

    def check(path, words: str) -> None:
        start = processor_s()
        assert run(["info", str(path)]) == 2
        assert processor_s() - start < 5.0
        told = capfd.readouterr()
        assert told.out == ""
        assert told.err.count("\n") == 1
        assert told.err.startswith("fetusmap: ")
        assert words in told.err.replace(str(path.parent), "")
        assert "SECRET" not in told.err

    return check


def processor_s() -> float:
    """Processor time of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system

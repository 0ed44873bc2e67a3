"""NIfTI time series and NRRD lists: each volume is read at its place, packed or not."""

import gzip

import numpy as np
import pytest

from fetusmap.errors import UnreadableFile
from fetusmap.io import ReadLimits, Source, load_sequence, load_volume

SHAPE = (16, 17, 18)


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 255, (5, *SHAPE), np.uint8)


@pytest.fixture
def series(craft, frames):
    voxels = b"".join(frame.tobytes("F") for frame in frames)
    return craft.nifti(dim=(4, *SHAPE, 5, 1, 1, 1), voxels=voxels)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_the_volumes_of_a_time_series_are_read_in_order(tmp_path, suffix, series, frames):
    path = tmp_path / f"case{suffix}"
    path.write_bytes(gzip.compress(series) if suffix == ".nii.gz" else series)
    for volume, frame in zip(load_sequence(path), frames, strict=True):
        np.testing.assert_array_equal(volume.array, frame)
    last = load_volume(Source(path, frame=4))
    assert (last.name, last.facts["frame"]) == ("case-004", "4 of 0 to 4")
    assert last.facts["sequence"] == "5 volumes"
    with pytest.raises(UnreadableFile, match="a sequence of 5 volumes"):
        load_volume(path)


def test_a_packed_series_is_checked_to_its_end(tmp_path, series):
    """Also the volumes after the one that is read must be there, and undamaged."""
    path = tmp_path / "case.nii.gz"
    whole = gzip.compress(series)
    path.write_bytes(whole[:-100])
    with pytest.raises(UnreadableFile):
        load_volume(Source(path, frame=0))
    path.write_bytes(gzip.compress(series + bytes(2**21)))
    with pytest.raises(UnreadableFile, match="follow the voxels"):
        load_volume(Source(path, frame=0))


def test_a_series_that_unpacks_to_too_much_is_refused_by_its_header(tmp_path, craft):
    path = tmp_path / "case.nii.gz"
    head = craft.nifti(dim=(4, 64, 64, 64, 30_000, 1, 1, 1), voxels=b"")
    path.write_bytes(craft.gzip_with_zeros(head, 2**25))
    with pytest.raises(UnreadableFile, match="compression ratio"):
        load_volume(Source(path, frame=0), limits=ReadLimits(timeout_s=5))


def test_a_series_that_is_cut_short_still_has_its_first_volumes(tmp_path, series, frames):
    path = tmp_path / "case.nii"
    path.write_bytes(series[:-10])
    np.testing.assert_array_equal(load_volume(Source(path, frame=3)).array, frames[3])
    with pytest.raises(UnreadableFile, match="cut short"):
        load_volume(Source(path, frame=4))


@pytest.mark.parametrize(
    ("axis", "dtype", "encoding"),
    [
        *((axis, "uint8", "gzip") for axis in range(4)),
        *((axis, "int16", "raw") for axis in range(4)),
        *((0, dtype, "raw") for dtype in ("float", "double", "int64")),
    ],
)
def test_the_volumes_of_an_nrrd_list_are_read_in_order(tmp_path, craft, axis, dtype, encoding):
    """The list may be any axis: voxels, rows, slices or whole volumes alternate in the file."""
    code = {"float": "f4", "double": "f8"}.get(dtype, dtype)
    whole = np.random.default_rng(0).integers(0, 255, (*SHAPE, 3)).astype(code)
    stored = np.moveaxis(whole, -1, axis)
    voxels = stored.tobytes("F")
    kinds, directions = ["domain"] * 3, ["(1,0,0)", "(0,1,0)", "(0,0,-1)"]
    kinds.insert(axis, "list")
    directions.insert(axis, "none")
    fields = {
        "dimension": "4",
        "type": dtype,
        "endian": "little",
        "sizes": " ".join(str(n) for n in stored.shape),
        "kinds": " ".join(kinds),
        "space directions": " ".join(directions),
        "encoding": encoding,
    }
    path = tmp_path / "case.nrrd"
    path.write_bytes(craft.nrrd(fields, gzip.compress(voxels) if encoding == "gzip" else voxels))
    for number, volume in enumerate(load_sequence(path)):
        np.testing.assert_array_equal(volume.array, whole[..., number])
        assert volume.grid.orientation == "LPI"
    assert (number, volume.facts["sequence"]) == (2, "3 volumes")
    with pytest.raises(UnreadableFile, match="--frame 0 to --frame 2"):
        load_volume(path)


def nrrd_list(craft, *, sizes="16 17 18 2", kinds="domain domain domain list", **changed):
    fields = {"dimension": "4", "sizes": sizes, "kinds": kinds, **changed}
    directions = {"space directions": "(1,0,0) (0,1,0) (0,0,1) none"}
    return craft.nrrd({**directions, **fields}, bytes(range(256)) * 2 * 17 * 18)


def test_an_nrrd_list_of_one_volume_is_a_volume(tmp_path, craft):
    path = tmp_path / "case.nrrd"
    path.write_bytes(nrrd_list(craft, sizes="16 17 18 1"))
    assert load_volume(path).grid.shape == SHAPE


@pytest.mark.parametrize("first", [{}, {"byte skip": "-1"}])
def test_the_last_bytes_of_an_nrrd_file_may_be_its_list(tmp_path, craft, first):
    path = tmp_path / "case.nrrd"
    whole = np.arange(16 * 17 * 18 * 2, dtype=np.uint8).reshape((*SHAPE, 2), order="F")
    path.write_bytes(nrrd_list(craft, **first)[: -2 * 256 * 17 * 18] + whole.tobytes("F"))
    for number, volume in enumerate(load_sequence(path)):
        np.testing.assert_array_equal(volume.array, whole[..., number])


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"kinds": "vector domain domain domain"}, "a list of volumes"),
        ({"kinds": "RGB-color domain domain domain"}, "a list of volumes"),
        ({"kinds": "list domain domain list"}, "a list of volumes"),
        ({"kinds": "domain domain domain domain"}, "a list of volumes"),
        ({"kinds": None}, "of the kind 'list'"),
        ({"dimension": "5"}, "of the kind 'list'"),
        ({"kinds": "list domain domain domain"}, "3 vectors"),
        ({"sizes": "16 17 18 0"}, "positive integers"),
        ({"sizes": "16 17 18 2000000000"}, "cut short"),
    ],
)
def test_four_axes_that_are_no_list_of_volumes_are_refused(tmp_path, craft, changed, word):
    path = tmp_path / "case.nrrd"
    path.write_bytes(nrrd_list(craft, **changed))
    with pytest.raises(UnreadableFile, match=word):
        load_volume(Source(path, frame=1_999_999_999 if "sizes" in changed else 0))


@pytest.mark.parametrize(("stored", "read"), [("i8", "i4"), ("u8", "i4"), (">i8", "i4")])
@pytest.mark.parametrize("low", [-2, 0])
def test_integers_of_64_bits_are_read_where_their_values_fit(tmp_path, craft, stored, read, low):
    values = np.random.default_rng(0).integers(max(low, 0 if "u" in stored else low), 999, SHAPE)
    path = tmp_path / "case.nrrd"
    fields = {"type": {"i": "int64", "u": "uint64"}[stored.strip("<>")[0]]}
    fields["endian"] = "big" if ">" in stored else "little"
    path.write_bytes(craft.nrrd(fields, values.astype(stored).tobytes("F")))
    volume = load_volume(path)
    assert volume.array.dtype == read
    np.testing.assert_array_equal(volume.array, values)
    assert volume.facts["stored as"] == np.dtype(stored).newbyteorder("=").name


def test_large_unsigned_integers_of_64_bits_become_unsigned(tmp_path, craft):
    values = np.full(SHAPE, 2**32 - 1, "<u8")
    path = tmp_path / "case.nii"
    path.write_bytes(craft.nifti(datatype=1280, voxels=values.tobytes("F")))
    assert load_volume(path).array.dtype == np.uint32

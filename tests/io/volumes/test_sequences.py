"""NIfTI time series: each volume is read at its place, packed or not."""

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

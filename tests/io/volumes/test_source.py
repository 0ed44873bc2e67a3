"""A volume is recognised by its content, hashed with all its files, and opened only once."""

from __future__ import annotations

import gzip
import hashlib
import os

import numpy as np
import pytest

from fetusmap.errors import UnreadableFile
from fetusmap.io import (
    ReadLimits,
    Source,
    find_sources,
    load_grid,
    load_volume,
    open_source,
    volume_of,
)
from fetusmap.io.volumes import metaimage, nifti, nrrd, recognition

CONTENT = {".nii": nifti, ".nii.gz": nifti, ".nrrd": nrrd, ".mha": metaimage}


@pytest.fixture
def voxels(phantom):
    """The voxels of all files of these tests."""
    return phantom()


@pytest.fixture
def pair(tmp_path, craft, voxels):
    """A function that writes a header and its data file, and returns the header's path."""

    def write(suffix, content=None):
        header = {
            ".nhdr": craft.nrrd({"data file": "case.raw"}, b""),
            ".mhd": craft.metaimage({"ElementDataFile": "case.raw"}, b""),
        }[suffix]
        (tmp_path / f"case{suffix}").write_bytes(header)
        (tmp_path / "case.raw").write_bytes(content or voxels.tobytes("F"))
        return tmp_path / f"case{suffix}"

    return write


NAMES = [
    (".nii", "case.nii", ()),
    (".nii", "case.nii.gz", ("named .nii.gz, but not compressed",)),
    (".nii", "case.nrrd", ("named .nrrd, but the content is NIfTI",)),
    (".nii", "case", ("named without a suffix, but the content is NIfTI",)),
    (".nii.gz", "case.nii", ("named .nii, but compressed with gzip",)),
    (".nii.gz", "case.vol", ("named .vol, but the content is NIfTI",)),
    (".nii.gz", "case.mhd", ("named .mhd, but the content is NIfTI",)),
    (".nrrd", "case.nhdr", ()),
    (".nrrd", "case.mha", ("named .mha, but the content is NRRD",)),
    (".nrrd", "case.nii.gz", ("named .nii.gz, but the content is NRRD",)),
    (".mha", "case.mhd", ()),
    (".mha", "case.nii", ("named .nii, but the content is MetaImage",)),
    (".mha", "case.nhdr", ("named .nhdr, but the content is MetaImage",)),
    (".mha", "case.mha.bak", ("named .bak, but the content is MetaImage",)),
]


@pytest.mark.parametrize(("content", "name", "warnings"), NAMES)
def test_every_format_is_read_under_every_name(content, name, warnings, good, voxels, tmp_path):
    (tmp_path / name).write_bytes(good[content])
    loaded = load_volume(tmp_path / name)
    np.testing.assert_array_equal(loaded.array, voxels)
    assert loaded.warnings == warnings


def test_a_file_compressed_twice_is_read_with_a_warning(good, voxels, tmp_path):
    path = tmp_path / "case.nii.gz"
    path.write_bytes(gzip.compress(good[".nii.gz"]))
    loaded = load_volume(path)
    np.testing.assert_array_equal(loaded.array, voxels)
    assert loaded.warnings == ("compressed with gzip twice",)


def test_a_damaged_file_compressed_twice_is_refused(good, tmp_path, refused):
    inner = bytearray(good[".nii.gz"])
    inner[-6] ^= 1  # of the inner check sum
    (tmp_path / "case.nii.gz").write_bytes(gzip.compress(bytes(inner)))
    with refused("undamaged"):
        load_volume(tmp_path / "case.nii.gz")


def test_a_file_compressed_three_times_is_refused(good, tmp_path, refused):
    path = tmp_path / "case.nii.gz"
    path.write_bytes(gzip.compress(gzip.compress(good[".nii.gz"])))
    with refused("NIfTI"):
        load_volume(path)


@pytest.mark.parametrize(
    "head",
    [b"", b"\x1f\x8b", b"\x1f\x8b" + bytes(500), b"NRRD0009\n", b"{}", b"NDims", bytes(600)],
)
def test_other_bytes_are_no_volume(head):
    assert recognition.format_of(head) is None


@pytest.mark.parametrize("content", CONTENT)
def test_the_first_bytes_are_enough_to_recognise_a_format(content, good):
    assert recognition.format_of(good[content][:4096]) is CONTENT[content]


@pytest.mark.parametrize("suffix", CONTENT)
def test_the_hash_of_one_file_is_that_of_its_bytes(suffix, good, tmp_path):
    path = tmp_path / f"case{suffix}"
    path.write_bytes(good[suffix])
    assert Source(path).files == (path,)
    assert Source(path).sha256() == hashlib.sha256(good[suffix]).hexdigest()


@pytest.mark.parametrize("suffix", [".nhdr", ".mhd"])
def test_the_hash_of_a_detached_header_includes_its_data_file(suffix, pair, voxels):
    source = Source(pair(suffix))
    assert [path.name for path in source.files] == [f"case{suffix}", "case.raw"]
    before = source.sha256()
    assert before == source.sha256()
    changed = bytearray(voxels.tobytes("F"))
    changed[7] ^= 1
    pair(suffix, bytes(changed))
    assert source.sha256() != before


def test_a_source_that_cannot_be_read_has_no_hash(tmp_path, refused, pair):
    with refused("no such file"):
        Source(tmp_path / "case.nii").sha256()
    pair(".mhd").with_name("case.raw").unlink()
    with refused("no such file"):
        Source(tmp_path / "case.mhd").sha256()


def test_a_source_is_called_after_its_file_or_folder(tmp_path):
    assert Source(tmp_path / "scan 1.nii.gz").name == "scan_1"
    assert Source(tmp_path / "scan 1.nii.gz", frame=4).name == "scan_1-004"
    series = Source(tmp_path / "study.2019" / "IM 1.dcm", kind="series")
    assert series.name == "study.2019-IM_1"


def test_a_folder_and_a_frame_that_a_file_does_not_have_are_refused(tmp_path, good, refused):
    (tmp_path / "case.nii").write_bytes(good[".nii"])
    with refused("folder"):
        load_volume(Source(tmp_path))
    with refused("frame"):
        load_volume(Source(tmp_path / "case.nii", frame=1))
    alone = load_volume(Source(tmp_path / "case.nii", frame=0))
    np.testing.assert_array_equal(alone.array, load_volume(tmp_path / "case.nii").array)


def test_a_source_is_loaded_like_its_path(tmp_path, good):
    path = tmp_path / "case.nrrd"
    path.write_bytes(good[".nrrd"])
    np.testing.assert_array_equal(load_volume(Source(path)).array, load_volume(path).array)
    assert load_grid(Source(path)) == load_grid(path)
    assert load_volume(Source(path)).name == "case"


def test_the_volumes_of_a_folder_are_found_by_content_or_suffix(tmp_path, good, pair):
    pair(".mhd")
    (tmp_path / "b.nii.gz").write_bytes(good[".nii.gz"])
    (tmp_path / "a").write_bytes(good[".nrrd"])
    (tmp_path / "damaged.nii").write_bytes(b"cut")
    (tmp_path / "empty.vol").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("NRRD is a format")
    (tmp_path / "._b.nii.gz").write_bytes(good[".nii.gz"])
    (tmp_path / ".hidden.nii").write_bytes(good[".nii"])
    (tmp_path / "folder.nii").mkdir()
    found = [source.path.name for source in find_sources(tmp_path)]
    assert found == ["a", "b.nii.gz", "case.mhd", "damaged.nii", "empty.vol"]


@pytest.fixture
def secret(tmp_path, craft):
    """Another valid volume, of zeros, that must never be read in place of the checked one."""
    (tmp_path / "secret").write_bytes(craft.nifti())
    return tmp_path / "secret"


@pytest.mark.parametrize("how", ["link", "file", "folder", "nothing", "fifo"])
def test_the_file_that_was_checked_is_read_whatever_takes_its_name(
    how, good, voxels, secret, tmp_path
):
    path = tmp_path / "case.nii"
    path.write_bytes(good[".nii"])
    source = Source(path)
    with open_source(source) as opened:
        path.unlink()
        if how == "link":
            path.symlink_to(secret)
        elif how == "file":
            path.write_bytes(secret.read_bytes())
        elif how == "folder":
            path.mkdir()
        elif how == "fifo":
            os.mkfifo(path)
        loaded = volume_of(source, opened)
        assert opened.sha256() == hashlib.sha256(good[".nii"]).hexdigest()
        np.testing.assert_array_equal(volume_of(source, opened).array, loaded.array)
    np.testing.assert_array_equal(loaded.array, voxels)


@pytest.mark.parametrize("suffix", [".nhdr", ".mhd"])
def test_the_data_file_that_was_checked_is_read(suffix, pair, voxels, secret):
    path = pair(suffix)
    data = path.with_name("case.raw")
    with open_source(Source(path)) as opened:
        data.unlink()
        data.symlink_to(secret)
        loaded = volume_of(Source(path), opened)
    np.testing.assert_array_equal(loaded.array, voxels)
    with pytest.raises(UnreadableFile, match="a link"):
        load_volume(path, limits=ReadLimits(follow_links=True))


def test_hash_and_voxels_can_be_asked_for_in_any_order(tmp_path, craft):
    voxels = np.random.default_rng(0).integers(0, 256, 64**3, dtype=np.uint8)
    content = craft.nifti(dim=(3, 64, 64, 64, 1, 1, 1, 1), voxels=voxels.tobytes())
    source = Source(tmp_path / "case.nii")
    source.path.write_bytes(content)
    with open_source(source) as opened:
        for _ in range(2):
            assert opened.sha256() == hashlib.sha256(content).hexdigest()
            np.testing.assert_array_equal(volume_of(source, opened).array.ravel("F"), voxels)


def test_a_link_that_takes_the_name_before_the_file_is_opened_is_refused(
    good, secret, tmp_path, monkeypatch, refused
):
    path = tmp_path / "case.nii"
    path.write_bytes(good[".nii"])
    real = os.open

    def exchange_and_open(name, *arguments, **keywords):
        if name == path:
            path.unlink()
            path.symlink_to(secret)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(os, "open", exchange_and_open)
    with refused("link"):
        load_volume(path)


def test_a_pipe_that_takes_the_name_before_the_file_is_opened_is_refused(
    good, tmp_path, monkeypatch, refused
):
    path = tmp_path / "case.nii"
    path.write_bytes(good[".nii"])
    real = os.open

    def exchange_and_open(name, *arguments, **keywords):
        if name == path:
            path.unlink()
            os.mkfifo(path)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(os, "open", exchange_and_open)
    with refused("pipe"):
        load_volume(path)

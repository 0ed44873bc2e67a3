"""Small files that would become gigabytes, and files that take too long."""

from __future__ import annotations

import bz2
import json
import subprocess
import sys

import numpy as np
import pytest

from fetusmap.geometry import Grid
from fetusmap.io import ReadLimits, load_volume, save_volume
from fetusmap.volume import Volume

GB = 1000**3
BOMB = 11 * GB // 10
"""Bytes to which the bombs expand: more than the memory that the reader is allowed below."""

READ_ALL = """
import json, resource, sys, time
from pathlib import Path
from fetusmap.errors import UnreadableFile
from fetusmap.io import load_volume

messages, seconds = {}, {}
for path in map(Path, sys.argv[1:]):
    start = time.monotonic()
    try:
        load_volume(path)
    except UnreadableFile as error:
        messages[path.name] = str(error)
    seconds[path.name] = time.monotonic() - start
status = Path("/proc/self/status")
if status.exists():  # ru_maxrss would count the memory of whoever started this program
    own = next(int(line.split()[1]) for line in status.open() if line.startswith("VmHWM"))
else:
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
peaks = [own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]
print(json.dumps({"messages": messages, "seconds": seconds, "peaks": peaks}))
"""


@pytest.fixture(scope="module")
def bombs(craft, tmp_path_factory):
    """Small files that would expand to more than 1 GB, by their headers or after their voxels."""
    folder = tmp_path_factory.mktemp("bombs")
    huge = (3, 1290, 1290, 1290, 1, 1, 1, 1)  # 2.1 GB
    large = (3, 480, 480, 480, 1, 1, 1, 1)  # 111 MB: not too many voxels, but packed too well
    small = bytes(45 << 20)
    contents = {
        "claims.nii.gz": craft.gzip_with_zeros(craft.nifti(dim=huge, voxels=b""), BOMB),
        "dense.nii.gz": craft.gzip_with_zeros(craft.nifti(dim=large, voxels=b""), 110_592_000),
        "tail.nii.gz": craft.gzip_with_zeros(craft.nifti(), BOMB),
        "comment.nii.gz": craft.gzip_with_zeros(craft.nifti(vox_offset=1e6, voxels=b""), BOMB),
        "tail.nrrd": craft.nrrd({"encoding": "gzip"}, craft.gzip_with_zeros(b"", BOMB)),
        "tail-bzip2.nrrd": craft.nrrd({"encoding": "bzip2"}, bz2.compress(small) * 24),
        "dense.nrrd": craft.nrrd(
            {"encoding": "gzip", "sizes": "480 480 480"}, craft.gzip_with_zeros(b"", 110_592_000)
        ),
        "dense-tail.nrrd": craft.nrrd(
            {"encoding": "gzip", "sizes": "480 480 480"}, craft.gzip_with_zeros(b"", BOMB)
        ),
        "tail.mha": craft.metaimage(
            {"CompressedData": "True"}, craft.gzip_with_zeros(b"", BOMB, "zlib")
        ),
        "dense.mha": craft.metaimage(
            {"CompressedData": "True", "DimSize": "480 480 480"},
            craft.gzip_with_zeros(b"", 110_592_000, "zlib"),
        ),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


BOMBS = {
    "claims.nii.gz": "2146689000 voxels",
    "dense.nii.gz": "follow the voxels",
    "tail.nii.gz": "follow the voxels",
    "comment.nii.gz": "follow the voxels",
    "tail.nrrd": "follow the voxels",
    "tail-bzip2.nrrd": "follow the voxels",
    "dense.nrrd": "follow the voxels",
    "dense-tail.nrrd": "follow the voxels",
    "tail.mha": "follow the voxels",
    "dense.mha": "follow the voxels",
}


@pytest.fixture(scope="module")
def outcome(bombs):
    """What reading all bombs in one process gives: messages and seconds by file, peak memory."""
    paths = [str(bombs / name) for name in BOMBS]
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, *paths], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(("name", "word"), BOMBS.items())
def test_a_bomb_does_not_go_off(name, word, bombs, outcome):
    assert (bombs / name).stat().st_size < 4_000_000
    assert word in outcome["messages"][name]
    assert outcome["messages"][name].isprintable()
    assert outcome["seconds"][name] < 5


def test_bombs_take_less_than_a_gigabyte(outcome):
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in kB but for macOS
    # A child's peak counts from the fork, so that it is the reader's own or more.
    for peak in outcome["peaks"]:
        assert 10_000_000 < peak * unit < GB


def test_decoding_that_takes_too_long_is_stopped_and_says_so(tmp_path, refused):
    shape = (200, 200, 200)
    volume = Volume(np.zeros(shape, np.uint8), Grid.from_spacing(shape))
    save_volume(volume, tmp_path / "case.nii.gz")
    with refused("0.01 s", within_s=2.0):
        load_volume(tmp_path / "case.nii.gz", limits=ReadLimits(timeout_s=0.01))
    assert load_volume(tmp_path / "case.nii.gz").array.shape == shape

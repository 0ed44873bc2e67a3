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


@pytest.fixture(scope="module")
def bombs(craft, tmp_path_factory):
    """Small files that would expand to more than 2 GB: by their headers, or behind them."""
    folder = tmp_path_factory.mktemp("bombs")
    huge = (3, 1290, 1290, 1290, 1, 1, 1, 1)  # 2.1 GB
    large = (3, 600, 600, 600, 1, 1, 1, 1)  # 216 MB: not too many voxels, but packed too well
    small = bytes(45 << 20)
    contents = {
        "claims.nii.gz": craft.gzip_with_zeros(craft.nifti(dim=huge, voxels=b""), 2 * GB),
        "dense.nii.gz": craft.gzip_with_zeros(craft.nifti(dim=large, voxels=b""), 216_000_000),
        "tail.nii.gz": craft.gzip_with_zeros(craft.nifti(), 2 * GB),
        "comment.nii.gz": craft.gzip_with_zeros(craft.nifti(vox_offset=1e6, voxels=b""), 2 * GB),
        "tail.nrrd": craft.nrrd({"encoding": "gzip"}, craft.gzip_with_zeros(b"", 2 * GB)),
        "tail-bzip2.nrrd": craft.nrrd({"encoding": "bzip2"}, bz2.compress(small) * 45),
        "dense.nrrd": craft.nrrd(
            {"encoding": "gzip", "sizes": "600 600 600"}, craft.gzip_with_zeros(b"", 216_000_000)
        ),
        "dense-tail.nrrd": craft.nrrd(
            {"encoding": "gzip", "sizes": "600 600 600"}, craft.gzip_with_zeros(b"", 2 * GB)
        ),
        "tail.mha": craft.metaimage(
            {"CompressedData": "True"}, craft.gzip_with_zeros(b"", 2 * GB, "zlib")
        ),
        "dense.mha": craft.metaimage(
            {"CompressedData": "True", "DimSize": "600 600 600"},
            craft.gzip_with_zeros(b"", 216_000_000, "zlib"),
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


@pytest.mark.parametrize(("name", "word"), BOMBS.items())
def test_a_bomb_does_not_go_off(name, word, bombs, refused):
    assert (bombs / name).stat().st_size < 4_000_000
    with refused(word):
        load_volume(bombs / name)


def test_bombs_take_less_than_a_gigabyte(bombs):
    script = """
import json, resource, sys
from pathlib import Path
from fetusmap.errors import UnreadableFile
from fetusmap.io import load_volume

refused = 0
for path in map(Path, sys.argv[1:]):
    try:
        load_volume(path)
    except UnreadableFile:
        refused += 1
status = Path("/proc/self/status")
if status.exists():  # ru_maxrss would count the memory of whoever started this program
    own = next(int(line.split()[1]) for line in status.open() if line.startswith("VmHWM"))
else:
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
peaks = [own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]
print(json.dumps({"refused": refused, "peaks": peaks}))
"""
    paths = [str(bombs / name) for name in BOMBS]
    done = subprocess.run(
        [sys.executable, "-c", script, *paths], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    assert told["refused"] == len(BOMBS)
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in kB but for macOS
    # A child's peak counts from the fork, so that it is the reader's own or more.
    for peak in told["peaks"]:
        assert 10_000_000 < peak * unit < GB


def test_decoding_that_takes_too_long_is_stopped_and_says_so(tmp_path, refused):
    shape = (256, 256, 256)
    volume = Volume(np.zeros(shape, np.uint8), Grid.from_spacing(shape))
    save_volume(volume, tmp_path / "case.nii.gz")
    with refused("0.01 s", within_s=2.0):
        load_volume(tmp_path / "case.nii.gz", limits=ReadLimits(timeout_s=0.01))
    assert load_volume(tmp_path / "case.nii.gz").array.shape == shape

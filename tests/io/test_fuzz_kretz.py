"""GE Kretz files changed at random: read as something sensible, or refused in one line."""

import random
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fetusmap.errors import UnreadableFile
from fetusmap.io import ReadLimits, load_volume
from fetusmap.io.volumes.kretz import header_from_kretz, parse_kretz
from fetusmap.io.volumes.swept import converted_grid

SHAPE = (16, 17, 18)
MAX_VOXELS = 2**21
LIMITS = ReadLimits(max_voxels=MAX_VOXELS, timeout_s=5)
SLOW_INPUTS = 100_000
NASTY = [0.0, -0.0, -1.0, 1e-300, 1e300, -1e300, float("nan"), float("inf"), 1e-3, 90.0, 3.2]


def whole(voxels=None, sequence=b""):
    """A good file, and the places where its items begin."""
    theta, phi = (np.pi / 2 + np.radians(np.linspace(-30, 30, n)) for n in SHAPE[1:])
    items = [
        (0xC000, 1, struct.pack("<H", SHAPE[0])),
        (0xC000, 2, struct.pack("<H", SHAPE[1])),
        (0xC000, 3, struct.pack("<H", SHAPE[2])),
        (0xC100, 1, struct.pack("<d", 2e-3)),
        (0xC200, 1, struct.pack("<d", 20.0)),
        (0xC200, 2, struct.pack("<d", -6.0)),
        (0xC300, 1, phi.tobytes()),
        (0xC300, 2, theta.tobytes()),
        (0x0010, 0x22, struct.pack("<d", 5e-4)),
        (0xD000, 1, voxels or bytes(int(np.prod(SHAPE)))),
        *([(0xD600, 1, sequence)] if sequence else []),
        (0xFFFF, 0xFFFF, b""),
    ]
    content, starts = b"KRETZFILE 1.0   ", []
    for group, element, value in items:
        starts.append(len(content))
        content += struct.pack("<HHI", group, element, len(value)) + value
    return content, starts


GOOD, STARTS = whole()


def check_parsed(content):
    """Parsing ends in a geometry that makes sense, or in one line; in nothing else."""
    grid, complaint = None, ""
    try:
        kretz = parse_kretz(content, "case")
        header = header_from_kretz(kretz, Path("case.vol"))
        grid, _ = converted_grid(header, Path("case.vol"), LIMITS)
    except UnreadableFile as error:
        complaint = str(error)
    assert complaint.isprintable()
    if grid is None:
        assert complaint
        return False
    i, j, k = kretz.shape
    assert kretz.voxel_offset + kretz.frames * i * j * k <= len(content)
    assert grid.voxel_count <= MAX_VOXELS
    assert np.isfinite(grid.affine).all()
    if kretz.lattice is not None:
        for angles in (kretz.lattice.thetas_rad, kretz.lattice.phis_rad):
            assert np.isfinite(angles).all()
            assert all(a <= b for a, b in pairwise(angles))
            assert angles[-1] == pytest.approx(-angles[0])
    return True


def check_loaded(content, path):
    """As `check_parsed`, for the whole way from the file to the voxels."""
    path.write_bytes(content)
    volume, complaint = None, ""
    try:
        volume = load_volume(path, limits=LIMITS)
    except UnreadableFile as error:
        complaint = str(error)
    assert complaint.isprintable()
    if volume is None:
        assert complaint
        return
    assert min(volume.array.shape) >= 16
    assert volume.array.size <= MAX_VOXELS
    assert np.isfinite(volume.grid.affine).all()


def mutated(rng: random.Random) -> bytes:
    """The good file with a few changes, mostly in its header."""
    content = bytearray(GOOD)
    header = STARTS[9] + 8
    for _ in range(rng.randint(1, 4)):
        what, place = rng.randrange(7), rng.randrange(16, min(header, len(content)))
        start = rng.choice(STARTS)
        if what == 0:
            content[place] ^= 1 << rng.randrange(8)
        elif what == 1:
            content[place:place] = rng.randbytes(rng.randint(1, 9))
        elif what == 2:
            del content[place : place + rng.randint(1, 40)]
        elif what == 3 and start + 8 <= len(content):
            content[start + 4 : start + 8] = struct.pack("<I", rng.choice([0, 1, 8, 2**32 - 1]))
        elif what == 4 and start + 16 <= len(content):
            content[start + 8 : start + 16] = struct.pack("<d", rng.choice(NASTY))
        elif what == 5:
            del content[rng.randrange(16, len(content)) :]
        elif what == 6 and start + 10 <= len(content):
            content[start + 8 : start + 10] = struct.pack("<H", rng.choice([0, 1, 16, 255, 65535]))
        if len(content) < 20:
            break
    return bytes(content)


def test_the_good_file_is_read(tmp_path):
    assert check_parsed(GOOD)
    check_loaded(GOOD, tmp_path / "case.vol")


@settings(deadline=None, max_examples=300)
@given(seed=st.integers(0, 2**32))
@example(seed=0)
def test_a_changed_file_is_parsed_or_refused(seed):
    check_parsed(mutated(random.Random(seed)))  # noqa: S311 - not for secrets


@settings(deadline=None, max_examples=200)
@given(tail=st.binary(max_size=200))
def test_any_items_after_the_magic_word_are_refused_or_make_sense(tail):
    check_parsed(b"KRETZFILE 1.0   " + tail)
    check_parsed(GOOD[: STARTS[6]] + tail)


@pytest.mark.timeout(60)
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_a_changed_file_is_loaded_or_refused(seed, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "case.vol"
    check_loaded(mutated(random.Random(seed)), path)  # noqa: S311 - not for secrets


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_a_hundred_thousand_changed_files(tmp_path):
    """Each is parsed, every five hundredth also takes the whole way."""
    read = 0
    for seed in range(SLOW_INPUTS):
        content = mutated(random.Random(seed))  # noqa: S311 - not for secrets
        read += check_parsed(content)
        if seed % 500 == 0:
            check_loaded(content, tmp_path / "case.vol")
    assert 0.02 * SLOW_INPUTS < read < 0.98 * SLOW_INPUTS

"""Pose library files read back within their rounding, and broken ones are refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save, save_file

import fetusmap as fm
from fetusmap.anatomy import plain_from_skeleton, skeleton_from_plain
from fetusmap.errors import UnreadableFile

KEY = "fetusmap-library"
SKELETON = fm.load_skeleton()


def noisy_library(count: int = 40, sd_mm: float = 5.0, seed: int = 0) -> fm.PoseLibrary:
    """Noisy example poses anywhere in the room; some landmarks, and one atlas, are absent."""
    rng = np.random.default_rng(seed)
    points = fm.reference_pose(60.0).positions_mm + rng.normal(0, sd_mm, (count, 16, 3))
    points += rng.uniform(-200, 200, (count, 1, 3))
    points[rng.random((count, 16)) < 0.1] = np.nan
    points[count // 2] = np.nan
    groups = tuple(f"subject-{number // 3}" for number in range(count))
    return fm.PoseLibrary(SKELETON, points, {"seed": seed, "why": "tests"}, groups)


def error_mm(first: fm.PoseLibrary, second: fm.PoseLibrary) -> float:
    assert np.array_equal(np.isnan(first.positions_mm), np.isnan(second.positions_mm))
    return float(np.nanmax(np.abs(first.positions_mm.astype(float) - second.positions_mm)))


def test_reads_back_within_five_micrometres(tmp_path: Path) -> None:
    library = noisy_library()
    fm.save_library(library, tmp_path / "poses.safetensors")
    again = fm.load_library(tmp_path / "poses.safetensors")
    assert 0.004 < error_mm(library, again) < 0.0051
    assert again.skeleton == SKELETON
    assert again.groups == library.groups
    assert again.made_by == {"seed": 0, "why": "tests"}


@given(st.lists(st.from_type(fm.Pose), min_size=1, max_size=4), st.booleans())
def test_any_poses_read_back_and_are_written_again_as_they_were(
    poses: list[fm.Pose], grouped: bool
) -> None:
    library = fm.PoseLibrary.from_poses(poses, [f"g{len(poses)}"] * len(poses) * grouped)
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "1.safetensors"), Path(folder, "2.safetensors")
        fm.save_library(library, first)
        again = fm.load_library(first)
        fm.save_library(again, second)
        assert first.read_bytes() == second.read_bytes()
    assert again.groups == library.groups
    step = np.spacing(np.float32(200))
    assert np.allclose(
        library.positions_mm, again.positions_mm, rtol=0, atol=0.005 + step, equal_nan=True
    )


def test_what_is_in_the_file_can_be_reckoned_by_hand(tmp_path: Path) -> None:
    positions = np.full((1, 16, 3), np.nan)
    positions[0, 2], positions[0, 7] = (-1.0, 2.0, 100.004), (3.0, 2.0, 50.0)
    fm.save_library(fm.PoseLibrary(SKELETON, positions, groups=("a",)), tmp_path / "l.safetensors")
    with safe_open(tmp_path / "l.safetensors", framework="numpy") as file:
        assert file.get_tensor("origins").tolist() == [[100, 200, 7500]]
        packed = file.get_tensor("positions")
        assert packed.dtype == np.int16
        assert packed[0, 2].tolist() == [-200, 0, 2500]
        assert packed[0, 7].tolist() == [200, 0, -2500]
        assert (packed[0, [0, 1, 3, 15]] == -32768).all()
        assert file.get_tensor("groups").tolist() == [0]
        assert list(file.metadata()) == [KEY]
        assert json.loads(file.metadata()[KEY]) == {
            "format": KEY,
            "version": 1,
            "skeleton": plain_from_skeleton(SKELETON),
            "unit_mm": 0.01,
            "made_by": {},
            "groups": ["a"],
        }


@pytest.mark.parametrize(
    ("span_mm", "unit_mm"), [(655, 0.01), (656, 0.02), (1300, 0.02), (1400, 0.05), (2e6, 50)]
)
def test_the_finest_unit_that_fits_is_taken(tmp_path: Path, span_mm: float, unit_mm: float) -> None:
    points = np.zeros((2, 16, 3))
    points[0, 0, 1], points[0, 1, 1] = -span_mm / 2, span_mm / 2
    points[1] = np.random.default_rng(0).uniform(-50, 50, (16, 3))
    library = fm.PoseLibrary(SKELETON, points)
    fm.save_library(library, tmp_path / "wide.safetensors")
    again = fm.load_library(tmp_path / "wide.safetensors")
    assert error_mm(library, again) <= unit_mm / 2 + 1e-4
    steps = again.positions_mm.astype(float) / unit_mm
    assert np.allclose(steps, np.rint(steps), atol=1e-2)


def test_twenty_thousand_poses_are_small_and_quick(tmp_path: Path) -> None:
    library = noisy_library(20_000)
    start = time.perf_counter()
    fm.save_library(library, tmp_path / "many.safetensors")
    assert error_mm(library, fm.load_library(tmp_path / "many.safetensors")) < 0.0051
    assert time.perf_counter() - start < 5
    assert (tmp_path / "many.safetensors").stat().st_size < 120 * 20_000


def test_other_processes_write_the_same_bytes(tmp_path: Path) -> None:
    code = """
import sys
import fetusmap as fm
poses = [fm.reference_pose(40.0 + n) for n in range(3)]
made_by = {"a": 1, "b": [2, 3], "c": {"d": None}}
fm.save_library(fm.PoseLibrary.from_poses(poses, ("x", "y", "x"), made_by), sys.argv[1])
"""
    paths = [tmp_path / f"{number}.safetensors" for number in range(3)]
    for path in paths:
        subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert len({path.read_bytes() for path in paths}) == 1


def test_own_skeletons_travel_inside_the_file(tmp_path: Path) -> None:
    plain = {**plain_from_skeleton(SKELETON), "registration_subset": [], "description": "ours"}
    plain["landmarks"] = [*plain["landmarks"], {"name": "nose", "reference_position": [0, 0, 1]}]
    own = skeleton_from_plain(plain)
    path = tmp_path / "own.safetensors"
    fm.save_library(fm.PoseLibrary(own, np.ones((2, 17, 3))), path)
    assert fm.load_library(path).skeleton == own
    assert fm.load_library(path).skeleton.description == "ours"
    assert len(fm.load_library(path, own)) == 2


def test_a_library_of_another_skeleton_is_refused(tmp_path: Path, refused: Callable) -> None:
    pair = {
        "format": "fetusmap-skeleton",
        "version": 1,
        "name": "pair",
        "landmarks": [{"name": "l"}, {"name": "r"}],
    }
    path = tmp_path / "l.safetensors"
    fm.save_library(noisy_library(), path)
    with refused("a pose library of pair, found one of fetus-16", error=fm.BadInput):
        fm.load_library(path, skeleton_from_plain(pair))
    with refused("found another skeleton of this name", error=fm.BadInput):
        fm.load_library(path, skeleton_from_plain({**pair, "name": "fetus-16"}))


def test_a_library_of_22_landmarks_serves_the_16(tmp_path: Path, refused: Callable) -> None:
    more = fm.load_skeleton("fetus-22")
    library = fm.PoseLibrary.from_poses([fm.reference_pose(60.0, more)])
    fm.save_library(library, tmp_path / "22.safetensors")
    found = fm.load_library(tmp_path / "22.safetensors", fm.load_skeleton())
    assert found.skeleton == fm.load_skeleton()
    assert error_mm(library.on(found.skeleton), found) < 0.0051
    fm.save_library(found, tmp_path / "16.safetensors")
    with refused("a pose library of fetus-22, found one of fetus-16", error=fm.BadInput):
        fm.load_library(tmp_path / "16.safetensors", more)


def test_an_existing_file_stays_without_overwrite(tmp_path: Path, refused: Callable) -> None:
    path = tmp_path / "l.safetensors"
    fm.save_library(noisy_library(seed=1), path)
    with refused("a new file", "--overwrite", error=fm.BadInput):
        fm.save_library(noisy_library(), path)
    assert fm.load_library(path).made_by["seed"] == 1
    fm.save_library(noisy_library(), path, overwrite=True)
    assert fm.load_library(path).made_by["seed"] == 0


@pytest.mark.parametrize("name", ["poses.npz", "poses", ".safetensors", "poses.json"])
def test_another_suffix_is_not_written(tmp_path: Path, refused: Callable, name: str) -> None:
    with refused("the suffix .safetensors", error=fm.BadInput):
        fm.save_library(noisy_library(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_could_not_be_read_back_is_not_written(tmp_path: Path, refused: Callable) -> None:
    for made_by in ({"log": "x" * 9_000_000}, {"what": {1, 2}}, {"nan": float("nan")}):
        library = fm.PoseLibrary(SKELETON, np.ones((1, 16, 3)), made_by)
        with refused("l.safetensors", error=fm.BadInput):
            fm.save_library(library, tmp_path / "l.safetensors")
    assert not list(tmp_path.iterdir())


POSITIONS = np.zeros((2, 16, 3), np.int16)
ORIGINS = np.zeros((2, 3), np.int32)
HALF_ABSENT = POSITIONS.copy()
HALF_ABSENT[1, 2, 0] = -32768
TENSORS = {"positions": POSITIONS, "origins": ORIGINS}
DOCUMENT = {"format": KEY, "version": 1, "skeleton": "fetus-16", "unit_mm": 0.01}
GROUPED = {**DOCUMENT, "groups": ["a", "b"]}


def write_raw(path: Path, tensors: dict[str, Any], document: Any) -> Path:
    save_file(tensors, path, {KEY: document if isinstance(document, str) else json.dumps(document)})
    return path


def test_the_least_that_can_be_read(tmp_path: Path) -> None:
    library = fm.load_library(write_raw(tmp_path / "l.safetensors", TENSORS, DOCUMENT))
    assert len(library) == 2
    assert (library.groups, dict(library.made_by)) == ((), {})


@pytest.mark.parametrize(
    ("tensors", "word"),
    [
        ({"positions": POSITIONS}, "found 'origins' nothing"),
        ({"origins": ORIGINS}, "found 'positions' nothing"),
        ({}, "nothing"),
        ({**TENSORS, "more": ORIGINS}, "found 'more' I32 (2, 3)"),
        ({**TENSORS, "positions": POSITIONS.astype(np.int32)}, "found 'positions' I32"),
        ({**TENSORS, "positions": POSITIONS[:, :15].copy()}, "found 'positions' I16 (2, 15, 3)"),
        ({**TENSORS, "positions": POSITIONS[0]}, "found 'positions' I16 (16, 3)"),
        ({**TENSORS, "positions": np.array(3, np.int16)}, "found 'positions' I16 ()"),
        ({**TENSORS, "origins": ORIGINS[:1]}, "found 'origins' I32 (1, 3)"),
        ({**TENSORS, "origins": ORIGINS.astype(np.float32)}, "found 'origins' F32"),
        ({**TENSORS, "groups": np.zeros(2, np.int32)}, "found 'groups' I32 (2,)"),
        ({"positions": POSITIONS[:0], "origins": ORIGINS[:0]}, "one atlas or more"),
        ({**TENSORS, "origins": np.full((2, 3), 2**31 - 1, np.int32)}, "coordinates of at most"),
        ({**TENSORS, "positions": HALF_ABSENT}, "half-absent"),
    ],
)
def test_other_tensors_are_refused(
    tmp_path: Path, refused: Callable, tensors: dict[str, Any], word: str
) -> None:
    write_raw(tmp_path / "l.safetensors", tensors, DOCUMENT)
    with refused("l.safetensors", word, error=fm.BadInput):
        fm.load_library(tmp_path / "l.safetensors")


@pytest.mark.parametrize(
    ("groups", "word"),
    [(None, "'groups' nothing"), ([0], "(1,)"), ([0, 2], "without a name"), ([-1, 0], "without")],
)
def test_groups_that_do_not_fit_are_refused(
    tmp_path: Path, refused: Callable, groups: list[int] | None, word: str
) -> None:
    more = {} if groups is None else {"groups": np.array(groups, np.int32)}
    write_raw(tmp_path / "l.safetensors", {**TENSORS, **more}, GROUPED)
    with refused("l.safetensors", word):
        fm.load_library(tmp_path / "l.safetensors")


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ("", "no fetusmap-library in the metadata"),
        ("{", "expected JSON"),
        ("[" * 100_000, "expected JSON"),
        ('{"version": NaN}', "expected JSON"),
        ("[]", "a valid library"),
        ("{}", "a valid library"),
        ({**DOCUMENT, "version": 2}, "version 1 of the format, found version 2; update FetusMap"),
        ({**DOCUMENT, "version": 0}, "version"),
        ({**DOCUMENT, "version": True}, "version"),
        ({**DOCUMENT, "format": "fetusmap-pose"}, "format"),
        ({**DOCUMENT, "extra": 1}, "extra"),
        ({**DOCUMENT, "unit_mm": 0}, "unit_mm"),
        ({**DOCUMENT, "unit_mm": 1e9}, "unit_mm"),
        ({**DOCUMENT, "unit_mm": "0.01"}, "unit_mm"),
        ({**DOCUMENT, "skeleton": "/etc/passwd"}, "a built-in skeleton"),
        ({**DOCUMENT, "skeleton": {"name": "x"}}, "skeleton"),
        ({**DOCUMENT, "groups": [1, 2]}, "groups"),
        ({**DOCUMENT, "made_by": []}, "made_by"),
        ({**DOCUMENT, "made_by": {"note\n\x1b[2J": 1}, "version": 3}, "version 3"),
    ],
)
def test_other_documents_are_refused(
    tmp_path: Path, refused: Callable, document: Any, word: str
) -> None:
    write_raw(tmp_path / "l.safetensors", TENSORS, document)
    with refused("l.safetensors", word, error=fm.BadInput):
        fm.load_library(tmp_path / "l.safetensors")


def test_weights_of_a_network_are_no_library(tmp_path: Path, refused: Callable) -> None:
    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "weights.safetensors")
    with refused("no fetusmap-library in the metadata"):
        fm.load_library(tmp_path / "weights.safetensors")


WHOLE = save(TENSORS, {KEY: json.dumps(DOCUMENT)})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        bytes(8),
        bytes(1000),
        b"\xff" * 1000,
        WHOLE[:8],
        WHOLE[:50],
        WHOLE[:-1],
        WHOLE + b"\0",
        (2**40).to_bytes(8, "little") + WHOLE[8:],
        (9 << 20).to_bytes(8, "little") + bytes(10 << 20),
        WHOLE.replace(b'"I16"', b'"I99"'),
        WHOLE.replace(b"[2,16,3]", b"[2,16,9]"),
        WHOLE.replace(b"[2,16,3]", b"[2,-1,3]"),
        b"\x80\x04\x95 pickled, or so it says",
        b"PK\x03\x04" + bytes(100),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, refused: Callable, content: bytes) -> None:
    (tmp_path / "l.safetensors").write_bytes(content)
    with refused("l.safetensors"):
        fm.load_library(tmp_path / "l.safetensors")


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(1, 255)), min_size=1))
def test_a_file_changed_at_random_is_read_or_refused(changes: list[tuple[int, int]]) -> None:
    content = bytearray(WHOLE)
    for place, flip in changes:
        content[place] ^= flip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "l.safetensors")
        path.write_bytes(content)
        library, complaint = None, ""
        try:
            library = fm.load_library(path)
        except fm.BadInput as error:
            complaint = str(error)
    assert complaint.isprintable()
    assert complaint or library.positions_mm.shape == (2, 16, 3)


def test_what_is_no_file_is_refused(tmp_path: Path, refused: Callable) -> None:
    with refused("a file, found"):
        fm.load_library(tmp_path / "missing.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    with refused("a folder"):
        fm.load_library(tmp_path / "folder.safetensors")


def test_a_file_beyond_the_limit_is_refused_unread(tmp_path: Path, refused: Callable) -> None:
    with (tmp_path / "l.safetensors").open("wb") as file:
        file.write(WHOLE)
        file.truncate(65 << 20)
    with refused("more than 67108864", within_s=1.0):
        fm.load_library(tmp_path / "l.safetensors")


def test_the_errors_are_those_of_files(tmp_path: Path) -> None:
    (tmp_path / "l.safetensors").write_bytes(WHOLE[:50])
    with pytest.raises(UnreadableFile, match="give a file that save_library"):
        fm.load_library(tmp_path / "l.safetensors")

"""`fetusmap library` builds libraries from every kind of source, and shows them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fetusmap as fm
from fetusmap.anatomy import plain_from_skeleton, skeleton_from_plain
from fetusmap.simulate import draw_poses

PAIR = {
    "format": "fetusmap-skeleton",
    "version": 1,
    "name": "pair",
    "landmarks": [{"name": "l"}, {"name": "r"}],
    "mirror_pairs": [["l", "r"]],
    "segments": [{"name": "across", "start": "l", "end": "r"}],
}


@pytest.fixture
def dataset(tmp_path: Path, volume: Path) -> Path:
    """Four cases of two subjects in two splits."""
    folder = tmp_path / "dataset"
    read = fm.load_volume(volume)
    with fm.DatasetWriter(
        folder, name="four", licence="CC0-1.0", skeleton=fm.load_skeleton()
    ) as writer:
        for number in range(4):
            case = fm.Volume(read.array, read.grid, name=f"case-{number}")
            writer.add(case, fm.reference_pose(50.0 + number), subject=f"s{number // 2}")
        writer.splits = {"train": ("case-0", "case-1"), "test": ("case-2", "case-3")}
    return folder


@pytest.fixture
def poses(tmp_path: Path) -> Path:
    """A folder of two pose files."""
    folder = tmp_path / "poses"
    folder.mkdir()
    for number, name in enumerate(("a.json", "b.mrk.json")):
        fm.save_pose(fm.reference_pose(60.0 + number), folder / name)
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out.safetensors"


def sizes(library: fm.PoseLibrary) -> list[float]:
    """Crown-rump lengths that the example poses were made with."""
    return [round(fm.crown_rump_length(pose).length_mm, 2) for pose in library]


def test_a_dataset(fetusmap: Callable, dataset: Path, target: Path) -> None:
    outcome = fetusmap("library", "build", dataset, "-o", target)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"{target}: 4 poses, 0 left out\n"
    library = fm.load_library(target)
    assert library.groups == ("s0", "s0", "s1", "s1")
    made_by = library.made_by
    assert made_by["fetusmap"] == fm.__version__
    assert made_by["joined"][0]["dataset"] == "four"


def test_a_dataset_keeps_its_own_skeleton(
    fetusmap: Callable, volume: Path, tmp_path: Path, target: Path
) -> None:
    pair = skeleton_from_plain(PAIR)
    read = fm.load_volume(volume)
    with fm.DatasetWriter(tmp_path / "d", name="pairs", licence="CC0-1.0", skeleton=pair) as writer:
        for number in range(2):
            case = fm.Volume(read.array, read.grid, name=f"case-{number}")
            writer.add(case, fm.Pose(pair, np.array([[0.0, 1.0, 2.0], [9.0, number, 2.0]])))
    assert fetusmap("library", "build", tmp_path / "d", "--mirror", "-o", target).code == 0
    library = fm.load_library(target)
    assert library.skeleton == pair
    assert library.positions_mm.shape == (4, 2, 3)
    outcome = fetusmap(
        "library", "build", tmp_path / "d", "--simulate", 2, "-o", target, "--overwrite"
    )
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1


def test_one_split(fetusmap: Callable, dataset: Path, target: Path) -> None:
    assert fetusmap("library", "build", dataset, "--split", "test", "-o", target).code == 0
    assert fm.load_library(target).groups == ("s1", "s1")
    outcome = fetusmap("library", "build", dataset, "--split", "none", "-o", target)
    assert outcome.code == 2
    assert "a split 'none'" in outcome.err


def test_all_kinds_of_sources_in_their_order(
    fetusmap: Callable, dataset: Path, poses: Path, pose: Path, tmp_path: Path, target: Path
) -> None:
    more = tmp_path / "more.safetensors"
    fm.save_library(fm.PoseLibrary.from_poses([fm.reference_pose(80.0)]), more)
    words = ["library", "build", poses, more, dataset, pose, "--simulate", "3", "--seed", "5"]
    outcome = fetusmap(*words, "-o", target)
    assert (outcome.code, outcome.err) == (0, "")
    library = fm.load_library(target)
    assert len(library) == 2 + 1 + 4 + 1 + 3
    first = library.select(range(8))
    assert sizes(first) == pytest.approx([60, 61, 80, 50, 51, 52, 53, 60], abs=0.05)
    assert first.groups[:4] == ("poses/a", "poses/b", "", "s0")
    assert first.groups[7] == f"{tmp_path.name}/pose"
    drawn = draw_poses(3, seed=5).on(fm.load_skeleton())
    assert np.allclose(library.positions_mm[8:], drawn.positions_mm, atol=0.0051)


def test_simulated_poses_alone(fetusmap: Callable, target: Path, tmp_path: Path) -> None:
    words = ["library", "build", "--simulate", "20", "--seed", "1", "--weeks", "11", "12"]
    assert fetusmap(*words, "-o", target).code == 0
    assert fetusmap(*words, "-o", tmp_path / "again.safetensors").code == 0
    assert target.read_bytes() == (tmp_path / "again.safetensors").read_bytes()
    expected = draw_poses(20, seed=1, weeks=(11.0, 12.0))
    assert np.allclose(fm.load_library(target).positions_mm, expected.positions_mm, atol=0.0051)


def test_simulated_poses_have_the_skeleton_that_is_named(fetusmap: Callable, target: Path) -> None:
    words = ("library", "build", "--simulate", 2, "-o", target)
    assert fetusmap(*words).code == 0
    assert fm.load_library(target).skeleton.name == "fetus-22"
    assert fetusmap(*words, "--skeleton", "fetus-16", "--overwrite").code == 0
    drawn = draw_poses(2, seed=0).on(fm.load_skeleton())
    library = fm.load_library(target)
    assert library.skeleton == drawn.skeleton
    assert np.allclose(library.positions_mm, drawn.positions_mm, atol=0.0051)
    assert "fetus-16 (16 landmarks)" in fetusmap("library", "show", target).out


def test_mirror_images(fetusmap: Callable, dataset: Path, target: Path) -> None:
    assert fetusmap("library", "build", dataset, "--mirror", "-o", target).code == 0
    library = fm.load_library(target)
    assert library.groups == ("s0", "s0", "s1", "s1") * 2
    assert library.made_by["mirrored"] is True
    assert library.select(range(4, 8)).lengths_mm()["left_leg"] == pytest.approx(
        library.select(range(4)).lengths_mm()["right_leg"], abs=0.02
    )


def test_what_cannot_be_read_is_named_and_left_out(
    fetusmap: Callable, dataset: Path, poses: Path, tmp_path: Path, target: Path, volume: Path
) -> None:
    (poses / "broken.json").write_text("{")
    (tmp_path / "empty").mkdir()
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"nothing")
    sources = [poses, tmp_path / "missing", dataset, tmp_path / "empty", damaged, volume]
    outcome = fetusmap("library", "build", *sources, "-o", target)
    assert outcome.code == 1
    assert outcome.out == f"{target}: 6 poses, 5 left out\n"
    assert len(fm.load_library(target)) == 6
    lines = outcome.err.splitlines()
    names = ("broken.json", "missing", "empty", "damaged.safetensors", "case.nii.gz")
    assert len(lines) == len(names)
    for line, name in zip(lines, names, strict=True):
        assert line.startswith("warning: left out: ")
        assert name in line


def test_nothing_usable_is_2_and_writes_nothing(
    fetusmap: Callable, tmp_path: Path, target: Path
) -> None:
    outcome = fetusmap("library", "build", tmp_path / "a.json", tmp_path / "b", "-o", target)
    assert outcome.code == 2
    assert outcome.err.count("warning: left out") == 2
    assert "at least one pose that can be read" in outcome.err
    assert not target.exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "expected a SOURCE or --simulate N, found none"),
        (["--simulate", "2", "--split", "train"], "--split: expected a dataset as SOURCE"),
        (["l.safetensors", "--skeleton", "x.json"], "--skeleton: expected a pose file"),
        (["--simulate", "2", "--skeleton", "x.json"], "x.json"),
        (["pose.json", "--seed", "3"], "--seed: expected --simulate N"),
        (["pose.json", "--weeks", "11", "12"], "--weeks: expected --simulate N"),
        (["--simulate", "2", "--weeks", "30", "40"], "gestational age"),
        (["--simulate", "-1"], "--help"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_2(
    fetusmap: Callable, target: Path, words: list[str], complaint: str
) -> None:
    outcome = fetusmap("library", "build", *words, "-o", target)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert complaint in outcome.err
    assert not target.exists()


def test_an_existing_library_stays_without_overwrite(
    fetusmap: Callable, pose: Path, target: Path
) -> None:
    target.write_text("mine")
    outcome = fetusmap("library", "build", pose, "-o", target)
    assert outcome.code == 2
    assert "--overwrite" in outcome.err
    assert target.read_text() == "mine"
    assert fetusmap("library", "build", pose, "-o", target, "--overwrite").code == 0
    assert len(fm.load_library(target)) == 1


def test_own_skeletons(fetusmap: Callable, tmp_path: Path, pose: Path, target: Path) -> None:
    own = skeleton_from_plain(PAIR)
    (tmp_path / "pair.json").write_text(json.dumps(plain_from_skeleton(own)))
    (tmp_path / "own").mkdir()
    fm.save_pose(fm.Pose(own, [[1.0, 2, 3], [4, 5, 6]]), tmp_path / "own/a.json")
    library = tmp_path / "pairs.safetensors"
    words = ["library", "build", tmp_path / "own", "--skeleton", tmp_path / "pair.json"]
    assert fetusmap(*words, "-o", library).code == 0
    assert fm.load_library(library).skeleton == own
    outcome = fetusmap("library", "build", pose, library, "-o", target)
    assert outcome.code == 1
    assert "expected poses of fetus-16, as in the first source, found poses of pair" in outcome.err


def test_show_tells_and_draws(fetusmap: Callable, dataset: Path, target: Path) -> None:
    fetusmap("library", "build", dataset, "-o", target)
    picture = target.with_suffix(".png")
    outcome = fetusmap("library", "show", target, "-o", picture)
    assert (outcome.code, outcome.err) == (0, "")
    for fact in ("4 poses", "fetus-16 (16 landmarks)", "100.0 %", '"dataset": "four"'):
        assert fact in outcome.out
    lengths = [fm.reference_pose(50.0 + n).lengths_mm()["left_femur"] for n in range(4)]
    row = next(line for line in outcome.out.splitlines() if line.startswith("left_femur"))
    shown = [float(cell) for cell in row.split()[1:]]
    assert shown == pytest.approx(np.percentile(lengths, [5, 50, 95]), abs=0.02)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert outcome.out.splitlines()[-1] == str(picture)


def test_show_refuses_another_format_before_it_reads(fetusmap: Callable, tmp_path: Path) -> None:
    outcome = fetusmap("library", "show", tmp_path / "none.safetensors", "-o", "x.gif")
    assert (outcome.code, outcome.out) == (2, "")
    assert "one of .png, .svg, .pdf" in outcome.err


@pytest.mark.parametrize("words", [("info",), ("library", "show")])
@pytest.mark.parametrize("content", [None, b"", b"nothing like it", bytes(100)])
def test_what_is_no_library_is_one_line_and_2(
    fetusmap: Callable, tmp_path: Path, words: tuple[str, ...], content: bytes | None
) -> None:
    path = tmp_path / "x.safetensors"
    if content is not None:
        path.write_bytes(content)
    outcome = fetusmap(*words, path)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert "x.safetensors: expected a" in outcome.err


def test_info_knows_a_library(fetusmap: Callable, dataset: Path, target: Path) -> None:
    fetusmap("library", "build", dataset, "-o", target)
    outcome = fetusmap("info", target)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == fetusmap("library", "show", target).out
    facts = json.loads(fetusmap("info", target, "--json").out)
    assert facts["pose library"] == "4 poses"
    assert facts["groups"] == "2"
    assert facts["made_by"]["joined"][0]["licence"] == "CC0-1.0"
    assert facts["warnings"] == []
    low, middle, high = facts["lengths_mm"]["right_leg"]
    assert low < middle < high


def test_groups_are_told_apart_from_poses_that_stand_alone(
    fetusmap: Callable, tmp_path: Path, target: Path
) -> None:
    points = np.stack([fm.reference_pose().positions_mm] * 3)
    points[:, 5] = np.nan
    fm.save_library(fm.PoseLibrary(fm.load_skeleton(), points, groups=("a", "", "a")), target)
    outcome = fetusmap("info", target)
    assert "1, and 1 alone" in outcome.out
    assert "93.8 %" in outcome.out
    assert "absent" in outcome.out
    alone = tmp_path / "alone.safetensors"
    fm.save_library(fm.PoseLibrary(fm.load_skeleton(), points), alone)
    assert "not known" in fetusmap("info", alone).out


def test_a_library_is_not_converted(fetusmap: Callable, pose: Path, target: Path) -> None:
    fetusmap("library", "build", pose, "-o", target)
    outcome = fetusmap("convert", target, "x.json")
    assert outcome.code == 2
    assert "found a pose library; see 'fetusmap library --help'" in outcome.err

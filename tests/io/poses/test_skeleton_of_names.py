"""Files without the definition of a skeleton: the built-in one that has their landmarks."""

from pathlib import Path

import pytest

import fetusmap as fm
from fetusmap.anatomy import built_in_skeleton_for
from fetusmap.errors import BadInput
from fetusmap.geometry import Grid
from fetusmap.io.poses.nnlandmark import read_nnlandmark, write_nnlandmark

SIXTEEN, TWENTY_TWO = fm.load_skeleton(), fm.load_skeleton("fetus-22")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("head",), "fetus-16"),
        (SIXTEEN.landmarks, "fetus-16"),
        (("head", "crown"), "fetus-22"),
        (("left_foot",), "fetus-22"),
        ((), "fetus-16"),
        (("tail",), "fetus-16"),
    ],
)
def test_the_smallest_skeleton_with_the_most_of_the_names_is_chosen(names, expected) -> None:
    assert built_in_skeleton_for(names).name == expected


@pytest.mark.parametrize("suffix", [".csv", ".mrk.json"])
@pytest.mark.parametrize("skeleton", [SIXTEEN, TWENTY_TWO])
def test_a_file_of_names_is_read_with_their_skeleton(tmp_path: Path, suffix, skeleton) -> None:
    pose = fm.reference_pose(60.0, skeleton)
    fm.save_pose(pose, tmp_path / f"pose{suffix}")
    assert fm.load_pose(tmp_path / f"pose{suffix}").equals(pose)
    assert fm.load_pose(tmp_path / f"pose{suffix}", TWENTY_TWO).equals(pose.on(TWENTY_TWO))


def test_a_skeleton_that_is_given_must_have_all_names(tmp_path: Path) -> None:
    fm.save_pose(fm.reference_pose(60.0, TWENTY_TWO), tmp_path / "pose.csv")
    with pytest.raises(BadInput, match=r"'crown'.*fetus-16"):
        fm.load_pose(tmp_path / "pose.csv", SIXTEEN)


def test_nnlandmark_files_are_read_with_the_skeleton_of_their_names(tmp_path: Path) -> None:
    grid = Grid.from_spacing((64, 64, 64), (1.0, 1.0, 1.0))
    pose = fm.Pose.from_positions({"crown": (1, 2, 3), "head": (4, 5, 6)})
    write_nnlandmark(pose, tmp_path / "a_landmark.json", grid)
    assert read_nnlandmark(tmp_path / "a_landmark.json", grid).equals(pose)
    assert pose.skeleton == TWENTY_TWO

"""Point lists of 3D Slicer as text, in both versions, and the names that people give to points."""

import json
from pathlib import Path

import numpy as np
import pytest

import fetusmap as fm
from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.io import load_pose

COLUMNS = "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID"
ROWS = (
    "vtkMRMLMarkupsFiducialNode_0,10,20,30,0,0,0,1,1,1,0,head,,vtkMRMLScalarVolumeNode1",
    "vtkMRMLMarkupsFiducialNode_1,-1.5,2.25,3e1,0,0,0,1,1,1,0,left_knee,,",
)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def version(number: str) -> str:
    return f"# Markups fiducial file version = {number}"


@pytest.mark.parametrize(
    ("number", "frame", "sign"),
    [
        ("4.10", "# CoordinateSystem = 0", -1),
        ("4.11", "# CoordinateSystem = LPS", 1),
        ("4.11", "# CoordinateSystem = RAS", -1),
        ("4.11", "# CoordinateSystem = 0", -1),
        ("4.10", "# CoordinateSystem = 1", 1),
        ("4.10", "#", -1),
        ("4.6", "#", -1),
        ("4.11", "#", 1),
        ("5.0", "#", 1),
    ],
)
def test_the_frame_is_that_of_the_file_or_of_its_version(tmp_path, number, frame, sign) -> None:
    pose = load_pose(write(tmp_path / "F.fcsv", version(number), frame, COLUMNS, *ROWS))
    assert pose["head"].position_mm.tolist() == [10 * sign, 20 * sign, 30]
    assert pose["left_knee"].position_mm.tolist() == [-1.5 * sign, 2.25 * sign, 30]
    assert pose.present.sum() == 2


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        (["# CoordinateSystem = IJK", COLUMNS, *ROWS], "the frame IJK"),
        ([COLUMNS, *ROWS], "found neither"),
        ([version("4.11"), "# columns = id,x,y,label", "1,2,3,head"], "no z"),
        ([version("4.11"), COLUMNS, "1,2,here,3,0,0,0,1,1,1,0,head,,"], "three numbers"),
        ([version("4.11"), COLUMNS, "1,2"], "three numbers"),
        ([version("4.11"), COLUMNS], "point list"),
        ([version("4.11"), COLUMNS, ROWS[0].replace("head", "skull")], "'skull'"),
        ([version("4.11"), COLUMNS, ROWS[0], ROWS[0]], "'head' twice"),
        ([version("4.11"), COLUMNS, ROWS[0].replace("10,", "nan,")], "three numbers"),
        (["\0"], "other bytes"),
    ],
)
def test_what_is_no_list_of_landmarks_is_refused(tmp_path, lines, word) -> None:
    with pytest.raises(BadInput, match=word):
        load_pose(write(tmp_path / "F.fcsv", *lines))


def test_a_point_without_a_position_is_absent(tmp_path) -> None:
    rows = [f"{ROWS[0]},0,0", f"{ROWS[1]},2,0"]
    pose = load_pose(write(tmp_path / "F.fcsv", version("4.11"), COLUMNS, *rows))
    assert [mark.name for mark in pose if mark.is_present] == ["left_knee"]


def test_columns_may_have_another_order(tmp_path) -> None:
    lines = ("# columns = label,x,y,z,sel,vis", "head,1,2,3,1,1")
    pose = load_pose(write(tmp_path / "F.fcsv", version("4.11"), *lines))
    assert pose["head"].position_mm.tolist() == [1, 2, 3]


LABELS = ("Left Knee", "left-knee", "LEFT_KNEE", " left_knee ", "LeftKnee", "left.knee")


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("suffix", [".fcsv", ".mrk.json", ".json", ".csv"])
def test_names_that_differ_in_capitals_and_separators_are_understood(
    tmp_path, label, suffix
) -> None:
    path = tmp_path / f"case{suffix}"
    if suffix == ".fcsv":
        write(path, version("4.11"), COLUMNS, ROWS[1].replace("left_knee", label))
    elif suffix == ".csv":
        write(path, "landmark,x_mm,y_mm,z_mm", f"{label},-1.5,2.25,30")
    else:
        points = [{"label": label, "position": [-1.5, 2.25, 30]}]
        path.write_text(json.dumps({"markups": [{"type": "Fiducial", "controlPoints": points}]}))
    pose = load_pose(path)
    assert pose.skeleton.name == "fetus-16"
    assert pose["left_knee"].position_mm.tolist() == [-1.5, 2.25, 30]


def test_a_foot_that_is_typed_with_blanks_chooses_the_larger_skeleton(tmp_path) -> None:
    row = ROWS[1].replace("left_knee", "Left Foot")
    pose = load_pose(write(tmp_path / "F.fcsv", version("4.11"), COLUMNS, row))
    assert (pose.skeleton.name, pose["left_foot"].is_present) == ("fetus-22", True)


@pytest.mark.parametrize("label", ["F-1", "F_1", "F1", "P-12", "MarkupsFiducial-3", "Point 2"])
def test_default_names_are_explained(tmp_path, label) -> None:
    row = ROWS[0].replace("head", label)
    path = write(tmp_path / "F.fcsv", version("4.11"), COLUMNS, row)
    with pytest.raises(BadInput, match=r"3D Slicer gives by itself; .* --landmarks NAME,NAME"):
        load_pose(path)


@pytest.mark.parametrize("suffix", [".fcsv", ".mrk.json"])
def test_the_order_of_the_points_may_name_them(tmp_path, suffix) -> None:
    path = tmp_path / f"F{suffix}"
    if suffix == ".fcsv":
        rows = [ROWS[0].replace("head", "F-1"), ROWS[1].replace("left_knee", "F-2")]
        write(path, version("4.11"), COLUMNS, *rows)
    else:
        places = ([10, 20, 30], [-1.5, 2.25, 30])
        points = [{"label": f"F_{n}", "position": p} for n, p in enumerate(places, 1)]
        path.write_text(json.dumps({"markups": [{"type": "Fiducial", "controlPoints": points}]}))
    pose = load_pose(path, landmarks=("neck", "right ankle"))
    assert pose["neck"].position_mm.tolist() == [10, 20, 30]
    assert pose["right_ankle"].position_mm.tolist() == [-1.5, 2.25, 30]
    with pytest.raises(BadInput, match=r"expected 3 points, .* found 2"):
        load_pose(path, landmarks=("neck", "right_ankle", "head"))


def test_a_file_with_names_of_its_own_takes_no_others(tmp_path) -> None:
    for suffix in (".json", ".csv"):
        fm.save_pose(fm.reference_pose(60.0), tmp_path / f"pose{suffix}")
        with pytest.raises(BadInput, match="leave --landmarks out"):
            load_pose(tmp_path / f"pose{suffix}", landmarks=("head",))


def test_a_file_that_is_too_large_is_refused(tmp_path) -> None:
    with pytest.raises(UnreadableFile, match="a larger file"):
        load_pose(write(tmp_path / "F.fcsv", version("4.11"), "#" * 2**20))


def test_fcsv_gives_what_markups_give(tmp_path) -> None:
    positions = fm.reference_pose(60.0).positions_mm.copy()
    positions[3] = np.nan
    pose = fm.Pose(fm.load_skeleton(), positions, np.linspace(0.1, 1, 16))
    for suffix in (".fcsv", ".mrk.json"):
        fm.save_pose(pose, tmp_path / f"pose{suffix}")
        assert load_pose(tmp_path / f"pose{suffix}").equals(pose)

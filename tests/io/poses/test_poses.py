"""Poses through every format: they come back equal, and left stays left."""

from __future__ import annotations

import csv
import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetusmap.anatomy import Pose, load_skeleton, reference_pose, skeleton_from_plain
from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.files import POSE_SUFFIXES
from fetusmap.io import load_pose, save_pose
from fetusmap.io.poses.nnlandmark import read_nnlandmark, write_nnlandmark


def read_by_name(path: Path) -> dict[str, list[float] | None]:
    """The positions of a file by landmark, read without any code of ours."""
    if path.name.endswith(".csv"):
        with path.open(newline="") as file:
            return {
                row["landmark"]: [float(row[key]) for key in ("x_mm", "y_mm", "z_mm")]
                if row["x_mm"]
                else None
                for row in csv.DictReader(file)
            }
    if path.name.endswith(".fcsv"):
        rows = [row for row in csv.reader(path.read_text().splitlines()) if len(row) > 14]
        return {
            row[11]: [float(cell) for cell in row[1:4]] if row[14] == "2" else None
            for row in rows
            if not row[0].startswith("#")
        }
    data = json.loads(path.read_text())
    if "markups" in data:
        points = data["markups"][0]["controlPoints"]
        return {
            point["label"]: point["position"] if point["positionStatus"] == "defined" else None
            for point in points
        }
    return {entry["name"]: entry["position"] for entry in data["landmarks"]}


@pytest.mark.parametrize("suffix", POSE_SUFFIXES)
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_a_pose_comes_back_equal_and_every_name_keeps_its_point(suffix, data, poses):
    pose = data.draw(poses)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"case{suffix}"
        save_pose(pose, path)
        back = load_pose(path)
        written = read_by_name(path)
    assert back.equals(pose)
    rows = {name: pose.positions_mm[row] for row, name in enumerate(pose.skeleton.landmarks)}
    assert set(written) == set(rows)
    for name, row in rows.items():
        expected = None if math.isnan(row[0]) else row.tolist()
        assert written[name] == expected
        np.testing.assert_array_equal(back[name].position_mm, row)
        assert back[name].confidence == pose[name].confidence


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_a_pose_comes_back_through_voxel_indices(data, poses, grids):
    pose = data.draw(poses.filter(lambda pose: pose.present.any()))
    grid = data.draw(grids)
    # Points that an annotator could have set: inside or near the volume.
    near = grid.center_mm + pose.positions_mm / 1e4 * grid.extent_mm
    pose = Pose(pose.skeleton, near, pose.confidence)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case_landmark.json"
        write_nnlandmark(pose, path, grid)
        back = read_nnlandmark(path, grid)
    np.testing.assert_array_equal(back.present, pose.present)
    for name in np.array(pose.skeleton.landmarks)[pose.present]:
        apart = np.abs(back[name].position_mm - pose[name].position_mm).max()
        assert apart < 1e-9
    # Confidences are not part of that layout.
    np.testing.assert_array_equal(back.confidence, pose.present.astype(float))


@pytest.mark.parametrize("suffix", POSE_SUFFIXES)
def test_left_and_right_are_read_by_name_and_not_by_row(suffix, tmp_path):
    skeleton = load_skeleton()
    points = {name: (10.0 if "left" in name else -10.0, 0.0, 0.0) for name in skeleton.landmarks}
    path = tmp_path / f"case{suffix}"
    save_pose(Pose.from_positions(points), path)
    # The same landmarks in another order are the same pose.
    if suffix == ".csv":
        head, *rows = path.read_text().splitlines()
        path.write_text("\n".join([head, *reversed(rows)]) + "\n")
    elif suffix == ".fcsv":
        *heads, version, frame, columns = reversed(path.read_text().splitlines())
        path.write_text("\n".join([columns, frame, version, *heads]) + "\n")
    else:
        data = json.loads(path.read_text())
        entries = data["landmarks"] if suffix == ".json" else data["markups"][0]["controlPoints"]
        entries.reverse()
        path.write_text(json.dumps(data))
    back = load_pose(path)
    for name in skeleton.landmarks:
        assert back[name].position_mm[0] == (10 if "left" in name else -10)


@pytest.mark.parametrize("suffix", POSE_SUFFIXES)
def test_a_pose_without_any_landmark_comes_back(suffix, tmp_path):
    empty = Pose.from_positions({})
    save_pose(empty, tmp_path / f"case{suffix}")
    back = load_pose(tmp_path / f"case{suffix}")
    assert back.equals(empty)
    assert not back.present.any()


@pytest.mark.parametrize("suffix", POSE_SUFFIXES)
def test_the_extremes_of_numbers_come_back(suffix, tmp_path):
    pose = Pose.from_positions(
        {
            "head": (5e-324, -0.0, 1e6),
            "neck": (1 / 3, -2 / 3, 2**19 + 2**-33),
            "spine": (1e-7, 0, 0),
        }
    )
    confidence = np.where(pose.present, 5e-324, 0)
    pose = Pose(pose.skeleton, pose.positions_mm, confidence)
    save_pose(pose, tmp_path / f"case{suffix}")
    assert load_pose(tmp_path / f"case{suffix}").equals(pose)


@pytest.fixture
def own_skeleton():
    """A skeleton of three landmarks that is not built in."""
    return skeleton_from_plain(
        {
            "format": "fetusmap-skeleton",
            "version": 1,
            "name": "own-3",
            "landmarks": [{"name": "top"}, {"name": "L"}, {"name": "R"}],
            "mirror_pairs": [["L", "R"]],
            "segments": [{"name": "across", "start": "L", "end": "R"}],
        }
    )


@pytest.mark.parametrize("suffix", POSE_SUFFIXES)
def test_only_a_pose_json_is_read_without_its_own_skeleton(suffix, own_skeleton, tmp_path, refused):
    pose = Pose.from_positions({"L": (1, 2, 3), "R": (4, 6, 3)}, own_skeleton)
    path = tmp_path / f"case{suffix}"
    save_pose(pose, path)
    back = load_pose(path, own_skeleton)
    assert back.equals(pose)
    assert back.lengths_mm() == {"across": 5.0}
    if suffix == ".json":
        assert load_pose(path).equals(pose)
    else:
        with refused(error=BadInput):
            load_pose(path)
    save_pose(reference_pose(), path)
    with refused(error=BadInput):
        load_pose(path, own_skeleton)


@pytest.mark.parametrize("name", ["case.txt", "case.nii", "case", ".json", "case.json.bak"])
def test_a_suffix_that_names_no_pose_is_refused(name, tmp_path, refused):
    with refused(".mrk.json", error=BadInput):
        save_pose(reference_pose(), tmp_path / name)
    with refused(".mrk.json"):
        load_pose(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", POSE_SUFFIXES)
def test_an_existing_pose_is_kept_unless_it_may_be_overwritten(suffix, tmp_path, refused):
    path = tmp_path / f"case{suffix}"
    old, new = reference_pose(60), reference_pose(70)
    save_pose(old, str(path), overwrite=False)
    with refused("existing", error=BadInput):
        save_pose(new, path, overwrite=False)
    assert load_pose(str(path)).equals(old)
    save_pose(new, path)
    assert load_pose(path).equals(new)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", POSE_SUFFIXES)
@pytest.mark.parametrize("place", ["missing folder", "a folder"])
def test_a_place_that_cannot_be_written_is_refused(place, suffix, tmp_path, refused):
    path = tmp_path / f"case{suffix}"
    if place == "a folder":
        path.mkdir()
    else:
        path = tmp_path / "missing" / path.name
    with refused("folder", error=BadInput):
        save_pose(reference_pose(), path)


@pytest.mark.parametrize("suffix", POSE_SUFFIXES)
@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "dangling link"])
def test_what_is_no_file_with_content_is_no_pose(kind, suffix, tmp_path, refused):
    path = tmp_path / f"case{suffix}"
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "dangling link":
        path.symlink_to(tmp_path / "nothing")
    with refused():
        load_pose(path)


@pytest.mark.parametrize("suffix", POSE_SUFFIXES)
def test_a_link_to_a_pose_is_followed(suffix, tmp_path):
    save_pose(reference_pose(), tmp_path / f"real{suffix}")
    (tmp_path / f"case{suffix}").symlink_to(f"real{suffix}")
    assert load_pose(tmp_path / f"case{suffix}").equals(reference_pose())


def test_json_is_told_apart_by_its_content(tmp_path):
    pose = reference_pose()
    save_pose(pose, tmp_path / "a.mrk.json")
    save_pose(pose, tmp_path / "b.json")
    (tmp_path / "a.mrk.json").rename(tmp_path / "markups.json")
    (tmp_path / "b.json").rename(tmp_path / "ours.mrk.json")
    assert load_pose(tmp_path / "markups.json").equals(pose)
    assert load_pose(tmp_path / "ours.mrk.json").equals(pose)


def test_voxel_indices_alone_are_no_pose(tmp_path, refused):
    content = {"spacing": 1.0, "landmarks": {"head": [1, 2, 3]}}
    (tmp_path / "case_landmark.json").write_text(json.dumps(content))
    with refused("nnLandmark", "millimetres", error=BadInput):
        load_pose(tmp_path / "case_landmark.json")


@pytest.mark.parametrize("suffix", POSE_SUFFIXES)
@pytest.mark.parametrize(
    "content", [b"\x80\x81\x82", b"\0" * 100, b"[" * 100_000, b"null", b"[]", b'"markups"', b"x"]
)
def test_content_that_is_no_pose_is_refused(content, suffix, tmp_path, refused):
    (tmp_path / f"case{suffix}").write_bytes(content)
    with refused(error=BadInput):
        load_pose(tmp_path / f"case{suffix}")


@pytest.mark.parametrize("suffix", POSE_SUFFIXES)
def test_twenty_megabytes_are_no_pose(suffix, tmp_path, refused):
    with (tmp_path / f"case{suffix}").open("wb") as file:
        file.write(b"[" + b"1," * 10_000_000 + b"1]")
    with refused("at most 8388608 bytes" if suffix == ".csv" else "at most 1048576 bytes"):
        load_pose(tmp_path / f"case{suffix}")


@pytest.mark.parametrize("name", ["zero\0byte.json", "x" * 300 + ".json"], ids=["zero", "long"])
def test_a_path_that_no_file_can_have_is_refused(name, tmp_path, refused):
    with refused():
        load_pose(tmp_path / name)


@settings(deadline=None, max_examples=50)
@given(
    suffix=st.sampled_from(POSE_SUFFIXES),
    place=st.integers(0, 10_000),
    payload=st.binary(min_size=1, max_size=8),
    cut=st.integers(0, 8),
)
def test_a_pose_changed_at_random_is_read_or_refused(suffix, place, payload, cut):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"case{suffix}"
        save_pose(reference_pose(), path)
        content = path.read_bytes()
        at = place % len(content)
        path.write_bytes(content[:at] + payload + content[at + cut :])
        back, complaint = None, ""
        try:
            back = load_pose(path)
        except BadInput as error:
            complaint = str(error)
    if back is None:
        assert complaint.isprintable()
        assert complaint
    else:
        assert back.skeleton == load_skeleton()
        assert ((back.confidence >= 0) & (back.confidence <= 1)).all()
        assert np.isfinite(back.positions_mm[back.present]).all()


def test_a_missing_file_is_unreadable_and_not_merely_bad(tmp_path):
    with pytest.raises(UnreadableFile):
        load_pose(tmp_path / "case.json")


def reviewed_pose() -> Pose:
    """A pose on which a person did everything that a person can do."""
    pose = reference_pose()
    positions = pose.positions_mm.copy()
    positions[[3, 5]] = np.nan
    review = ["machine"] * len(pose.skeleton)
    review[:4] = ["accepted", "moved", "placed", "absent"]
    return Pose(pose.skeleton, positions, 0.5, review=tuple(review))


@pytest.mark.parametrize("suffix", POSE_SUFFIXES)
def test_what_a_person_did_to_each_landmark_comes_back(suffix, tmp_path):
    save_pose(reviewed_pose(), tmp_path / f"case{suffix}")
    back = load_pose(tmp_path / f"case{suffix}")
    assert back.equals(reviewed_pose())
    assert back.review[:5] == ("accepted", "moved", "placed", "absent", "machine")


def test_an_unknown_review_in_a_table_is_refused(tmp_path, refused):
    save_pose(reviewed_pose(), tmp_path / "case.csv")
    text = (tmp_path / "case.csv").read_text().replace("accepted", "believed")
    (tmp_path / "case.csv").write_text(text)
    with refused("'believed'"):
        load_pose(tmp_path / "case.csv")

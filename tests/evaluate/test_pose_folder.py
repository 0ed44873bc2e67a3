"""Poses of a folder by case, in both layouts."""

import numpy as np
import pytest

from fetusmap.anatomy import Pose, Skeleton, reference_pose
from fetusmap.errors import BadInput
from fetusmap.evaluate import find_poses
from fetusmap.io import save_pose, write_landmark_table

NOSE = Skeleton(
    "nose-and-ears", ("nose", "left_ear", "right_ear"), (), (("left_ear", "right_ear"),)
)


@pytest.mark.parametrize("layout", ["{}/pose.json", "{}.json"])
def test_poses_of_a_folder_are_found_by_case(tmp_path, layout):
    poses = {name: reference_pose(40.0 + n) for n, name in enumerate(["case-2", "b.1", "a"])}
    for name, pose in poses.items():
        path = tmp_path / layout.format(name)
        path.parent.mkdir(exist_ok=True)
        save_pose(pose, path)
    found = find_poses(tmp_path)
    assert found.keys() == poses.keys()
    assert all(found[name].equals(pose) for name, pose in poses.items())


def test_what_else_a_prediction_wrote_is_no_pose(tmp_path):
    """Beside the folders of cases, and within them."""
    (tmp_path / "a").mkdir()
    (tmp_path / "empty").mkdir()
    save_pose(reference_pose(50.0), tmp_path / "a" / "pose.json")
    (tmp_path / "a" / "quality.json").write_text("{}")
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "table.csv").write_text("case\n")
    assert [*find_poses(tmp_path)] == ["a"]


def test_poses_of_another_skeleton_are_read_with_it(tmp_path):
    pose = Pose(NOSE, np.arange(9.0).reshape(3, 3))
    save_pose(pose, tmp_path / "a.json")
    assert find_poses(tmp_path, NOSE)["a"].equals(pose)


def test_a_pose_of_another_skeleton_than_the_given_one_keeps_its_own(tmp_path):
    pose = reference_pose(50.0)
    save_pose(pose, tmp_path / "a.json")
    assert find_poses(tmp_path, NOSE)["a"].equals(pose)


def test_both_layouts_in_one_folder_are_taken_together(tmp_path):
    poses = {name: reference_pose(40.0 + n) for n, name in enumerate("abc")}
    (tmp_path / "b").mkdir()
    for path, name in (("a.json", "a"), ("b/pose.json", "b"), ("c.json", "c")):
        save_pose(poses[name], tmp_path / path)
    found = find_poses(tmp_path)
    assert list(found) == ["a", "b", "c"]
    assert all(found[name].equals(pose) for name, pose in poses.items())


def test_a_case_with_a_pose_in_either_layout_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    for path in ("a.json", "a/pose.json", "b.json"):
        save_pose(reference_pose(50.0), tmp_path / path)
    with pytest.raises(BadInput, match=r"found 1 with two, such as a\.json and a/pose\.json"):
        find_poses(tmp_path)


def test_a_file_that_is_no_pose_is_refused_by_name(tmp_path):
    save_pose(reference_pose(50.0), tmp_path / "a.json")
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(BadInput, match=r"b\.json"):
        find_poses(tmp_path)


def test_where_nothing_is_nothing_is_found(tmp_path):
    with pytest.raises(BadInput, match="found none; give the folder"):
        find_poses(tmp_path)
    save_pose(reference_pose(50.0), tmp_path / "a.json")
    for name in ("nowhere", "a.json", "a" * 5000):
        with pytest.raises(BadInput, match="found no folder"):
            find_poses(tmp_path / name)


def test_what_a_killed_process_left_is_no_pose(tmp_path):
    save_pose(reference_pose(60.0), tmp_path / "a.json")
    (tmp_path / ".0123456789abcdef.partial.json").write_text('{"format": "fetus')
    assert list(find_poses(tmp_path)) == ["a"]


def test_pose_files_of_every_format_may_lie_in_one_folder(tmp_path):
    poses = {name: reference_pose(40.0 + n) for n, name in enumerate("abcde")}
    save_pose(poses["a"], tmp_path / "a.json")
    save_pose(poses["b"], tmp_path / "b.mrk.json")
    save_pose(poses["c"], tmp_path / "c.csv")
    write_landmark_table([(name, poses[name]) for name in "de"], tmp_path / "readers.csv")
    (tmp_path / "ages.csv").write_text("case,age\na,90\n")
    found = find_poses(tmp_path)
    assert list(found) == list("abcde")
    assert all(found[name].equals(pose) for name, pose in poses.items())


def test_beside_folders_of_cases_tables_are_not_read(tmp_path):
    (tmp_path / "a").mkdir()
    save_pose(reference_pose(50.0), tmp_path / "a" / "pose.json")
    write_landmark_table([("a", reference_pose(60.0))], tmp_path / "landmarks.csv")
    assert find_poses(tmp_path)["a"].equals(reference_pose(50.0))
    assert find_poses(tmp_path / "landmarks.csv")["a"].equals(reference_pose(60.0))


def test_two_formats_of_one_case_are_refused(tmp_path):
    for name in ("a.json", "a.mrk.json", "b.json"):
        save_pose(reference_pose(50.0), tmp_path / name)
    with pytest.raises(BadInput, match=r"found 1 with two, such as a\.json and a\.mrk\.json"):
        find_poses(tmp_path)


def test_landmarks_that_the_given_skeleton_lacks_are_read_with_another(tmp_path):
    save_pose(reference_pose(50.0), tmp_path / "a.csv")
    save_pose(reference_pose(50.0), tmp_path / "b.mrk.json")
    found = find_poses(tmp_path, NOSE)
    assert found["a"].equals(reference_pose(50.0))
    assert found["b"].equals(reference_pose(50.0))

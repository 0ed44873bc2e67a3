"""Voxel indices of the nnLandmark family, placed by the volume's grid."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fetusmap.anatomy import Pose
from fetusmap.errors import BadInput
from fetusmap.geometry import Grid
from fetusmap.io.poses.nnlandmark import read_nnlandmark, write_nnlandmark


@pytest.fixture
def grid():
    """Voxels of 0.5 x 1 x 2 mm whose first axis runs to the right."""
    return Grid.from_spacing((40, 50, 60), (0.5, 1, 2), (10, 20, 30), np.diag([-1, 1, 1]))


@pytest.fixture
def read(tmp_path, grid):
    """Write data as an annotation and read it with the grid."""

    def read(data):
        path = tmp_path / "case_landmark.json"
        path.write_text(data if isinstance(data, str) else json.dumps(data))
        return read_nnlandmark(path, grid)

    return read


@pytest.mark.parametrize("spacing", [{"spacing": [0.5, 1, 2]}, {}, {"spacing": None}], ids=str)
def test_indices_are_placed_by_the_grid(spacing, read):
    pose = read({**spacing, "landmarks": {"left_knee": [4, 3, 2], "head": [0, 0, 0.5]}})
    # 4 steps of 0.5 mm against the first axis of the world, 3 of 1 mm, 2 of 2 mm.
    assert pose["left_knee"].position_mm.tolist() == [8, 23, 34]
    assert pose["head"].position_mm.tolist() == [10, 20, 31]
    assert pose.present.sum() == 2
    assert pose["head"].confidence == 1


@pytest.mark.parametrize("absent", ["null", "[null, null, null]", "[NaN, NaN, NaN]"])
def test_null_and_nan_mean_that_a_landmark_is_absent(absent, read):
    pose = read(f'{{"landmarks": {{"neck": {absent}, "head": [0, 0, 0.5]}}}}')
    assert pose["head"].position_mm.tolist() == [10, 20, 31]
    assert pose.present.sum() == 1
    assert not pose["neck"].is_present


def test_one_number_stands_for_three_spacings(tmp_path):
    path = tmp_path / "case_landmark.json"
    path.write_text(json.dumps({"spacing": 0.5, "landmarks": {"head": [2, 4, 6]}}))
    pose = read_nnlandmark(path, Grid.from_spacing((20, 20, 20), 0.5))
    assert pose["head"].position_mm.tolist() == [1, 2, 3]


def test_the_file_holds_the_present_landmarks_by_name(tmp_path, grid):
    pose = Pose.from_positions({"left_knee": (8, 23, 34), "head": (10, 20, 31)})
    write_nnlandmark(pose, tmp_path / "a.json", grid)
    data = json.loads((tmp_path / "a.json").read_text())
    assert set(data) == {"spacing", "landmarks"}
    np.testing.assert_allclose(data["spacing"], [0.5, 1, 2], rtol=1e-15)
    assert set(data["landmarks"]) == {"left_knee", "head"}
    np.testing.assert_allclose(data["landmarks"]["left_knee"], [4, 3, 2], atol=1e-12)
    np.testing.assert_allclose(data["landmarks"]["head"], [0, 0, 0.5], atol=1e-12)


def test_a_spacing_that_differs_by_rounding_is_accepted(read):
    pose = read({"spacing": [0.504, 0.995, 2.01], "landmarks": {"head": [0, 0, 0]}})
    assert pose["head"].position_mm.tolist() == [10, 20, 30]


@pytest.mark.parametrize("spacing", [[1, 1, 2], [0.5, 1, 2.1], 1, [2, 1, 0.5], 0, -0.5], ids=str)
def test_a_spacing_that_contradicts_the_volume_is_refused(spacing, read, refused):
    with refused("spacing", "--spacing", error=BadInput):
        read({"spacing": spacing, "landmarks": {"head": [0, 0, 0]}})


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ({"landmarks": {"hand": [0, 0, 0]}}, "hand"),
        ({"landmarks": {}}, "landmarks"),
        ({"spacing": [0.5, 1, 2]}, "landmarks"),
        ({"landmarks": {"head": [0, 0]}}, "head"),
        ({"landmarks": {"head": [0, 0, None]}}, "head"),
        ({"landmarks": {"head": None}}, "expected landmarks, found none"),
        ({"landmarks": [[0, 0, 0]]}, "landmarks"),
        ({"landmarks": {"head": [0, 0, 0]}, "origin": [0, 0, 0]}, "origin"),
        ({"landmarks": {"head": [0, 0, 0]}, "spacing": [1, 2]}, "spacing"),
        ([], "document"),
        ('{"landmarks": {"head": [0, 0, NaN]}}', "head"),
        ('{"landmarks": {"head": [0, 0, 1e999]}}', "head"),
        ('{"landmarks": {"head": [0, 0', "JSON"),
    ],
)
def test_an_annotation_with_one_thing_wrong_is_refused(data, word, read, refused):
    with refused(word, error=BadInput):
        read(data)


def test_a_missing_annotation_is_refused(tmp_path, grid, refused):
    with refused("no such file"):
        read_nnlandmark(tmp_path / "case_landmark.json", grid)


def test_an_existing_annotation_is_kept_unless_it_may_be_overwritten(tmp_path, grid, refused):
    path = tmp_path / "a.json"
    write_nnlandmark(Pose.from_positions({"head": (1, 2, 3)}), path, grid)
    before = path.read_bytes()
    with refused("existing", error=BadInput):
        write_nnlandmark(Pose.from_positions({"neck": (1, 2, 3)}), path, grid, overwrite=False)
    assert path.read_bytes() == before


def test_a_pose_without_landmarks_is_not_written_or_comes_back(tmp_path, grid):
    path = tmp_path / "a.json"
    try:
        write_nnlandmark(Pose.from_positions({}), path, grid)
    except BadInput:
        return
    assert not read_nnlandmark(path, grid).present.any()

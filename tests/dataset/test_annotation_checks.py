"""Doubtful annotations are named when they come in, and right ones are not."""

from pathlib import Path

import numpy as np
import pytest

import fetusmap as fm
from fetusmap.dataset import find_foreign_cases, import_cases
from fetusmap.dataset.annotation_checks import check_annotation, remarks_about

GRID = fm.Grid.centered((120, 120, 120), 1.0, np.zeros(3))


@pytest.fixture(params=["fetus-16", "fetus-22"])
def pose(request: pytest.FixtureRequest) -> fm.Pose:
    return fm.reference_pose(60.0, fm.load_skeleton(request.param))


def doubts_about(pose: fm.Pose, grid: fm.Grid = GRID) -> str:
    return "; ".join(check_annotation(pose, grid, "case a")[1])


def with_landmark(pose: fm.Pose, name: str, place: object) -> fm.Pose:
    positions = pose.positions_mm.copy()
    positions[pose.skeleton.index(name)] = place
    return fm.Pose(pose.skeleton, positions)


def test_a_right_annotation_is_not_doubted(pose: fm.Pose) -> None:
    checked, doubts = check_annotation(pose, GRID, "case a")
    assert (doubts, checked.equals(pose)) == ((), True)
    without = with_landmark(pose, "left_wrist", np.nan)
    assert check_annotation(without, GRID, "case a")[1] == ()


@pytest.mark.parametrize("in_voxels", [True, False])
def test_minus_one_stands_for_an_absent_landmark(pose: fm.Pose, in_voxels: bool) -> None:
    place = GRID.to_world([-1.0, -1.0, -1.0]) if in_voxels else [-1.0, -1.0, -1.0]
    checked, doubts = check_annotation(with_landmark(pose, "left_wrist", place), GRID, "case a")
    assert not checked["left_wrist"].is_present
    assert checked["right_wrist"].is_present
    assert doubts[0] == (
        "left_wrist at (-1, -1, -1), which stands for an absent landmark: taken as absent"
    )


def test_an_annotation_of_placeholders_is_none(pose: fm.Pose) -> None:
    nowhere = fm.Pose(pose.skeleton, np.full_like(pose.positions_mm, -1.0))
    with pytest.raises(fm.BadInput, match=r"case a: expected landmarks, found \(-1, -1, -1\)"):
        check_annotation(nowhere, GRID, "case a")


def test_a_landmark_far_outside_is_named(pose: fm.Pose) -> None:
    nearby, far = GRID.to_world([-8.0, 60, 60]), GRID.to_world([-30.0, 60, 60])
    assert "outside the volume" not in doubts_about(with_landmark(pose, "left_wrist", nearby))
    doubts = doubts_about(with_landmark(pose, "left_wrist", far))
    assert "left_wrist lies more than 10 mm outside the volume" in doubts


def test_an_annotation_that_lies_mostly_outside_is_refused(pose: fm.Pose) -> None:
    far = np.eye(4)
    far[0, 3] = 1000.0
    with pytest.raises(fm.BadInput, match="belong together"):
        check_annotation(pose.transform(far), GRID, "case a")


def test_the_first_voxel_is_doubted(pose: fm.Pose) -> None:
    corner = with_landmark(pose, "left_wrist", GRID.origin_mm)
    assert "left_wrist lies in the first voxel of the volume" in doubts_about(corner)


def test_a_pair_in_one_place_is_named(pose: fm.Pose) -> None:
    same = with_landmark(pose, "left_knee", pose["right_knee"].position_mm)
    assert "right_knee and left_knee lie in one place" in doubts_about(same)


def test_a_limb_that_is_many_times_too_long_is_named(pose: fm.Pose) -> None:
    hip = pose["left_hip"].position_mm
    away = hip + 4 * (pose["left_knee"].position_mm - hip)
    doubts = doubts_about(with_landmark(pose, "left_knee", away))
    assert "left_femur measures 50.1 mm, 2.3 times the longest plausible length" in doubts
    slightly = hip + 1.3 * (pose["left_knee"].position_mm - hip)
    assert doubts_about(with_landmark(pose, "left_knee", slightly)) == ""


def test_what_is_only_unusual_is_no_doubt(pose: fm.Pose) -> None:
    """A body of another age is not left out of a training."""
    grid = fm.Grid.centered((120, 120, 120), 4.0, np.zeros(3))
    large = fm.Pose(pose.skeleton, 4 * pose.positions_mm)
    assert doubts_about(large, grid) == ""
    (remark,) = remarks_about(large, grid)
    assert "check the voxel size of the file (4 x 4 x 4 mm)" in remark
    assert remarks_about(pose, GRID) == ()


def test_exchanged_sides_are_named(pose: fm.Pose) -> None:
    assert "left and right of the whole body are exchanged" in doubts_about(pose.exchange_sides())
    legs = pose.exchange_sides(pose.skeleton.limbs[1].landmarks)
    assert doubts_about(legs) == "left and right leg are exchanged"


def test_a_mirrored_volume_is_named(pose: fm.Pose) -> None:
    """The landmarks are reflected with the voxels, and keep their names."""
    reflected = fm.Pose(pose.skeleton, pose.positions_mm * (-1, 1, 1))
    assert "or the volume is mirrored" in doubts_about(reflected)


def test_sides_that_cannot_be_decided_are_not_doubted(pose: fm.Pose) -> None:
    """Two hips and the trunk lie nearly in a plane: the mirror image is as good."""
    few = {name: pose[name].position_mm for name in ("left_hip", "right_hip", "sacrum", "neck")}
    some = fm.Pose.from_positions(few, pose.skeleton)
    assert "exchanged" not in doubts_about(some.exchange_sides())
    points = np.random.default_rng(0).uniform(-30, 30, pose.positions_mm.shape)
    assert "exchanged" not in doubts_about(fm.Pose(pose.skeleton, points))


def test_doubts_are_kept_in_the_dataset(tmp_path: Path) -> None:
    pose = fm.reference_pose(60.0)
    volume = fm.Volume(np.zeros(GRID.shape, np.uint8), GRID)
    (tmp_path / "in").mkdir()
    for name, annotated in (("good", pose), ("turned", pose.exchange_sides())):
        fm.save_volume(volume, tmp_path / "in" / f"{name}.nrrd")
        fm.save_pose(annotated, tmp_path / "in" / f"{name}.mrk.json")
    with fm.DatasetWriter(
        tmp_path / "d", name="d", licence="none", skeleton=pose.skeleton
    ) as writer:
        list(import_cases(find_foreign_cases(tmp_path / "in"), writer))
    good, turned = fm.load_dataset(tmp_path / "d").cases
    assert good.to_check == ()
    assert "of the whole body are exchanged" in turned.to_check[0]
    assert "to_check" not in turned.facts
    with pytest.raises(fm.BadInput, match="to_check"):
        writer.case("c", facts={"to_check": "no"})

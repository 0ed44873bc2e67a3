"""Other people's layouts become ours with every landmark in its place."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fetusmap as fm
from fetusmap.dataset import export_nnlandmark, find_foreign_cases


def indices_of(pose: fm.Pose, grid: fm.Grid) -> dict[str, list[float]]:
    return {m.name: grid.to_index(m.position_mm).tolist() for m in pose if m.is_present}


@pytest.fixture
def pose() -> fm.Pose:
    """The example pose without one wrist."""
    positions = fm.reference_pose(50.0).positions_mm.copy()
    positions[fm.load_skeleton().index("left_wrist")] = np.nan
    return fm.Pose(fm.load_skeleton(), positions)


def same_place(first: fm.Pose, second: fm.Pose) -> bool:
    return np.allclose(first.positions_mm, second.positions_mm, atol=1e-3, equal_nan=True)


@pytest.mark.parametrize("spacing", [[4.0, 4.5, 3.5], None])
def test_landmark_files_beside_volumes(
    tmp_path: Path, make_volume: Callable[..., fm.Volume], pose: fm.Pose, spacing: object
) -> None:
    volume = make_volume("p01")
    fm.save_volume(volume, tmp_path / "p01.nii.gz")
    plain = {"spacing": spacing, "landmarks": indices_of(pose, volume.grid)}
    (tmp_path / "p01_landmark.json").write_text(json.dumps(plain))
    (case,) = find_foreign_cases(tmp_path)
    read, found = case.load(fm.load_skeleton())
    assert (case.name, read.name) == ("p01", "p01")
    assert np.array_equal(read.array, volume.array)
    assert same_place(found, pose)


def test_the_raw_folder_of_nnlandmark(
    tmp_path: Path, make_volume: Callable[..., fm.Volume], pose: fm.Pose
) -> None:
    table = {}
    for part, name in (("imagesTr", "a"), ("imagesTs", "b")):
        volume = make_volume(name)
        (tmp_path / part).mkdir()
        fm.save_volume(volume, tmp_path / part / f"{name}_0000.nii.gz")
        table[name] = indices_of(pose, volume.grid)
    (tmp_path / "all_landmarks_voxel.json").write_text(json.dumps(table))
    spacings = {"a": {"image_spacing": [4.0, 4.5, 3.5], "annotation_spacing": None}}
    (tmp_path / "spacing.json").write_text(json.dumps(spacings))
    cases = find_foreign_cases(tmp_path)
    assert [case.name for case in cases] == ["a", "b"]
    assert all(same_place(case.load(fm.load_skeleton())[1], pose) for case in cases)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_markups_beside_volumes(
    tmp_path: Path, make_volume: Callable[..., fm.Volume], pose: fm.Pose, suffix: str
) -> None:
    fm.save_volume(make_volume("q"), tmp_path / f"q{suffix}")
    fm.save_pose(pose, tmp_path / "q.mrk.json")
    (case,) = find_foreign_cases(tmp_path)
    assert case.load(fm.load_skeleton())[1].equals(pose)


def test_export_and_import_again(dataset_folder: Path, tmp_path: Path) -> None:
    dataset = fm.load_dataset(dataset_folder)
    (tmp_path / "nn").mkdir()
    assert export_nnlandmark(dataset, tmp_path / "nn") == 5
    for found, case in zip(find_foreign_cases(tmp_path / "nn"), dataset.cases[1:], strict=True):
        assert same_place(found.load(dataset.skeleton)[1], case.load_pose())


def test_a_contradicting_spacing_is_refused(
    tmp_path: Path, make_volume: Callable[..., fm.Volume], pose: fm.Pose
) -> None:
    volume = make_volume("p")
    fm.save_volume(volume, tmp_path / "p.nii.gz")
    plain = {"spacing": 0.5, "landmarks": indices_of(pose, volume.grid)}
    (tmp_path / "p_landmark.json").write_text(json.dumps(plain))
    (case,) = find_foreign_cases(tmp_path)
    with pytest.raises(fm.BadInput, match=r"\[0.5, 0.5, 0.5\] mm in the annotation"):
        case.load(fm.load_skeleton())


def test_landmarks_far_from_their_volume_are_refused(
    tmp_path: Path, make_volume: Callable[..., fm.Volume], pose: fm.Pose
) -> None:
    fm.save_volume(make_volume("q"), tmp_path / "q.nrrd")
    far = np.eye(4)
    far[0, 3] = 1000.0
    fm.save_pose(pose.transform(far), tmp_path / "q.mrk.json")
    (case,) = find_foreign_cases(tmp_path)
    with pytest.raises(fm.BadInput, match="belong together"):
        case.load(fm.load_skeleton())


def test_a_missing_volume_is_named(tmp_path: Path, pose: fm.Pose) -> None:
    fm.save_pose(pose, tmp_path / "q.mrk.json")
    (case,) = find_foreign_cases(tmp_path)
    with pytest.raises(fm.UnreadableFile, match=r"q\.nii\.gz"):
        case.load(fm.load_skeleton())


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(fm.UnreadableFile, match="found none"):
        find_foreign_cases(tmp_path)
    with pytest.raises(fm.UnreadableFile, match="found no folder"):
        find_foreign_cases(tmp_path / "missing")


def test_cases_of_one_name_in_several_folders_are_told_apart(
    tmp_path: Path, make_volume: Callable[..., fm.Volume], pose: fm.Pose
) -> None:
    for subject in ("sub-01", "sub-02"):
        (tmp_path / subject).mkdir()
        fm.save_volume(make_volume("scan"), tmp_path / subject / "scan.nii.gz")
        fm.save_pose(pose, tmp_path / subject / "scan.mrk.json")
    names = [case.name for case in find_foreign_cases(tmp_path)]
    assert names == ["sub-01-scan", "sub-02-scan"]


@pytest.mark.parametrize("stem", ["../outside", "a/b", "..", ""])
def test_a_table_cannot_name_volumes_outside_its_folder(tmp_path: Path, stem: str) -> None:
    (tmp_path / "inner").mkdir()
    path = tmp_path / "inner" / "all_landmarks_voxel.json"
    path.write_text(json.dumps({stem: {"head": [1, 2, 3]}}))
    with pytest.raises(fm.UnreadableFile, match="case names without folders"):
        find_foreign_cases(tmp_path / "inner")


@pytest.mark.parametrize("table", [[], {"a": []}, {"a": {"head": ["1", 2, 3]}}, {"a": {"head": 1}}])
def test_a_table_of_landmarks_that_is_none_is_refused(tmp_path: Path, table: object) -> None:
    (tmp_path / "all_landmarks_voxel.json").write_text(json.dumps(table))
    with pytest.raises(fm.BadInput, match="all_landmarks_voxel"):
        find_foreign_cases(tmp_path)


def test_a_table_of_spacings_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "all_landmarks_voxel.json").write_text('{"a": {"head": [1, 2, 3]}}')
    (tmp_path / "spacing.json").write_text("[]")
    with pytest.raises(fm.BadInput, match=r"spacing\.json"):
        find_foreign_cases(tmp_path)

"""Libraries hold the poses of their datasets and files, and tell what they left out."""

from pathlib import Path

import pytest

import fetusmap as fm
from fetusmap.dataset import find_pose_files, library_from_dataset, library_from_files


def test_the_annotated_cases_of_a_dataset(dataset_folder: Path) -> None:
    library, troubles = library_from_dataset(fm.load_dataset(dataset_folder))
    assert troubles == ()
    assert len(library) == 5
    for number, pose in enumerate(library, start=1):
        expected = fm.reference_pose(40.0 + number)
        assert pose.positions_mm == pytest.approx(expected.positions_mm, abs=1e-4)
    assert library.groups == ("subject-0", "subject-1", "subject-1", "subject-2", "subject-2")
    assert library.made_by == {
        "dataset": "six",
        "licence": "CC0-1.0",
        "split": None,
        "made_by": {"seed": 3},
    }


def test_only_one_split(dataset_folder: Path) -> None:
    dataset = fm.load_dataset(dataset_folder)
    library, _ = library_from_dataset(dataset, "test")
    assert library.groups == ("subject-2",)
    assert library[0].positions_mm == pytest.approx(fm.reference_pose(45.0).positions_mm, abs=1e-4)
    with pytest.raises(fm.UnreadableFile, match="a split 'validation'"):
        library_from_dataset(dataset, "validation")


def test_a_dataset_without_annotations_is_refused(dataset_folder: Path) -> None:
    for path in (dataset_folder / "landmarks").iterdir():
        path.unlink()
    with pytest.raises(fm.UnreadableFile, match="annotated cases, found none in split 'test'"):
        library_from_dataset(fm.load_dataset(dataset_folder), "test")


def test_a_broken_pose_never_stops_the_others(dataset_folder: Path) -> None:
    (dataset_folder / "landmarks/case-2.json").write_text("{")
    library, troubles = library_from_dataset(fm.load_dataset(dataset_folder))
    assert library.groups == ("subject-0", "subject-1", "subject-2", "subject-2")
    assert [trouble.subject for trouble in troubles] == [
        str(dataset_folder / "landmarks/case-2.json")
    ]
    for path in (dataset_folder / "landmarks").iterdir():
        path.write_text("{")
    with pytest.raises(fm.UnreadableFile, match=r"case-1\.json"):
        library_from_dataset(fm.load_dataset(dataset_folder))


def test_the_pose_files_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "poses"
    (folder / "deeper").mkdir(parents=True)
    for name in ("b.json", "a.mrk.json", "c.csv", "deeper/d.json", ".hidden.json"):
        fm.save_pose(fm.reference_pose(50.0), folder / name)
    (folder / "notes.txt").write_text("no pose")
    paths = find_pose_files(folder)
    assert [path.name for path in paths] == ["a.mrk.json", "b.json", "c.csv"]
    library, troubles = library_from_files(paths)
    assert (len(library), troubles) == (3, ())
    assert library.groups == ("poses/a", "poses/b", "poses/c")
    assert library.made_by == {"files": 3}


@pytest.mark.parametrize(("name", "found"), [(".", "found none"), ("missing", "found no folder")])
def test_a_folder_without_poses_is_refused(tmp_path: Path, name: str, found: str) -> None:
    with pytest.raises(fm.UnreadableFile, match=found):
        find_pose_files(tmp_path / name)


def test_files_of_several_skeletons_make_no_library(tmp_path: Path) -> None:
    with pytest.raises(fm.BadInput, match="at least one pose"):
        library_from_files([])
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(fm.BadInput, match=r"bad\.json"):
        library_from_files([tmp_path / "bad.json"])

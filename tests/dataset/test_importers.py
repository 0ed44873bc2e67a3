"""Annotated volumes in other layouts are imported with every landmark in its place."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fetusmap as fm
from fetusmap.dataset import (
    Subject,
    find_foreign_cases,
    import_cases,
    is_dataset,
    landmark_names,
    read_subjects,
)
from fetusmap.io import Conversion


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


@pytest.mark.parametrize("stated", [[0.5, 0.5, 0.5], 0.5])
def test_the_spacing_of_the_annotation_counts_where_that_of_the_image_is_null(
    tmp_path: Path, stated: object
) -> None:
    """The header says 1 mm, the annotation 0.5 mm: the left femur is 12 mm long or refused."""
    (tmp_path / "imagesTr").mkdir()
    grid = fm.Grid.from_spacing((40, 40, 40), 1.0)
    volume = fm.Volume(np.zeros(grid.shape, np.uint8), grid)
    for case in ("a", "b"):
        fm.save_volume(volume, tmp_path / f"imagesTr/{case}_0000.nii.gz")
    marks = {"left_hip": [10, 30, 30], "left_knee": [34, 30, 30]}
    (tmp_path / "all_landmarks_voxel.json").write_text(json.dumps({"a": marks, "b": marks}))
    spacings = {
        "a": {"image_spacing": None, "annotation_spacing": stated},
        "b": {"image_spacing": 1.0, "annotation_spacing": stated},
    }
    (tmp_path / "spacing.json").write_text(json.dumps(spacings))
    first, second = find_foreign_cases(tmp_path)
    with pytest.raises(fm.BadInput, match=r"0\.5.* in the annotation; .* --force-spacing"):
        first.load(fm.load_skeleton())
    half = {"spacing_mm": (0.5, 0.5, 0.5), "conversion": Conversion(force_spacing=True)}
    _, pose = first.load(fm.load_skeleton(), **half)
    assert pose.lengths_mm()["left_femur"] == pytest.approx(12)
    with pytest.raises(fm.BadInput, match=r"image_spacing 1\.0, annotation_spacing .*0\.5"):
        second.load(fm.load_skeleton(), **half)


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


def test_cases_of_one_name_in_several_folders_get_different_names(
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


@pytest.mark.parametrize("table", [[], "a", None])
def test_a_table_of_landmarks_that_is_none_is_refused(tmp_path: Path, table: object) -> None:
    (tmp_path / "all_landmarks_voxel.json").write_text(json.dumps(table))
    with pytest.raises(fm.BadInput, match="all_landmarks_voxel"):
        find_foreign_cases(tmp_path)


def test_a_table_of_spacings_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "all_landmarks_voxel.json").write_text('{"a": {"head": [1, 2, 3]}}')
    (tmp_path / "spacing.json").write_text("[]")
    with pytest.raises(fm.BadInput, match=r"spacing\.json"):
        find_foreign_cases(tmp_path)


@pytest.mark.parametrize("suffix", [".fcsv", ".json"])
def test_points_in_the_other_formats_of_slicer(
    tmp_path: Path, make_volume: Callable[..., fm.Volume], pose: fm.Pose, suffix: str
) -> None:
    fm.save_volume(make_volume("q"), tmp_path / "q.nrrd")
    fm.save_pose(pose, tmp_path / "q.mrk.json" if suffix == ".json" else tmp_path / f"q{suffix}")
    if suffix == ".json":
        (tmp_path / "q.mrk.json").rename(tmp_path / "q.json")
    (tmp_path / "notes.json").write_text('{"by": "me"}')
    (tmp_path / "broken.json").write_text("{")
    (case,) = find_foreign_cases(tmp_path)
    assert case.name == "q"
    assert case.load(fm.load_skeleton())[1].equals(pose)


def test_the_default_file_of_slicer_belongs_to_the_only_volume_of_its_folder(
    tmp_path: Path, make_volume: Callable[..., fm.Volume], pose: fm.Pose
) -> None:
    for patient in ("p1", "p2"):
        (tmp_path / patient).mkdir()
        fm.save_volume(make_volume(patient), tmp_path / patient / f"scan_{patient}.nrrd")
        fm.save_pose(pose, tmp_path / patient / "F.mrk.json")
    cases = find_foreign_cases(tmp_path)
    assert [case.name for case in cases] == ["scan_p1", "scan_p2"]
    fm.save_volume(make_volume("q"), tmp_path / "p1" / "other.nrrd")
    first = find_foreign_cases(tmp_path)[0]
    with pytest.raises(fm.UnreadableFile, match=r"F\.nii\.gz"):
        first.load(fm.load_skeleton())


def test_default_names_are_mapped_by_their_order(
    tmp_path: Path, make_volume: Callable[..., fm.Volume]
) -> None:
    fm.save_volume(make_volume("q"), tmp_path / "q.nrrd")
    points = [{"label": f"F-{n}", "position": [n, 2, 3]} for n in (1, 2)]
    plain = {"markups": [{"type": "Fiducial", "controlPoints": points}]}
    (tmp_path / "q.mrk.json").write_text(json.dumps(plain))
    (case,) = find_foreign_cases(tmp_path, ("left_foot", "head"))
    assert landmark_names([case]) == {"left_foot", "head"}
    _, read = case.load(fm.load_skeleton("fetus-22"))
    assert read["head"].position_mm.tolist() == [2, 2, 3]
    (case,) = find_foreign_cases(tmp_path)
    with pytest.raises(fm.BadInput, match="--landmarks NAME"):
        case.load(fm.load_skeleton())


def test_two_annotations_of_a_volume_are_refused(
    tmp_path: Path, make_volume: Callable[..., fm.Volume], pose: fm.Pose
) -> None:
    fm.save_volume(make_volume("q"), tmp_path / "q.nrrd")
    for suffix in (".mrk.json", ".fcsv"):
        fm.save_pose(pose, tmp_path / f"q{suffix}")
    with pytest.raises(fm.UnreadableFile, match=r"q\.fcsv, q\.mrk\.json, q\.nrrd"):
        find_foreign_cases(tmp_path)


def test_annotations_in_two_layouts_are_refused(tmp_path: Path, pose: fm.Pose) -> None:
    fm.save_pose(pose, tmp_path / "a.mrk.json")
    (tmp_path / "b_landmark.json").write_text('{"landmarks": {"head": [1, 2, 3]}}')
    with pytest.raises(fm.UnreadableFile, match="annotations in one layout"):
        find_foreign_cases(tmp_path)


def test_two_volumes_of_one_name_are_refused(
    tmp_path: Path, make_volume: Callable[..., fm.Volume], pose: fm.Pose
) -> None:
    for suffix in (".nrrd", ".nii.gz"):
        fm.save_volume(make_volume("q"), tmp_path / f"q{suffix}")
    fm.save_pose(pose, tmp_path / "q.mrk.json")
    with pytest.raises(fm.UnreadableFile, match=r"q\.nii\.gz, q\.nrrd"):
        find_foreign_cases(tmp_path)


def test_volumes_are_found_whatever_the_case_of_their_suffix(
    tmp_path: Path, make_volume: Callable[..., fm.Volume], pose: fm.Pose
) -> None:
    fm.save_volume(make_volume("q"), tmp_path / "q.NII.GZ")
    fm.save_pose(pose, tmp_path / "q.mrk.json")
    (case,) = find_foreign_cases(tmp_path)
    assert case.load(fm.load_skeleton())[1].equals(pose)


def test_a_table_of_subjects_finds_cases_by_their_safe_names(tmp_path: Path) -> None:
    path = tmp_path / "subjects.csv"
    path.write_text("case,subject,gestational_age_days\nscan 0,A,80\nscan 1,,\n")
    assert read_subjects(path) == {"scan_0": Subject("A", 80.0), "scan_1": Subject("scan_1")}
    path.write_text("case,subject\nvisit0,P00\nvisit1,P00 \nvisit2,\u00a0P00\n", "utf-8")
    assert {subject.name for subject in read_subjects(path).values()} == {"P00"}
    path.write_text("case,subject\na,Ren\u00e9e  B\nb,Rene\u0301e B\n", "utf-8")
    assert len({subject.name for subject in read_subjects(path).values()}) == 1
    path.write_text("case,subject\nscan 0,A\nscan_0,B\n")
    with pytest.raises(fm.UnreadableFile, match="'scan_0' twice"):
        read_subjects(path)


def test_a_case_without_a_row_in_the_table_is_left_out(
    tmp_path: Path, make_volume: Callable[..., fm.Volume], pose: fm.Pose
) -> None:
    for name in ("a", "b"):
        fm.save_volume(make_volume(name), tmp_path / f"{name}.nrrd")
        fm.save_pose(pose, tmp_path / f"{name}.mrk.json")
    writer = fm.DatasetWriter(tmp_path / "d", name="d", licence="none", skeleton=fm.load_skeleton())
    steps = import_cases(find_foreign_cases(tmp_path), writer, subjects={"a": Subject("A")})
    outcomes = {case.name: outcome for case, outcome in steps}
    assert outcomes["a"].case.to_check == ()
    assert "a row in the table of subjects" in str(outcomes["b"])
    assert [case.subject for case in writer.cases] == ["A"]


@pytest.fixture
def raw_folder(tmp_path: Path, make_volume: Callable[..., fm.Volume], pose: fm.Pose) -> Path:
    """Raw folder of nnLandmark as nnU-Net prescribes it, with nnU-Net's own `dataset.json`."""
    folder = tmp_path / "Dataset901_Fetus"
    (folder / "imagesTr").mkdir(parents=True)
    table = {}
    for name in ("a", "b"):
        volume = make_volume(name)
        fm.save_volume(volume, folder / "imagesTr" / f"{name}_0000.nii.gz")
        table[name] = indices_of(pose, volume.grid)
    (folder / "all_landmarks_voxel.json").write_text(json.dumps(table))
    document = {"channel_names": {"0": "US"}, "labels": {"head": 1}, "numTraining": 2}
    (folder / "dataset.json").write_text(json.dumps(document))
    return folder


def test_the_dataset_json_of_nnu_net_is_no_dataset(raw_folder: Path) -> None:
    assert not is_dataset(raw_folder)
    assert [case.name for case in find_foreign_cases(raw_folder)] == ["a", "b"]
    with pytest.raises(fm.UnreadableFile, match=r"a dataset\.json of another program"):
        fm.load_dataset(raw_folder)
    before = (raw_folder / "dataset.json").read_bytes()
    with pytest.raises(fm.BadInput, match=r"a dataset\.json of another program"):
        fm.DatasetWriter(raw_folder, name="d", licence="none", skeleton=fm.load_skeleton())
    assert (raw_folder / "dataset.json").read_bytes() == before
    assert not (raw_folder / "volumes").exists()


@pytest.mark.parametrize("absent", ["null", "[null, null, null]", "[NaN, NaN, NaN]"])
def test_null_and_nan_in_the_table_mean_that_a_landmark_is_absent(
    raw_folder: Path, pose: fm.Pose, absent: str
) -> None:
    path = raw_folder / "all_landmarks_voxel.json"
    table = json.loads(path.read_text())
    table["a"]["neck"] = None
    path.write_text(json.dumps(table).replace("null", absent))
    first, second = (case.load(fm.load_skeleton())[1] for case in find_foreign_cases(raw_folder))
    assert not first["neck"].is_present
    assert first.present.sum() == pose.present.sum() - 1
    assert same_place(second, pose)


def test_hidden_files_and_folders_are_ignored(
    tmp_path: Path, make_volume: Callable[..., fm.Volume], pose: fm.Pose
) -> None:
    fm.save_volume(make_volume("scan"), tmp_path / "scan.nii.gz")
    fm.save_pose(pose, tmp_path / "scan.mrk.json")
    (tmp_path / ".Trashes").mkdir()
    for name in (
        "._scan.nii.gz",
        "._scan.mrk.json",
        ".Trashes/scan.mrk.json",
        ".Trashes/scan.nrrd",
    ):
        (tmp_path / name).write_bytes(b"\0\5\x16\7Mac OS X")
    assert [case.name for case in find_foreign_cases(tmp_path)] == ["scan"]


def test_blanks_around_a_subject_make_no_other_subject(tmp_path: Path) -> None:
    table = tmp_path / "subjects.csv"
    table.write_text("case,subject,gestational_age_days\nv1,P00,\n v2,P00 ,84\nv3,  , \n")
    subjects = read_subjects(table)
    assert subjects == {"v1": Subject("P00"), "v2": Subject("P00", 84.0), "v3": Subject("v3")}

"""The raw folder of nnLandmark: what is exported can be trained on, and comes back unchanged."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

import fetusmap as fm
from fetusmap.dataset import (
    Subject,
    export_nnlandmark,
    find_foreign_cases,
    import_cases,
    splits_of,
)
from fetusmap.dataset.nnlandmark_folder import label_map

GRID = fm.Grid.centered((60, 64, 68), 1.0, np.zeros(3))
LABELS = {name: label for label, name in enumerate(fm.load_skeleton().landmarks, 1)}


def plain(path: Path) -> dict:
    return json.loads(path.read_text())


@pytest.fixture
def dataset(tmp_path: Path) -> fm.Dataset:
    """Two cases to train on, one of them without a wrist, one of the test split, one bare."""
    without = fm.reference_pose(50.0).positions_mm.copy()
    without[fm.load_skeleton().index("left_wrist")] = np.nan
    poses = {
        "a": fm.reference_pose(50.0),
        "b": fm.Pose(fm.load_skeleton(), without),
        "c": fm.reference_pose(52.0),
        "d": None,
    }
    rng = np.random.default_rng(0)
    with fm.DatasetWriter(tmp_path / "own", name="own", licence="CC0-1.0") as writer:
        for name, pose in poses.items():
            array = rng.integers(0, 255, GRID.shape, np.uint8)
            writer.add(fm.Volume(array, GRID, name=name), pose)
        writer.splits = {"train": ("a", "b"), "test": ("c",)}
    return fm.load_dataset(tmp_path / "own")


@pytest.fixture
def exported(dataset: fm.Dataset, tmp_path: Path) -> Path:
    folder = tmp_path / "Dataset901_Fetus"
    outcomes = [(case.name, error) for case, error in export_nnlandmark(dataset, folder)]
    assert outcomes == [("a", None), ("b", None), ("c", None)]
    return folder


def test_the_files_have_the_names_that_nnlandmark_prescribes(exported: Path) -> None:
    files = sorted(str(p.relative_to(exported)) for p in exported.rglob("*") if p.is_file())
    assert files == [
        "all_landmarks_voxel.json",
        "dataset.json",
        "imagesTr/a_0000.nii.gz",
        "imagesTr/b_0000.nii.gz",
        "imagesTs/c_0000.nii.gz",
        "labelsTr/a.nii.gz",
        "labelsTr/b.nii.gz",
        "name_to_label.json",
        "spacing.json",
    ]
    assert plain(exported / "name_to_label.json") == LABELS
    spacing = {"image_spacing": [1.0, 1.0, 1.0], "annotation_spacing": None}
    assert plain(exported / "spacing.json") == dict.fromkeys("abc", spacing)
    description = plain(exported / "dataset.json")
    assert description["channel_names"] == {"0": "US"}
    assert description["labels"] == {"background": 0, **LABELS}
    assert (description["numTraining"], description["file_ending"]) == (2, ".nii.gz")
    indices = plain(exported / "all_landmarks_voxel.json")
    assert set(indices) == {"a", "b", "c"}
    assert set(LABELS) - set(indices["b"]) == {"left_wrist"}


def test_the_centre_of_each_label_is_its_landmark_for_another_reader(exported: Path) -> None:
    for case in ("a", "b"):
        image = sitk.ReadImage(str(exported / f"imagesTr/{case}_0000.nii.gz"))
        painted = sitk.ReadImage(str(exported / f"labelsTr/{case}.nii.gz"))
        for ask in ("GetSpacing", "GetOrigin", "GetDirection", "GetSize"):
            assert getattr(image, ask)() == getattr(painted, ask)()
        array = sitk.GetArrayFromImage(painted)  # [k, j, i]
        indices = plain(exported / "all_landmarks_voxel.json")[case]
        assert set(np.unique(array)) == {0, *(LABELS[name] for name in indices)}
        for name, index in indices.items():
            voxels = np.argwhere(array == LABELS[name])[:, ::-1]
            assert len(voxels) in (1, 27)
            np.testing.assert_array_equal(voxels.mean(axis=0), np.rint(index))


def test_what_is_exported_comes_back(dataset: fm.Dataset, exported: Path, tmp_path: Path) -> None:
    subjects = {name: Subject(name) for name in "abc"}
    with fm.DatasetWriter(
        tmp_path / "back", name="own", licence="CC0-1.0", skeleton=dataset.skeleton
    ) as writer:
        outcomes = dict(import_cases(find_foreign_cases(exported), writer, subjects=subjects))
        writer.splits = splits_of(outcomes, writer.cases)
    assert all(outcome.warnings == () for outcome in outcomes.values())
    assert fm.load_dataset(tmp_path / "back").splits == dataset.splits
    for case, back in zip(dataset.cases, fm.load_dataset(tmp_path / "back").cases, strict=False):
        before, after = case.load_volume(), back.load_volume()
        np.testing.assert_array_equal(before.array, after.array)
        assert before.grid.is_close(after.grid)
        np.testing.assert_allclose(
            case.load_pose().positions_mm, back.load_pose().positions_mm, atol=1e-9
        )


def test_a_fetus_in_two_splits_of_the_folder_is_refused(exported: Path, tmp_path: Path) -> None:
    with fm.DatasetWriter(
        tmp_path / "back", name="own", licence="CC0-1.0", skeleton=fm.load_skeleton()
    ) as writer:
        subjects = dict.fromkeys("abc", Subject("one"))
        outcomes = dict(import_cases(find_foreign_cases(exported), writer, subjects=subjects))
    with pytest.raises(fm.BadInput, match="'one' in 'train' and 'test'"):
        splits_of(outcomes, writer.cases)
    assert splits_of(outcomes, writer.cases[:2]) == {}


def test_existing_files_stay_and_one_bad_case_does_not_stop_the_others(
    dataset: fm.Dataset, exported: Path
) -> None:
    (exported / "imagesTr/a_0000.nii.gz").unlink()
    (exported / "labelsTr/a.nii.gz").unlink()
    before = (exported / "imagesTr/b_0000.nii.gz").read_bytes()
    dataset.cases[0].landmarks_path.write_text("{}")
    outcomes = dict(export_nnlandmark(dataset, exported, overwrite=True))
    assert [case.name for case, error in outcomes.items() if error] == ["a"]
    assert set(plain(exported / "all_landmarks_voxel.json")) == {"b", "c"}
    assert plain(exported / "dataset.json")["numTraining"] == 1
    assert (exported / "imagesTr/b_0000.nii.gz").read_bytes() == before
    steps = export_nnlandmark(dataset, exported)
    assert "existing" in str(dict(steps_until_error(steps))["b"])


def steps_until_error(steps):
    try:
        yield from ((case.name, error) for case, error in steps)
    except fm.BadInput:  # the tables exist as well
        return


def painted_of(places: dict[str, tuple[float, float, float]]) -> np.ndarray:
    grid = fm.Grid.from_spacing((20, 20, 20), 1.0)
    return label_map(fm.Pose.from_positions(places), grid, LABELS, "case a")


@pytest.mark.parametrize(
    ("places", "voxels"),
    [
        ({"head": (9, 9, 9)}, [27]),
        ({"head": (9.4, 8.6, 9)}, [27]),
        ({"head": (9, 9, 9), "neck": (12, 9, 9)}, [27, 27]),
        ({"head": (9, 9, 9), "neck": (11, 9, 9)}, [1, 1]),
        ({"head": (9, 9, 9), "neck": (10, 10, 10), "sacrum": (5, 9, 9)}, [1, 1, 27]),
        ({"head": (0, 9, 9)}, [1]),
        ({"head": (19, 19, 19)}, [1]),
        ({"head": (9, 9, 9), "neck": (25, 9, 9)}, [27, 0]),
    ],
)
def test_cubes_that_would_meet_are_single_voxels(places, voxels) -> None:
    """A cube cut by another one or by the border would have its centre elsewhere."""
    painted = painted_of(places)
    assert [int((painted == LABELS[name]).sum()) for name in places] == voxels
    for name, count in zip(places, voxels, strict=True):
        if count:
            center = np.argwhere(painted == LABELS[name]).mean(axis=0)
            np.testing.assert_array_equal(center, np.rint(places[name]))


@pytest.mark.parametrize("places", [{"head": (50, 9, 9)}, {"head": (9, 9, 9), "neck": (9.2, 9, 9)}])
def test_what_no_label_map_can_hold_is_refused(places) -> None:
    with pytest.raises(fm.BadInput, match="case a: expected landmarks in the volume"):
        painted_of(places)


@pytest.mark.parametrize(
    ("entry", "is_right"),
    [
        ({"image_spacing": 1.0, "annotation_spacing": None}, True),
        ({"image_spacing": None, "annotation_spacing": [1.0, 1.0, 1.0]}, True),
        ({"image_spacing": [1.0, 1.0, 1.0], "annotation_spacing": [float("nan")] * 3}, True),
        ({"image_spacing": None, "annotation_spacing": None}, True),
        ({"spacing": [1.0, 1.0, 1.0]}, True),
        ([1.0, 1.0, 1.0], True),
        (None, True),
        ({"image_spacing": None, "annotation_spacing": 0.5}, False),
        ({"image_spacing": 1.0, "annotation_spacing": 0.5}, False),
        ([0.5, 0.5, 0.5], False),
        (0.5, False),
    ],
)
def test_every_form_of_a_spacing_is_understood(exported: Path, entry, is_right) -> None:
    (exported / "spacing.json").write_text(json.dumps({"a": entry}))
    case = find_foreign_cases(exported)[0]
    if is_right:
        case.load(fm.load_skeleton())
    else:
        with pytest.raises(fm.BadInput, match=r"0\.5"):
            case.load(fm.load_skeleton())


@pytest.mark.parametrize(
    ("table", "entry"),
    [
        ("all_landmarks_voxel.json", None),
        ("all_landmarks_voxel.json", {"head": [1, 2]}),
        ("all_landmarks_voxel.json", {"head": "here"}),
        ("all_landmarks_voxel.json", [[1, 2, 3]]),
        ("all_landmarks_voxel.json", {"skull": [1, 2, 3]}),
        ("spacing.json", [1.0, 1.0]),
        ("spacing.json", {"image_spacing": "1 mm"}),
    ],
)
def test_a_case_with_a_wrong_entry_is_left_out_and_the_others_stay(
    exported: Path, tmp_path: Path, table: str, entry: object
) -> None:
    content = plain(exported / table)
    content["b"] = entry
    (exported / table).write_text(json.dumps(content))
    with fm.DatasetWriter(
        tmp_path / "back", name="d", licence="none", skeleton=fm.load_skeleton()
    ) as writer:
        outcomes = dict(import_cases(find_foreign_cases(exported), writer))
    assert [case.name for case in writer.cases] == ["a", "c"]
    (error,) = [str(outcome) for outcome in outcomes.values() if isinstance(outcome, fm.BadInput)]
    assert f"{table} case b" in error


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
def test_volumes_of_any_format_are_found(exported: Path, suffix: str) -> None:
    path = exported / "imagesTr/a_0000.nii.gz"
    fm.save_volume(fm.load_volume(path), exported / f"imagesTr/a_0000{suffix}")
    path.unlink()
    assert find_foreign_cases(exported)[0].volume_path.name == f"a_0000{suffix}"

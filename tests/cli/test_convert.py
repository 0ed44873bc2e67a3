"""`fetusmap convert` between volumes, poses, and folders of cases."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fetusmap as fm


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_volumes_keep_voxels_and_place(
    fetusmap: Callable, volume: Path, tmp_path: Path, suffix: str
) -> None:
    target = tmp_path / f"out{suffix}"
    outcome = fetusmap("convert", volume, target)
    assert (outcome.code, outcome.out.strip()) == (0, str(target))
    before, after = fm.load_volume(volume), fm.load_volume(target)
    assert np.array_equal(before.array, after.array)
    assert before.grid.is_close(after.grid, tolerance_mm=1e-3)


@pytest.mark.parametrize("suffix", [".mrk.json", ".csv", ".json"])
def test_poses_keep_every_digit(
    fetusmap: Callable, pose: Path, tmp_path: Path, suffix: str
) -> None:
    assert fetusmap("convert", pose, tmp_path / f"out{suffix}").code == 0
    assert fm.load_pose(tmp_path / f"out{suffix}").equals(fm.load_pose(pose))


def test_a_skeleton_that_is_named_counts_also_if_it_is_fetus_16(
    fetusmap: Callable, pose: Path, tmp_path: Path
) -> None:
    more = fm.Pose.from_positions({"head": (0, 0, 0), "crown": (1, 2, 3)})
    fm.save_pose(more, tmp_path / "in.csv")
    assert fetusmap("convert", tmp_path / "in.csv", tmp_path / "22.json").code == 0
    assert fm.load_pose(tmp_path / "22.json").equals(more)
    words = ("convert", tmp_path / "in.csv", tmp_path / "16.json", "--skeleton", "fetus-16")
    outcome = fetusmap(*words)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "'crown'" in outcome.err
    assert fetusmap("convert", pose, tmp_path / "s.json", "--skeleton", "fetus-16").code == 0
    outcome = fetusmap("convert", tmp_path / "a.nii.gz", tmp_path / "b.nii.gz", *words[3:])
    assert "--skeleton" in outcome.err


def test_a_folder_has_the_skeleton_of_its_landmarks(
    fetusmap: Callable, volume: Path, tmp_path: Path
) -> None:
    (tmp_path / "raw").mkdir()
    read = fm.load_volume(volume)
    names = {"a": {"head": (0, 0, 0)}, "b": {"head": (0, 0, 0), "left_hand": (3, 2, 1)}}
    for case, positions in names.items():
        fm.save_volume(read, tmp_path / "raw" / f"{case}.nii.gz")
        fm.save_pose(fm.Pose.from_positions(positions), tmp_path / "raw" / f"{case}.mrk.json")
    assert fetusmap("convert", tmp_path / "raw", tmp_path / "22").code == 0
    dataset = fm.load_dataset(tmp_path / "22")
    assert dataset.skeleton.name == "fetus-22"
    assert [case.load_pose().present.sum() for case in dataset.cases] == [1, 2]


def test_an_existing_file_stays_without_overwrite(
    fetusmap: Callable, pose: Path, tmp_path: Path
) -> None:
    target = tmp_path / "there.csv"
    target.write_text("mine")
    outcome = fetusmap("convert", pose, target)
    assert outcome.code == 2
    assert "--overwrite" in outcome.err
    assert target.read_text() == "mine"
    assert fetusmap("convert", pose, target, "--overwrite").code == 0
    assert fm.load_pose(target).present.all()


def test_a_volume_is_not_a_pose(fetusmap: Callable, volume: Path, tmp_path: Path) -> None:
    outcome = fetusmap("convert", volume, tmp_path / "pose.json")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1


@pytest.fixture
def annotated(volume: Path, tmp_path: Path) -> Path:
    """A folder of three volumes with Slicer markups, one of them broken."""
    folder = tmp_path / "annotated"
    folder.mkdir()
    read = fm.load_volume(volume)
    for name in ("a", "b", "c"):
        fm.save_volume(read, folder / f"{name}.nrrd")
        fm.save_pose(fm.reference_pose(10.0), folder / f"{name}.mrk.json")
    (folder / "b.nrrd").write_bytes((folder / "b.nrrd").read_bytes()[:400])
    return folder


def test_one_bad_case_never_stops_the_others(
    fetusmap: Callable, annotated: Path, tmp_path: Path
) -> None:
    target = tmp_path / "dataset"
    outcome = fetusmap("convert", annotated, target, "--licence", "CC0-1.0")
    assert outcome.code == 1
    assert "2 cases, 1 failed" in outcome.out
    assert "case b: left out" in outcome.err
    dataset = fm.load_dataset(target)
    assert [case.name for case in dataset.cases] == ["a", "c"]
    assert dataset.cases[0].load_pose().equals(fm.reference_pose(10.0))


def test_subjects_and_splits(fetusmap: Callable, annotated: Path, tmp_path: Path) -> None:
    (annotated / "b.nrrd").unlink()
    (annotated / "b.mrk.json").unlink()
    table = tmp_path / "subjects.csv"
    table.write_text("case,subject,gestational_age_days\na,anna,80\nc,clara,\n")
    words = ["--subjects", table, "--split", "train=0.5", "--split", "test=0.5", "--seed", "4"]
    assert fetusmap("convert", annotated, tmp_path / "d", *words).code == 0
    dataset = fm.load_dataset(tmp_path / "d")
    assert [case.subject for case in dataset.cases] == ["anna", "clara"]
    assert [case.gestational_age_days for case in dataset.cases] == [80.0, None]
    assert sorted(len(cases) for cases in dataset.splits.values()) == [1, 1]
    assert "NAME=PART" in fetusmap("convert", annotated, tmp_path / "e", "--split", "x").err
    unnamed = fetusmap("convert", annotated, tmp_path / "f", *words[2:])
    assert "without a table of subjects each case counts as a fetus of its own" in unnamed.err


def test_doubtful_annotations_are_named_and_imported(
    fetusmap: Callable, annotated: Path, tmp_path: Path
) -> None:
    (annotated / "b.nrrd").unlink()
    (annotated / "b.mrk.json").unlink()
    fm.save_pose(fm.reference_pose(60.0).exchange_sides(), annotated / "a.mrk.json")
    outcome = fetusmap("convert", annotated, tmp_path / "d")
    assert outcome.out.strip().endswith("2 cases, 0 failed, 1 to be checked")
    assert "case a: to be checked: left and right of the whole body are exchanged" in outcome.err
    assert "case c: the body is 10 mm long" in outcome.err
    assert "case a is to be checked: left and right" in fetusmap("info", tmp_path / "d").err


def test_points_with_default_names_are_named_by_their_order(
    fetusmap: Callable, volume: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "placed"
    folder.mkdir()
    fm.save_volume(fm.load_volume(volume), folder / "scan.nrrd")
    lines = ["# Markups fiducial file version = 4.11", "# CoordinateSystem = RAS"]
    lines += ["# columns = id,x,y,z,label", "0,1,2,3,F-1", "1,4,5,6,F-2"]
    (folder / "F.fcsv").write_text("\n".join(lines))
    outcome = fetusmap("convert", folder / "F.fcsv", tmp_path / "pose.json")
    assert outcome.code == 2
    assert "--landmarks NAME,NAME" in outcome.err
    words = ("--landmarks", "head, Left Knee")
    assert fetusmap("convert", folder / "F.fcsv", tmp_path / "pose.json", *words).code == 0
    assert fm.load_pose(tmp_path / "pose.json")["left_knee"].position_mm.tolist() == [-4, -5, 6]
    assert fetusmap("convert", folder, tmp_path / "d", *words).code == 0
    (case,) = fm.load_dataset(tmp_path / "d").cases
    assert case.name == "scan"
    assert case.load_pose()["head"].position_mm.tolist() == [-1, -2, 3]


def test_a_dataset_becomes_nnlandmark_files_and_back(
    fetusmap: Callable, annotated: Path, tmp_path: Path
) -> None:
    fetusmap("convert", annotated, tmp_path / "d")
    outcome = fetusmap("convert", tmp_path / "d", tmp_path / "nn")
    assert outcome.out.strip().endswith("2 cases, 0 failed")
    assert "only by a name like Dataset901_d" in outcome.err
    assert (tmp_path / "nn/labelsTr/a.nii.gz").is_file()
    assert fetusmap("convert", tmp_path / "nn", tmp_path / "again").code == 0
    again = fm.load_dataset(tmp_path / "again")
    assert np.allclose(
        again.cases[0].load_pose().positions_mm,
        fm.reference_pose(10.0).positions_mm,
        atol=1e-3,
    )


def test_a_folder_without_cases_is_one_line(fetusmap: Callable, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    outcome = fetusmap("convert", tmp_path / "empty", tmp_path / "d")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("name", ["scan[left].mha", "a:smile:b.mha", "out[bold].mha", "ä 胎.mha"])
def test_names_are_printed_as_they_are(
    fetusmap: Callable, volume: Path, tmp_path: Path, name: str
) -> None:
    outcome = fetusmap("convert", volume, tmp_path / name)
    assert (outcome.code, outcome.out.strip()) == (0, str(tmp_path / name))


def test_options_that_do_not_apply_are_refused(
    fetusmap: Callable, pose: Path, tmp_path: Path
) -> None:
    outcome = fetusmap("convert", pose, tmp_path / "x.csv", "--split", "train=1")
    assert outcome.code == 2
    assert "options that apply to a pose" in outcome.err
    assert "--split" in outcome.err


def test_a_bad_table_of_subjects_stops_before_anything_is_written(
    fetusmap: Callable, annotated: Path, tmp_path: Path
) -> None:
    (tmp_path / "subjects.csv").write_text("case,subject,gestational_age_days\na,anna,12+3\n")
    words = ["--subjects", tmp_path / "subjects.csv"]
    outcome = fetusmap("convert", annotated, tmp_path / "d", *words)
    assert outcome.code == 2
    assert "the gestational age of 'a' in days, 43 to 330, found '12+3'" in outcome.err
    assert not (tmp_path / "d").exists()


def test_a_full_output_is_one_line(pose: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    program = Path(sys.executable).with_name("fetusmap")
    with full.open("w") as output:
        done = subprocess.run(
            [str(program), "info", str(pose)], stdout=output, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "split", [["train=0.7", "test=0.7"], ["train=nan"], ["=1"], ["a=0.5", "a=0.5"], ["train"]]
)
def test_bad_splits_stop_before_anything_is_written(
    fetusmap: Callable, annotated: Path, tmp_path: Path, split: list[str]
) -> None:
    words = [word for part in split for word in ("--split", part)]
    outcome = fetusmap("convert", annotated, tmp_path / "d", *words)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "d").exists()


def test_a_terminated_command_leaves_no_temporary_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grid = fm.Grid.from_spacing((200, 200, 200), 0.5)
    array = rng.integers(0, 255, grid.shape, dtype=np.uint8)
    fm.save_volume(fm.Volume(array, grid), tmp_path / "large.nii")
    program = Path(sys.executable).with_name("fetusmap")
    words = [str(program), "convert", str(tmp_path / "large.nii"), str(tmp_path / "out.nrrd")]
    with subprocess.Popen(words) as running:
        for _ in range(2000):
            if any(path.name.startswith(".") for path in tmp_path.iterdir()):
                break
            time.sleep(0.005)
        running.terminate()
        code = running.wait()
    if code == 0:
        pytest.skip("this machine wrote the file before it could be stopped")
    assert code == 143
    assert [path.name for path in tmp_path.iterdir()] == ["large.nii"]

"""`convert RESULTS DATASET`: what people accepted becomes a dataset, also from two copies."""

import shutil

import numpy as np
import pytest

from fetusmap.anatomy import Pose, load_skeleton, reference_pose
from fetusmap.cli.main import run
from fetusmap.corrections import (
    CORRECTIONS_FILE,
    accept,
    append_correction,
    corrected_pose,
    mark_absent,
    move,
    new_correction,
    read_log,
)
from fetusmap.dataset import load_dataset
from fetusmap.geometry import Grid
from fetusmap.io import load_pose, save_pose, save_volume
from fetusmap.scale import DoneDocument, write_record
from fetusmap.volume import Volume

GRID = Grid.from_spacing((60, 60, 60), 1.0)
PREDICTION = Pose(
    load_skeleton("fetus-22"),
    reference_pose(40.0, load_skeleton("fetus-22")).positions_mm + 30.0,
    0.5,
)


@pytest.fixture
def results(tmp_path):
    """A folder of results with three cases."""
    array = np.random.default_rng(0).integers(0, 255, (60, 60, 60)).astype(np.uint8)
    root = tmp_path / "results"
    for name in ("one", "two", "three"):
        save_volume(Volume(array, GRID), tmp_path / f"scan of {name}.nii.gz")
        done = DoneDocument(
            source=str(tmp_path / f"scan of {name}.nii.gz"), input_sha256="", settings_sha256="",
            model_sha256="", refine="none", fetusmap="", device="cpu", precision="float32",
        )  # fmt: skip
        (root / name).mkdir(parents=True)
        save_pose(PREDICTION, root / name / "pose.json")
        write_record(root / name, "done.json", done)
    return root


def correct(folder, author, action, states=None):
    """Do something to a case, as the server does it."""
    path = folder / CORRECTIONS_FILE

    def make(log):
        pose = corrected_pose(PREDICTION, log)
        return new_correction(PREDICTION, author, action, states(pose) if states else None)

    append_correction(path, make)


def test_two_corrected_copies_become_one_dataset_with_both_names(results, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(results, copy)
    correct(results / "one", "Anna", "move", lambda pose: move(pose, "head", (1, 2, 3)))
    correct(results / "one", "Anna", "accept_case", accept)
    correct(results / "two", "Anna", "accept_case", accept)
    correct(copy / "one", "Bert", "move", lambda pose: move(pose, "neck", (4, 5, 6)))
    correct(copy / "one", "Bert", "accept_case", accept)
    correct(copy / "three", "Bert", "absent", lambda pose: mark_absent(pose, ["head"]))
    before = (results / "one" / CORRECTIONS_FILE).read_bytes()
    out = tmp_path / "dataset"
    assert run(["convert", str(results), str(out), "--merge", str(copy), "--licence", "ours"]) == 0
    printed = capsys.readouterr()
    assert "2 cases, corrected by Anna, Bert; 0 failed, 1 not accepted yet" in printed.out
    assert "head: Anna and Bert are" in printed.err

    cases = {case.name: case for case in load_dataset(out).cases}
    assert set(cases) == {"one", "two"}
    assert cases["one"].facts["annotators"] == "Anna; Bert"
    assert cases["two"].facts["annotators"] == "Anna"
    pose = cases["one"].load_pose()
    assert pose["neck"].position_mm.tolist() == [4, 5, 6]
    assert pose["head"].position_mm.tolist() == [1, 2, 3]  # Bert accepted another place
    assert pose["neck"].review == "moved"
    assert "machine" not in pose.review
    assert pose.provenance.notes["annotators"] == ["Anna", "Bert"]
    log = read_log(out / "corrections" / "one.jsonl")
    assert {entry.author for entry in log.entries} == {"Anna", "Bert"}
    assert len(log.entries) == 4
    assert corrected_pose(pose, log).equals(pose)
    assert cases["one"].load_volume().array.shape == (60, 60, 60)
    assert (results / "one" / CORRECTIONS_FILE).read_bytes() == before
    assert load_pose(results / "one" / "pose.json").equals(PREDICTION)
    assert run(["convert", str(out), str(tmp_path / "exported")]) == 0
    assert "2 cases say which landmarks a person accepted" in capsys.readouterr().err


def test_a_case_without_its_volume_is_named_and_the_rest_is_done(results, tmp_path, capsys):
    for name in ("one", "two"):
        correct(results / name, "Anna", "accept_case", accept)
    (tmp_path / "scan of one.nii.gz").unlink()
    assert run(["convert", str(results), str(tmp_path / "out")]) == 1
    assert "case one: left out" in capsys.readouterr().err
    assert [case.name for case in load_dataset(tmp_path / "out").cases] == ["two"]


def test_without_an_accepted_case_there_is_no_dataset(results, tmp_path, capsys):
    correct(results / "one", "Anna", "move", lambda pose: move(pose, "head", (1, 2, 3)))
    assert run(["convert", str(results), str(tmp_path / "out")]) == 2
    assert "3 cases and none accepted" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_copy_that_is_none_is_refused(results, tmp_path, capsys):
    correct(results / "one", "Anna", "accept_case", accept)
    (tmp_path / "empty").mkdir()
    words = ["convert", str(results), str(tmp_path / "out"), "--merge", str(tmp_path / "empty")]
    assert run(words) == 2
    assert "expected a folder of results" in capsys.readouterr().err

"""Predictions into folders: what is written, what is resumed, and what one bad case may not do."""

import csv
import json

import matplotlib.image
import numpy as np
import pytest

from fetusmap.errors import BadInput
from fetusmap.io import load_pose, save_volume
from fetusmap.predictions import (
    PredictionSettings,
    VolumeFile,
    find_volumes,
    predict_case,
    predict_cases,
)
from fetusmap.simulate import SimulationSettings, simulate_case

FILES = {"pose.json", "pose.mrk.json", "lengths.csv", "preview.png", "done.json"}
PLAIN = PredictionSettings(previews=False)


@pytest.fixture(scope="module")
def made():
    return simulate_case(SimulationSettings(preset="half", profile="reference"), 11, 0)


@pytest.fixture
def scan(made, tmp_path):
    path = tmp_path / "scans" / "scan.nii.gz"
    path.parent.mkdir()
    save_volume(made.volume, path)
    return path


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_case_becomes_a_folder_with_everything_in_it(scan, made, tmp_path):
    out = tmp_path / "out"
    (result,) = predict_cases(find_volumes([scan]), out, PredictionSettings())
    assert result.error == ""
    assert {path.name for path in (out / "scan").iterdir()} == FILES
    pose = load_pose(out / "scan" / "pose.json")
    assert pose.equals(result.pose)
    assert load_pose(out / "scan" / "pose.mrk.json").present.all()
    errors = np.linalg.norm(pose.positions_mm - made.pose.positions_mm, axis=1)
    assert np.median(errors) < 4
    assert matplotlib.image.imread(out / "scan" / "preview.png").shape[1] > 1000
    (row,) = rows_of(out / "summary.csv")
    assert (row["case"], row["status"], row["file"]) == ("scan", "done", str(scan))
    assert float(row["quality"]) == pose.quality["score"]
    assert pose.provenance["model"] == "default"
    assert pose.provenance["refine"] == "none"


def test_what_is_done_is_not_done_again_unless_something_changed(scan, made, tmp_path):
    out, file = tmp_path / "out", VolumeFile("scan", scan)
    out.mkdir()
    first = predict_case(out, PLAIN, file)
    assert first.seconds is not None
    before = {path.name: path.read_bytes() for path in (out / "scan").iterdir()}
    again = predict_case(out, PLAIN, file)
    assert again.seconds is None
    assert again.pose.equals(first.pose)
    assert {path.name: path.read_bytes() for path in (out / "scan").iterdir()} == before
    assert predict_case(out, PredictionSettings(previews=False, flip_average=False), file).seconds
    assert predict_case(out, PLAIN, file).seconds  # the folder holds the other settings' pose now
    (out / "scan" / "done.json").write_text("{")
    assert predict_case(out, PLAIN, file).seconds
    shifted = made.volume.array.copy()
    shifted[0, 0, 0] ^= 1
    save_volume(type(made.volume)(shifted, made.volume.grid), scan)
    assert predict_case(out, PLAIN, file).seconds


def test_a_broken_case_is_named_and_the_others_are_done(scan, tmp_path):
    broken = scan.parent / "broken.nrrd"
    broken.write_bytes(b"NRRD0004\nnonsense\n")
    out = tmp_path / "out"
    results = list(predict_cases(find_volumes([scan.parent]), out, PLAIN))
    assert [r.case for r in results] == ["broken", "scan"]
    assert results[0].pose is None
    assert "expected" in results[0].error
    assert "\n" not in results[0].error
    assert results[1].pose is not None
    first, second = rows_of(out / "summary.csv")
    assert (first["status"], first["reasons"]) == ("failed", results[0].error)
    assert second["status"] == "done"


def test_two_processes_predict_what_one_does(scan, tmp_path):
    volumes = [VolumeFile("a", scan), VolumeFile("b", scan)]
    alone = list(predict_cases(volumes, tmp_path / "one", PLAIN))
    side_by_side = list(predict_cases(volumes, tmp_path / "two", PLAIN, workers=2))
    assert [r.case for r in side_by_side] == ["a", "b"]
    for one, two in zip(alone, side_by_side, strict=True):
        assert one.pose.equals(two.pose)
    for case in ("a", "b"):
        paths = [tmp_path / folder / case / "pose.json" for folder in ("one", "two")]
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_volumes_are_found_in_folders_tables_and_by_name(tmp_path):
    for name in ("b.nrrd", "a.nii.gz", "notes.txt"):
        (tmp_path / name).touch()
    assert [v.case for v in find_volumes([tmp_path])] == ["a", "b"]
    (tmp_path / "cases.csv").write_text("path,case\nb.nrrd,second one\na.nii.gz,\n")
    found = find_volumes([tmp_path / "cases.csv"])
    assert found == [
        VolumeFile("second_one", tmp_path / "b.nrrd"), VolumeFile("a", tmp_path / "a.nii.gz"),
    ]  # fmt: skip


def test_files_of_one_name_are_told_apart_by_their_folder(tmp_path):
    for folder in ("left", "right"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "scan.nii").touch()
    paths = [tmp_path / "left" / "scan.nii", tmp_path / "right" / "scan.nii"]
    assert [v.case for v in find_volumes(paths)] == ["left-scan", "right-scan"]
    with pytest.raises(BadInput, match="differ in name"):
        find_volumes([paths[0], paths[0]])


def test_a_source_without_volumes_is_an_error(tmp_path):
    with pytest.raises(BadInput, match="expected volumes"):
        find_volumes([tmp_path])


def test_a_model_that_does_not_load_stops_everything(scan, tmp_path):
    settings = PredictionSettings(model=str(tmp_path / "nowhere"))
    with pytest.raises(BadInput, match=r"card\.json"):
        list(predict_cases(find_volumes([scan]), tmp_path / "out", settings))


def test_done_json_says_what_was_predicted(scan, tmp_path):
    list(predict_cases(find_volumes([scan]), tmp_path, PLAIN))
    done = json.loads((tmp_path / "scan" / "done.json").read_text())
    assert done["refine"] == "none"
    assert len(done["file_sha256"]) == len(done["model_sha256"]) == 64

"""Predictions into folders: what is written, what is resumed, and what one bad case may not do."""

import csv
import json

import matplotlib.image
import numpy as np
import pytest
import torch

from fetusmap.anatomy import channel_per_landmark, load_skeleton
from fetusmap.atlas import save_library
from fetusmap.detect import Detector, SinglePass, WholeGrid
from fetusmap.errors import BadInput
from fetusmap.io import load_pose, save_volume
from fetusmap.model import save_model
from fetusmap.network import LandWidths, build_land
from fetusmap.quality import Calibration, Logistic
from fetusmap.scale.prediction import PredictionSettings, predict_case, predict_cases
from fetusmap.scale.sources import VolumeFile, find_volumes
from fetusmap.simulate import SimulationSettings, draw_poses, simulate_case

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
    assert float(row["quality"]) == pose.quality.score
    assert pose.provenance.model == "default"
    assert pose.provenance.refine == "none"


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


# Refinement


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A model of the paper's network, tiny and with fresh weights, and two libraries."""
    torch.manual_seed(0)
    skeleton = load_skeleton()
    network = build_land(LandWidths((8, 8)), own_statistics=True).eval()
    plain = Detector(network, WholeGrid(3.0), channel_per_landmark(skeleton))
    place = tmp_path_factory.mktemp("small")
    flat = Logistic(intercept=0.0, weights=(0.0,) * 4)
    sure = Calibration(landmark=flat, case=flat, fetus=flat, sides=flat, cases=1, empty_cases=1)
    pipeline = SinglePass(skeleton, plain, draw_poses(20, seed=1))
    save_model(pipeline, sure, place / "model", name="small", made_by={}, metrics={})
    for seed in (2, 3):
        save_library(draw_poses(40, seed=seed), place / f"{seed}.safetensors")
    return place


def refined(small, **changed):
    told = {"refine": "fast", "library": str(small / "2.safetensors"), **changed}
    return PredictionSettings(model=str(small / "model"), previews=False, **told)


def test_another_library_or_refinement_is_predicted_anew(scan, small, tmp_path):
    out, file = tmp_path, VolumeFile("scan", scan)
    assert predict_case(out, refined(small), file).seconds
    assert predict_case(out, refined(small), file).seconds is None
    assert predict_case(out, refined(small, library=str(small / "3.safetensors")), file).seconds
    assert predict_case(out, refined(small, refine="paper"), file).seconds
    assert predict_case(out, refined(small, refine="none"), file).seconds
    # What no library had a say in is not done again for another one.
    other = refined(small, refine="none", library=str(small / "3.safetensors"))
    assert predict_case(out, other, file).seconds is None


def test_changes_are_in_the_summary(scan, small, tmp_path):
    (result,) = predict_cases([VolumeFile("scan", scan)], tmp_path, refined(small))
    (row,) = rows_of(tmp_path / "summary.csv")
    assert row["changes"] == "; ".join(result.pose.provenance.changes)
    done = json.loads((tmp_path / "scan" / "done.json").read_text())
    assert done["library_sha256"] == result.pose.provenance.library_sha256
    assert done["refine"] == "fast"


@pytest.mark.parametrize("refine", ["fast", "paper"])
def test_neither_processes_nor_order_change_what_is_refined(scan, made, small, tmp_path, refine):
    shape = np.array(made.volume.grid.shape)
    middle = made.volume.crop(shape // 4, 3 * shape // 4)
    small_scan, flipped = scan.parent / "middle.nii.gz", scan.parent / "flipped.nii.gz"
    save_volume(middle, small_scan)
    save_volume(type(middle)(middle.array[::-1, :, ::-1].copy(), middle.grid), flipped)
    volumes = [VolumeFile("a", small_scan), VolumeFile("b", flipped)]
    settings = refined(small, refine=refine)
    alone = list(predict_cases(volumes, tmp_path / "one", settings))
    assert any(result.pose.provenance.changes for result in alone)
    list(predict_cases(volumes[::-1], tmp_path / "back", settings))
    list(predict_cases(volumes, tmp_path / "two", settings, workers=2))
    for case in ("a", "b"):
        first, *others = [
            (tmp_path / folder / case / "pose.json").read_bytes()
            for folder in ("one", "back", "two")
        ]
        assert others == [first, first]


def test_a_library_that_does_not_load_stops_everything(scan, small, tmp_path):
    settings = refined(small, library=str(tmp_path / "nowhere.safetensors"))
    with pytest.raises(BadInput, match=r"nowhere\.safetensors"):
        list(predict_cases([VolumeFile("scan", scan)], tmp_path / "out", settings))

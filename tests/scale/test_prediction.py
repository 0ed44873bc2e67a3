"""Predictions into folders: what is written, what is resumed, and what one bad case may not do."""

import csv
import json
import os
import shutil

import matplotlib.image
import numpy as np
import pytest
import torch

from fetusmap.errors import BadInput
from fetusmap.files import safe_name
from fetusmap.io import Source, load_pose, save_volume
from fetusmap.model import load_model, save_model
from fetusmap.scale import (
    PredictionSettings,
    VolumeFile,
    assign_folders,
    find_volumes,
    predict_case,
    predict_cases,
)
from fetusmap.simulate import SimulationSettings, simulate_case

FILES = {
    "pose.json", "pose.mrk.json", "lengths.csv", "preview.png", "report.html", "thumbnail.jpg",
    "done.json",
}  # fmt: skip
PLAIN = PredictionSettings(previews=False, pages=False)


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
    page = out / "scan" / "report.html"
    written = page.read_bytes()
    assert written.startswith(b"<!doctype html>")
    page.unlink()  # as in the results of an earlier version
    assert predict_case(out, PredictionSettings(), VolumeFile("scan", scan)).seconds is None
    assert page.read_bytes() == written


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
    assert predict_case(
        out, PredictionSettings(previews=False, pages=False, flip_average=False), file
    ).seconds
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


def test_two_processes_predict_what_one_does(scan, small, tmp_path, monkeypatch):
    """They are started anew, as users' are."""
    monkeypatch.setattr("fetusmap.workers.START_METHOD", "spawn")
    volumes = [VolumeFile("a", scan), VolumeFile("b", scan)]
    settings = refined(small, refine="none", library=None)
    alone = list(predict_cases(volumes, tmp_path / "one", settings))
    side_by_side = list(predict_cases(volumes, tmp_path / "two", settings, workers=2))
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
    assert list(found) == [
        VolumeFile("second_one", tmp_path / "b.nrrd"), VolumeFile("a", tmp_path / "a.nii.gz"),
    ]  # fmt: skip


def test_files_of_one_name_are_told_apart_by_their_folder(tmp_path):
    for folder in ("left", "right"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "scan.nii").touch()
    paths = [tmp_path / "left" / "scan.nii", tmp_path / "right" / "scan.nii"]
    assert [v.case for v in find_volumes(paths)] == ["left-scan", "right-scan"]


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
    assert len(done["input_sha256"]) == len(done["model_sha256"]) == 64
    assert done["source"] == str(scan)


# Refinement


def refined(small, **changed):
    given = {"refine": "fast", "library": str(small / "2.safetensors"), **changed}
    return PredictionSettings(model=str(small / "model"), previews=False, pages=False, **given)


def test_another_library_or_refinement_is_predicted_anew(scan, small, tmp_path):
    out, file = tmp_path, VolumeFile("scan", scan)
    assert predict_case(out, refined(small), file).seconds
    assert predict_case(out, refined(small), file).seconds is None
    assert predict_case(out, refined(small, library=str(small / "3.safetensors")), file).seconds
    assert predict_case(out, refined(small, refine="test-time-training"), file).seconds
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


@pytest.mark.parametrize("refine", ["fast", "test-time-training"])
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


# One output folder for several commands


def test_results_of_another_file_of_the_same_name_are_not_touched(scan, made, small, tmp_path):
    """Two hospitals name their scans alike; a second command must not delete the first's."""
    other = tmp_path / "other" / "scan.nii.gz"
    other.parent.mkdir()
    save_volume(type(made.volume)(made.volume.array[::-1].copy(), made.volume.grid), other)
    out, settings = tmp_path / "out", refined(small, refine="none", library=None)
    names = []
    for path in (scan, other, scan, other):
        volumes, renamed = assign_folders(find_volumes([path]), out, settings.limits)
        names.append(volumes[0].case)
        assert len(renamed) == (path is other)
        list(predict_cases(volumes, out, settings))
    assert names == ["scan", "other-scan", "scan", "other-scan"]
    assert [row["file"] for row in rows_of(out / "summary.csv")] == [str(other), str(scan)]
    poses = [(out / name / "pose.json").read_bytes() for name in ("scan", "other-scan")]
    assert poses[0] != poses[1]


def test_a_file_that_was_moved_keeps_its_folder_and_its_results(scan, small, tmp_path):
    out, settings = tmp_path / "out", refined(small, refine="none", library=None)
    list(predict_cases(find_volumes([scan]), out, settings))
    moved = tmp_path / "elsewhere" / "scan.nii.gz"
    moved.parent.mkdir()
    scan.rename(moved)
    volumes, renamed = assign_folders(find_volumes([moved]), out, settings.limits)
    assert (volumes[0].case, renamed) == ("scan", [])
    (result,) = predict_cases(volumes, out, settings)
    assert result.seconds is None


def test_folders_of_an_earlier_version_belong_to_the_file_with_their_hash(scan, tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    old = {"format": "fetusmap-done", "version": 1, "file_sha256": Source(scan).sha256()}
    for name, record in (("scan", old), ("scans-scan", {**old, "file_sha256": "0" * 64})):
        (folder / "done.json").write_text(json.dumps(record))
        volumes, _ = assign_folders([VolumeFile("scan", scan)], tmp_path, PLAIN.limits)
        assert volumes[0].case == name


def test_the_table_holds_the_cases_of_all_commands(scan, made, small, tmp_path):
    """Also those that failed, and those whose command was killed before it wrote the table."""
    out, settings = tmp_path / "out", refined(small, refine="none", library=None)
    broken = scan.parent / "broken.nrrd"
    broken.write_bytes(b"NRRD0004\nnonsense\n")
    list(predict_cases([VolumeFile("broken", broken)], out, settings))
    predict_case(out, settings, VolumeFile("second", scan))  # without any table
    assert [row["case"] for row in rows_of(out / "summary.csv")] == ["broken"]
    list(predict_cases([VolumeFile("first", scan)], out, settings))
    rows = rows_of(out / "summary.csv")
    assert [row["case"] for row in rows] == ["broken", "first", "second"]
    assert [row["status"] for row in rows] == ["failed", "done", "done"]
    assert rows[1]["quality"] == rows[2]["quality"]
    save_volume(made.volume, scan.parent / "mended.nii.gz")
    list(predict_cases([VolumeFile("broken", scan.parent / "mended.nii.gz")], out, settings))
    assert [row["status"] for row in rows_of(out / "summary.csv")] == ["done"] * 3
    assert not (out / "broken" / "failed.json").exists()


def test_the_table_follows_the_folders_that_a_killed_command_left(scan, small, tmp_path):
    """One case was predicted anew, another was begun, and the command wrote no table."""
    out, settings = tmp_path / "out", refined(small, refine="none", library=None)
    cases = [VolumeFile(name, scan) for name in ("a", "b")]
    list(predict_cases(cases, out, settings))
    table = out / "summary.csv"
    changed = [{**row, "quality": "0.123", "seconds": "77"} for row in rows_of(table)]
    with table.open("w") as file:
        writer = csv.DictWriter(file, changed[0])
        writer.writeheader()
        writer.writerows(changed)
    (out / "b" / "done.json").rename(out / "b" / "started.json")
    list(predict_cases([VolumeFile("c", scan)], out, settings))
    a, b, _ = rows_of(table)
    assert (a["quality"], a["seconds"]) == ("0.123", "77")  # nothing has changed since the table
    assert (b["status"], b["file"]) == ("failed", str(scan))
    assert "interrupted" in b["reasons"]
    later = table.stat().st_mtime + 10
    os.utime(out / "a" / "done.json", (later, later))
    list(predict_cases([VolumeFile("c", scan)], out, settings))
    a, _, c = rows_of(table)
    assert a["quality"] == c["quality"]


def test_warnings_of_the_reader_are_in_the_table(scan, small, tmp_path):
    settings = refined(small, refine="none", library=None, spacing_mm=(1.0, 1.0, 1.0))
    list(predict_cases(find_volumes([scan]), tmp_path / "out", settings))
    (row,) = rows_of(tmp_path / "out" / "summary.csv")
    assert "spacing 1 x 1 x 1 mm given by the caller" in row["warnings"]


def test_a_model_that_was_replaced_is_loaded_anew(scan, small, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(small / "model", folder)
    settings = PredictionSettings(model=str(folder), previews=False, pages=False)
    first = predict_case(tmp_path, settings, VolumeFile("scan", scan))
    pipeline, card = load_model(folder)
    with torch.no_grad():
        pipeline.plain.network.head.bias += 1.0
    save_model(pipeline, card.calibration, folder, name="other", made_by={}, metrics={})
    second = predict_case(tmp_path, settings, VolumeFile("scan", scan))
    assert second.seconds is not None
    names = [result.pose.provenance.model for result in (first, second)]
    assert names == ["small", "other"]


# Settings


def test_the_hash_of_settings_covers_what_changes_a_result_and_nothing_else():
    plain = PredictionSettings()
    for changed in ({"refine": "fast"}, {"flip_average": False}, {"spacing_mm": (1.0, 1.0, 2.0)}):
        assert PredictionSettings(**changed).sha256 != plain.sha256
    for same in (
        {"previews": False},
        {"pages": False},
        {"follow_links": True},
        {"model": "land"},
        {"library": "x"},
    ):
        assert PredictionSettings(**same).sha256 == plain.sha256
    assert PredictionSettings(refine="paper") == PredictionSettings(refine="test-time-training")


# What must not be lost


def test_a_failure_leaves_the_results_of_an_earlier_run(scan, small, tmp_path):
    """A network drive that is not mounted for a moment costs nothing."""
    out, settings = tmp_path / "out", refined(small, refine="none", library=None)
    (first,) = predict_cases(find_volumes([scan]), out, settings)
    before = (out / "scan" / "pose.json").read_bytes()
    scan.rename(scan.with_name("away"))
    (failed,) = predict_cases([VolumeFile("scan", scan)], out, settings)
    assert failed.pose is None
    assert rows_of(out / "summary.csv")[0]["status"] == "failed"
    assert (out / "scan" / "pose.json").read_bytes() == before
    scan.with_name("away").rename(scan)
    (again,) = predict_cases(find_volumes([scan]), out, settings)
    assert again.seconds is None
    assert again.pose.equals(first.pose)
    assert rows_of(out / "summary.csv")[0]["status"] == "done"
    assert not (out / "scan" / "failed.json").exists()


def test_a_copy_is_another_file(scan, small, tmp_path):
    out, settings = tmp_path / "out", refined(small, refine="none", library=None)
    list(predict_cases(find_volumes([scan]), out, settings))
    copy = tmp_path / "copies" / "scan.nii.gz"
    copy.parent.mkdir()
    shutil.copy(scan, copy)
    volumes, renamed = assign_folders(find_volumes([copy]), out, settings.limits)
    assert volumes[0].case == "copies-scan"
    assert len(renamed) == 1


def test_files_that_no_record_claims_are_not_overwritten(scan, tmp_path):
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "pose.json").write_text("my own")
    (tmp_path / "summary.csv.nii.gz").touch()
    cases = [VolumeFile("scan", scan), VolumeFile("summary.csv", scan.with_name("s.nii.gz"))]
    volumes, _ = assign_folders(cases, tmp_path, PLAIN.limits)
    assert [volume.case for volume in volumes] == ["scans-scan", "scans-summary.csv"]


def test_long_names_still_differ(scan, tmp_path):
    """Names have 128 bytes at most, and the number that makes them differ is not cut off."""
    name = "n" * 126
    for taken in (name, safe_name(f"scans-{name}")[:128]):
        (tmp_path / taken).mkdir()
        record = {"format": "fetusmap-failed", "version": 1, "source": "/other", "error": "e"}
        (tmp_path / taken / "failed.json").write_text(json.dumps(record))
    (volume,), _ = assign_folders([VolumeFile(name, scan)], tmp_path, PLAIN.limits)
    assert len(volume.case) <= 128
    assert not (tmp_path / volume.case).exists()

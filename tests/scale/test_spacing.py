"""The spacing of each file in a run: stated, given for all, or given in a table."""

import csv

import numpy as np
import pytest

from fetusmap.geometry import Grid
from fetusmap.io import load_pose, save_volume
from fetusmap.scale import PredictionSettings, find_volumes, predict_cases
from fetusmap.volume import Volume


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A file with a spacing of 1.5 mm, and one that states none."""
    folder = tmp_path_factory.mktemp("mixed")
    noise = np.random.default_rng(0).integers(1, 255, (40, 40, 40)).astype(np.uint8)
    save_volume(Volume(noise, Grid.from_spacing((40, 40, 40), 1.5)), folder / "sound.nrrd")
    lines = (folder / "sound.nrrd").read_bytes()
    head, _, voxels = lines.partition(b"\n\n")
    kept = [line for line in head.split(b"\n") if not line.startswith(b"space")]
    (folder / "unknown.nrrd").write_bytes(b"\n".join(kept) + b"\n\n" + voxels)
    (folder / "cases.csv").write_text(
        "path;spacing;case\nsound.nrrd;;own\nsound.nrrd;1,2;other\nunknown.nrrd;1,5;third\n"
    )
    return folder


@pytest.fixture
def predict(small, folder, tmp_path):
    """Predict files of the folder, and return the rows of the summary by case."""

    def predict(name="", **changes):
        model = str(small / "model")
        settings = PredictionSettings(model=model, previews=False, pages=False, **changes)
        list(predict_cases(find_volumes([folder / name]), tmp_path, settings))
        with (tmp_path / "summary.csv").open(newline="") as file:
            return {row["case"]: row for row in csv.DictReader(file)}

    return predict


def test_a_spacing_for_all_is_for_files_that_state_none(predict, tmp_path):
    rows = predict(spacing_mm=(1.2, 1.2, 1.2))
    assert rows["sound"]["status"] == "failed"
    assert "states, 1.5 x 1.5 x 1.5 mm" in rows["sound"]["reasons"]
    assert "--force-spacing" in rows["sound"]["reasons"]
    assert rows["unknown"]["status"] == "done"
    assert "spacing 1.2 x 1.2 x 1.2 mm given by the caller" in rows["unknown"]["warnings"]
    assert "unknown,head," in (tmp_path / "landmarks.csv").read_text()


def test_a_table_gives_each_file_its_own(predict):
    rows = predict("cases.csv")
    assert {case: row["status"] for case, row in rows.items()} == {
        "own": "done", "other": "failed", "third": "done",
    }  # fmt: skip
    assert "1.2 x 1.2 x 1.2 mm" in rows["other"]["reasons"]
    assert "given by the caller" not in rows["own"]["warnings"]
    assert "1.5 x 1.5 x 1.5 mm given by the caller" in rows["third"]["warnings"]


def test_a_forced_spacing_is_a_warning_of_the_pose(predict, tmp_path):
    rows = predict("cases.csv", force_spacing=True)
    assert all(row["status"] == "done" for row in rows.values())
    forced = load_pose(tmp_path / "other" / "pose.json").provenance.warnings
    assert any("1.2 x 1.2 x 1.2 mm" in line and "states 1.5" in line for line in forced)

"""`fetusmap evaluate` on predictions whose errors are known."""

import csv
import re
from dataclasses import replace

import numpy as np
import pytest

from fetusmap.anatomy import Pose, reference_pose, skeleton_from_plain
from fetusmap.dataset import DatasetWriter
from fetusmap.geometry import Grid
from fetusmap.io import save_pose
from fetusmap.volume import Volume

CASES = ("a", "b", "c")


@pytest.fixture(scope="module")
def truth():
    """Three poses; the second one's head lies outside the volume."""
    poses = [reference_pose(size) for size in (60.0, 70.0, 80.0)]
    confidence = np.ones(16)
    confidence[poses[1].skeleton.index("head")] = 0
    poses[1] = replace(poses[1], confidence=confidence)
    return dict(zip(CASES, poses, strict=True))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, truth):
    folder = tmp_path_factory.mktemp("data") / "cohort"
    volume = Volume(np.zeros((16, 17, 18), np.uint8), Grid.from_spacing((16, 17, 18), 1.0))
    with DatasetWriter(folder, name="cohort", licence="CC0-1.0") as writer:
        for name, pose in truth.items():
            writer.add(replace(volume, name=name), pose, subject=f"of {name}")
        writer.splits = {"test": ("a", "b"), "train": ("c",)}
    return folder


def write_off_by(folder, truth, offset_mm, cases=CASES):
    """As predict lays them out."""
    for name in cases:
        pose = truth[name]
        (folder / name).mkdir(parents=True)
        moved = Pose(pose.skeleton, pose.positions_mm + np.array([0, 0, offset_mm]))
        save_pose(moved, folder / name / "pose.json")
    return folder


def told_by(outcome):
    """Metric to what is printed for the one method."""
    lines = (re.split(r"\s{2,}", line.strip()) for line in outcome.out.splitlines())
    return {parts[0]: parts[1] for parts in lines if len(parts) == 2}


def test_errors_are_printed_with_intervals(fetusmap, dataset, truth, tmp_path):
    found = write_off_by(tmp_path / "found", truth, 2.5)
    outcome = fetusmap("evaluate", str(found), "--truth", str(dataset))
    assert outcome.code == 0
    told = told_by(outcome)
    assert told["mean, mm"] == told["median, mm"] == "2.50 (2.50 to 2.50)"
    assert told["AUC, %"] == "75.00 (75.00 to 75.00)"
    assert told["within 10 mm, %"] == "100.00 (100.00 to 100.00)"
    assert told["bodies exchanged"] == told["missed"] == "0"
    assert f"3 cases of {dataset}" in outcome.out


def test_a_dataset_with_its_own_skeleton_is_evaluated(fetusmap, tmp_path):
    own = skeleton_from_plain(
        {
            "format": "fetusmap-skeleton",
            "version": 1,
            "name": "own-3",
            "landmarks": [{"name": "top"}, {"name": "L"}, {"name": "R"}],
            "mirror_pairs": [["L", "R"]],
            "segments": [{"name": "across", "start": "L", "end": "R"}],
        }
    )
    truth = {"a": Pose(own, np.diag([8.0, 9.0, 10.0]))}
    volume = Volume(np.zeros((16, 17, 18), np.uint8), Grid.from_spacing((16, 17, 18), 1.0))
    with DatasetWriter(tmp_path / "data", name="own", licence="CC0-1.0", skeleton=own) as writer:
        writer.add(replace(volume, name="a"), truth["a"], subject="of a")
    found = write_off_by(tmp_path / "found", truth, 2.0, ("a",))
    outcome = fetusmap("evaluate", str(found), "--truth", str(tmp_path / "data"))
    assert outcome.code == 0
    assert told_by(outcome)["mean, mm"].startswith("2.00")


def test_two_are_compared_case_by_case(fetusmap, dataset, truth, tmp_path):
    before = write_off_by(tmp_path / "before", truth, 4.0)
    after = write_off_by(tmp_path / "after", truth, 1.0)
    out = tmp_path / "out"
    words = ["evaluate", str(before), str(after), "--truth", str(dataset), "-o", str(out)]
    outcome = fetusmap(*words)
    assert outcome.code == 0
    assert "Minus before, case by case" in outcome.out
    assert "-3.00 (-3.00 to -3.00)" in outcome.out
    assert "+30.00 (+30.00 to +30.00)" in outcome.out
    rows = list(csv.DictReader((out / "errors.csv").read_text().splitlines()))
    assert len(rows) == 6
    assert rows[1]["head"] == ""  # outside the volume
    assert float(rows[1]["neck"]) == pytest.approx(4.0)
    assert float(rows[3]["head"]) == pytest.approx(1.0)
    summary = csv.DictReader((out / "summary.csv").read_text().splitlines())
    assert [row["method"] for row in summary] == ["before", "after"]
    assert (out / "pck.png").stat().st_size > 5000


def test_what_was_not_predicted_is_missed_and_told(fetusmap, dataset, truth, tmp_path):
    found = write_off_by(tmp_path / "found", truth, 0.0, cases=("a",))
    outcome = fetusmap("evaluate", str(found), "--truth", str(dataset))
    assert outcome.code == 0
    assert "2 cases without a prediction, counted as missed: b, c" in outcome.err
    assert told_by(outcome)["missed"] == "31"  # 15 visible landmarks of b, 16 of c


def test_a_split_is_evaluated_alone(fetusmap, dataset, truth, tmp_path):
    found = write_off_by(tmp_path / "found", truth, 0.0, cases=("a", "b"))
    outcome = fetusmap("evaluate", str(found), "--truth", str(dataset), "--split", "test")
    assert outcome.code == 0
    assert outcome.err == ""
    assert "2 cases" in outcome.out


def test_bad_input_is_one_line(fetusmap, dataset, truth, tmp_path):
    found = write_off_by(tmp_path / "found", truth, 0.0)
    others = tmp_path / "others"
    save_pose(truth["a"], others / "z.json") if others.mkdir() is None else None
    for words, said in (
        ((str(tmp_path / "nowhere"),), "found no such folder"),
        ((str(others),), "expected predictions of the dataset's cases, such as a, found others"),
        ((str(found), str(found)), "expected folders that differ in their names"),
        ((str(found), "--split", "val"), "val"),
    ):
        outcome = fetusmap("evaluate", *words, "--truth", str(dataset))
        assert outcome.code == 2
        (line,) = outcome.err.splitlines()
        assert line.startswith("fetusmap: ")
        assert said in line

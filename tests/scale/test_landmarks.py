"""The table of all landmarks of a cohort."""

import sys
from dataclasses import replace

import numpy as np
import pytest

import fetusmap as fm
from fetusmap.anatomy import reference_pose
from fetusmap.corrections import (
    CORRECTIONS_FILE,
    append_correction,
    move,
    new_correction,
)
from fetusmap.errors import BadInput
from fetusmap.io import save_pose
from fetusmap.scale import write_landmarks

DONE = '{"format": "fetusmap-done", "version": 1}'


@pytest.fixture
def results(tmp_path):
    """Two finished cases, one that failed after an earlier success, and one that is damaged."""
    for n, name in enumerate(("b", "a", "failed", "damaged")):
        (tmp_path / name).mkdir()
        save_pose(reference_pose(50.0 + n), tmp_path / name / "pose.json")
        (tmp_path / name / "done.json").write_text(DONE)
    (tmp_path / "failed" / "failed.json").write_text("{}")
    (tmp_path / "damaged" / "pose.json").write_text("{")
    (tmp_path / "of another program").mkdir()
    save_pose(reference_pose(), tmp_path / "of another program" / "pose.json")
    return tmp_path


@pytest.mark.parametrize("name", ["landmarks.csv", "landmarks.parquet"])
def test_the_table_has_the_cases_that_are_done(results, name):
    write_landmarks(results, parquet=True)
    poses = fm.load_landmark_table(results / name)
    assert list(poses) == ["a", "b"]
    assert poses["a"].equals(reference_pose(51.0))
    assert poses["b"].equals(reference_pose(50.0))


def test_corrections_of_a_person_are_in_the_table(results):
    pose = reference_pose(51.0)
    correction = new_correction(pose, "Anna", "move", move(pose, "head", (1, 2, 3)))
    append_correction(results / "a" / CORRECTIONS_FILE, lambda _: correction)
    write_landmarks(results)
    poses = fm.load_landmark_table(results / "landmarks.csv")
    assert poses["a"]["head"].position_mm.tolist() == [1, 2, 3]
    assert poses["a"]["head"].review == "moved"
    (line,) = (
        line
        for line in (results / "landmarks.csv").read_text().splitlines()
        if line.startswith("a,head,")
    )
    assert line == "a,head,1.0,2.0,3.0,mm,LPS,1.0,person,moved"


def test_a_parquet_file_never_differs_from_the_table(results, monkeypatch, refused):
    write_landmarks(results, parquet=True)
    moved = replace(reference_pose(50.0), confidence=np.full(16, 0.5))
    save_pose(moved, results / "b" / "pose.json")
    write_landmarks(results)
    assert fm.load_landmark_table(results / "landmarks.parquet")["b"].equals(moved)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with refused("fetusmap[parquet]", error=BadInput):
        write_landmarks(results)


def test_without_a_case_the_table_has_no_row(tmp_path):
    write_landmarks(tmp_path)
    assert len((tmp_path / "landmarks.csv").read_text().splitlines()) == 1

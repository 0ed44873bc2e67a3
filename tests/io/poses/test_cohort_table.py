"""One table of all landmarks of a cohort: CSV and Parquet, read back equal."""

from __future__ import annotations

import csv
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fetusmap as fm
from fetusmap.anatomy import Pose, Skeleton, reference_pose
from fetusmap.errors import BadInput, UnreadableFile, one_line

EARS = Skeleton("ears", ("=nose", "left_ear", "right_ear"), (), (("left_ear", "right_ear"),))
COLUMNS = "case,landmark,x_mm,y_mm,z_mm,unit,frame,confidence,source,review"


@pytest.fixture
def poses():
    """Three poses: one whole, one with an absent landmark, one that a person corrected."""
    first, second = reference_pose(50.0), reference_pose(63.7)
    positions = second.positions_mm.copy()
    positions[3] = np.nan
    confidence = np.linspace(0.1, 1, 16)
    confidence[3] = 0
    review = ("machine", "accepted", "moved", "absent", "placed", *("machine",) * 11)
    return {
        "a": first,
        "=b": Pose(second.skeleton, positions, confidence),
        "胎児": Pose(second.skeleton, positions / 3, confidence, review=review),
    }


@pytest.mark.parametrize("name", ["landmarks.csv", "landmarks.parquet"])
def test_a_cohort_reads_back_equal(poses, name, tmp_path):
    fm.write_landmark_table(poses.items(), tmp_path / name)
    back = fm.load_landmark_table(tmp_path / name)
    assert list(back) == list(poses)
    assert all(back[case].equals(pose) for case, pose in poses.items())


def test_the_table_is_tidy_and_says_unit_frame_and_source(poses, tmp_path):
    fm.write_landmark_table(poses.items(), tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_text("utf-8")
    assert text.splitlines()[0] == COLUMNS
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 48
    assert {(row["unit"], row["frame"]) for row in rows} == {("mm", "LPS")}
    names = poses["a"].skeleton.landmarks
    last = {row["landmark"]: row for row in rows if row["case"] == "胎児"}
    sources = [last[name]["source"] for name in names[:6]]
    assert sources == ["machine", "machine", "person", "person", "person", "machine"]
    assert last[names[3]]["x_mm"] == ""
    assert {row["case"] for row in rows} == {"a", "'=b", "胎児"}


def test_the_parquet_has_numbers_as_numbers(poses, tmp_path):
    fm.write_landmark_table(poses.items(), tmp_path / "t.parquet")
    table = pq.read_table(tmp_path / "t.parquet")
    assert table.column_names == COLUMNS.split(",")
    assert table["x_mm"].type == table["confidence"].type == pa.float64()
    assert table["x_mm"].null_count == 2
    np.testing.assert_array_equal(table["y_mm"].to_pylist()[:16], poses["a"].positions_mm[:, 1])


@given(
    st.lists(
        st.tuples(
            st.text(min_size=1, max_size=6),
            st.lists(st.floats(-1e3, 1e3), min_size=9, max_size=9),
            st.sets(st.integers(0, 2), max_size=2),
        ),
        min_size=1, max_size=3, unique_by=lambda entry: one_line(entry[0]).strip(),
    ),
    st.sampled_from(["csv", "parquet"]),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_any_cohort_reads_back_equal(entries, suffix):
    poses = {}
    for case, numbers, absent in entries:
        positions = np.array(numbers).reshape(3, 3)
        positions[list(absent)] = np.nan
        poses[one_line(case).strip() or "x"] = Pose(EARS, positions)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t.{suffix}"
        fm.write_landmark_table(poses.items(), path)
        back = fm.load_landmark_table(path, EARS)
    assert back.keys() == poses.keys()
    assert all(back[case].equals(pose) for case, pose in poses.items())


def test_a_table_of_one_case_needs_no_case_column(tmp_path):
    (tmp_path / "fetus 3.csv").write_text("landmark;x_mm;y_mm;z_mm\nhead;1,5;2;3\n")
    ((case, pose),) = fm.load_landmark_table(tmp_path / "fetus 3.csv").items()
    assert case == "fetus_3"
    assert pose["head"].position_mm.tolist() == [1.5, 2, 3]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("a,head,1,2,3,cm,LPS\n", ("case a", "the unit mm for 'head'", "'cm'")),
        ("a,head,1,2,3,mm,RAS\n", ("the frame LPS for 'head'", "'RAS'")),
        ("a,head,1,2,3,mm,LPS\nb,head,1,2,3,mm,LPS\na,head,1,2,3,mm,LPS\n", ("case a", "twice")),
        ("", ("no rows",)),
        ("a,hand,1,2,3,mm,LPS\n", ("case a", "hand")),
    ],
)
def test_a_table_that_says_something_else_is_refused(rows, words, tmp_path, refused):
    (tmp_path / "t.csv").write_text("case,landmark,x_mm,y_mm,z_mm,unit,frame\n" + rows)
    with refused("t.csv", *words, error=BadInput):
        fm.load_landmark_table(tmp_path / "t.csv")


def test_what_is_no_parquet_is_refused(tmp_path, refused):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and nothing else PAR1")
    with refused("a Parquet file"):
        fm.load_landmark_table(tmp_path / "t.parquet")
    pq.write_table(pa.table({"case": ["a"]}), tmp_path / "u.parquet")
    with refused("no landmark", error=UnreadableFile):
        fm.load_landmark_table(tmp_path / "u.parquet")


def test_without_pyarrow_the_message_says_what_to_install(poses, tmp_path, monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with refused("pip install 'fetusmap[parquet]'", error=BadInput):
        fm.write_landmark_table(poses.items(), tmp_path / "t.parquet")
    assert not list(tmp_path.iterdir())


def test_a_table_of_several_cases_is_no_pose(poses, tmp_path, refused):
    fm.write_landmark_table(poses.items(), tmp_path / "t.csv")
    with refused("load_landmark_table", error=BadInput):
        fm.load_pose(tmp_path / "t.csv")
    only = replace(poses["a"], confidence=np.full(16, 0.25))
    fm.write_landmark_table([("a", only)], tmp_path / "one.csv")
    assert fm.load_pose(tmp_path / "one.csv").equals(only)

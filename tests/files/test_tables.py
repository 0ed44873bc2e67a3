"""CSV tables of landmarks and measurements: exact, strict, and without formulas."""

from __future__ import annotations

import csv
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetusmap.anatomy import Pose, load_skeleton, reference_pose
from fetusmap.errors import BadInput, one_line
from fetusmap.files.tables import read_rows, write_rows
from fetusmap.io import load_pose, save_pose, write_measurements_csv
from fetusmap.io.poses.landmark_table import read_landmarks_csv, write_landmarks_csv

HEAD = "case,landmark,x_mm,y_mm,z_mm,confidence\n"


@pytest.fixture
def load(tmp_path):
    """Write text as a table of landmarks and load it."""

    def load(content):
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "case.csv").write_bytes(data)
        return load_pose(tmp_path / "case.csv")

    return load


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_has_a_row_per_landmark(tmp_path):
    pose = Pose.from_positions({"head": (1.5, -2, 0.1), "neck": (0, 0, 1e-9)})
    write_landmarks_csv(pose, tmp_path / "case 7.csv")
    lines = (tmp_path / "case 7.csv").read_text().splitlines()
    assert lines[0] + "\n" == HEAD.replace("\n", ",review\n")
    assert lines[1] == "case_7,head,1.5,-2.0,0.1,1.0,machine"
    assert "case_7,neck,0.0,0.0,1e-09,1.0,machine" in lines
    assert "case_7,left_knee,,,,0.0,machine" in lines
    assert len(lines) == 17


def test_the_case_may_be_named(tmp_path):
    write_landmarks_csv(reference_pose(), tmp_path / "landmarks.csv", case="fetus-3")
    assert {row["case"] for row in rows_of(tmp_path / "landmarks.csv")} == {"fetus-3"}


def test_measurements_are_those_of_the_pose(tmp_path):
    pose = reference_pose(60)
    write_measurements_csv(pose, tmp_path / "lengths.csv", case="a")
    rows = rows_of(tmp_path / "lengths.csv")
    assert list(rows[0]) == ["case", "kind", "name", "value", "unit"]
    by_name = {(row["kind"], row["name"]): row for row in rows}
    assert len(rows) == len(by_name) == 15 + 10 + 1 + 3 + 3
    femur = by_name["length", "left_femur"]
    # Left hip (-0.096, 0.062, 0.004) to left knee (-0.154, 0.258, 0.047), times 60 mm.
    expected = 60 * math.sqrt(0.058**2 + 0.196**2 + 0.043**2)
    assert float(femur["value"]) == pytest.approx(expected, rel=1e-12)
    assert femur["unit"] == "mm"
    # At the left knee: towards the hip (0.058, -0.196, -0.043), the ankle (-0.013, 0.099, -0.154).
    hip, ankle = np.array([0.058, -0.196, -0.043]), np.array([-0.013, 0.099, -0.154])
    cosine = hip @ ankle / math.sqrt((hip @ hip) * (ankle @ ankle))
    knee = by_name["angle", "left_knee"]
    assert float(knee["value"]) == pytest.approx(math.degrees(math.acos(cosine)), rel=1e-9)
    assert knee["unit"] == "deg"
    assert by_name["estimated", "crown_rump_length"]["unit"] == "mm"
    assert ("angle", "trunk_flexion") in by_name
    assert {row["case"] for row in rows} == {"a"}


def test_what_cannot_be_measured_is_an_empty_cell(tmp_path):
    write_measurements_csv(Pose.from_positions({"head": (0, 0, 0)}), tmp_path / "lengths.csv")
    rows = rows_of(tmp_path / "lengths.csv")
    assert len(rows) == 32
    assert {row["value"] for row in rows} == {""}


def test_the_columns_may_come_in_any_order_with_others_between(load):
    pose = load("note,z_mm,y_mm,x_mm,landmark\nfine,3,2,1,head\n")
    assert pose["head"].position_mm.tolist() == [1, 2, 3]
    assert pose["head"].confidence == 1
    assert pose.present.sum() == 1


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_table_saved_by_a_spreadsheet_is_read(mark, end, load):
    text = f"{mark}{HEAD}a,head,1,2,3,0.5\na,neck,4,5,6,\n".replace("\n", end)
    pose = load(text)
    assert pose["head"].position_mm.tolist() == [1, 2, 3]
    assert pose["head"].confidence == 0.5
    assert pose["neck"].confidence == 1


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_of_another_country_is_read(separator, encoding, load):
    rows = ["Landmark ,X_mm,Y_mm,Z_mm,Größe", "head,1|5,-2,3|25,a", "neck,4,5,6,", ",,,,"]
    text = "\r\n".join(rows).replace(",", separator).replace("|", ",")
    pose = load((f"sep={separator}\r\n" * (separator == ";") + text).encode(encoding))
    assert pose["head"].position_mm.tolist() == [1.5, -2, 3.25]
    assert pose["neck"].position_mm.tolist() == [4, 5, 6]
    assert pose.present.sum() == 2


def test_capitals_and_blanks_of_a_landmark_do_not_matter(load, refused):
    assert load(HEAD + "a,Left Knee,1,2,3,1\n")["left_knee"].position_mm.tolist() == [1, 2, 3]
    with refused("'left_knee' twice"):
        load(HEAD + "a,Left Knee,1,2,3,1\na,left_knee,1,2,3,1\n")


def test_quoted_cells_are_read(load):
    pose = load(HEAD + '"a, b","head","1","2","3","0.5"\n')
    assert pose["head"].position_mm.tolist() == [1, 2, 3]


def test_a_landmark_without_a_row_or_without_coordinates_is_absent(load):
    pose = load(HEAD + "a,head,,,,1\na,neck,1,2,3,1\n")
    assert not pose["head"].is_present
    assert pose["head"].confidence == 0
    assert not pose["spine"].is_present
    assert pose["neck"].is_present


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (HEAD, "no rows"),
        ("landmark,x_mm,y_mm\nhead,1,2\n", "z_mm"),
        (HEAD + "a,head,1,2,3,1\na,head,1,2,3,1\n", "'head' twice"),
        (HEAD + "a,head,1,2,3,1\nb,neck,1,2,3,1\n", "several"),
        (HEAD + "a,hand,1,2,3,1\n", "hand"),
        (HEAD + "a,head,1,,3,1\n", "head"),
        (HEAD + "a,head,one,2,3,1\n", "one"),
        (HEAD + "a,head,1,2,3,sure\n", "sure"),
        (HEAD + "a,head,1,2,3\n", "cells"),
        (HEAD + "a,head,1,2,3,1,9\n", "cells"),
        (HEAD + "a,head,1,2,3,1.2\n", "1.2"),
        (HEAD + "a,head,1,2,3,-0.1\n", "-0.1"),
        (HEAD + "a,head,1,2,3,nan\n", "confidence"),
        (HEAD + "a,head,inf,2,3,1\n", "infinite"),
        (HEAD + "a,head,nan,2,3,1\n", "half-absent"),
        (HEAD + "a,\x1b[31mhe\u2028ad,1,2,3,1\n", "landmark"),
        (HEAD + "a,head," + "1" * 200_000 + ",2,3,1\n", "field"),
        (HEAD.encode() + b"a,h\xe9ad,1,2,3,1\n", "UTF-8"),
        (HEAD.encode("utf-16-le"), "UTF-16 without a byte-order mark"),
        (b"\xff\xfe" + HEAD.encode("utf-16-le") + b"a", "damaged UTF-16"),
        (b"PK\x03\x04 a workbook", "workbook"),
        (HEAD + 'a,"head,1,2,3,1\n', "end of data"),
        (HEAD.replace("case", "x_mm") + "1,head,1,2,3,1\n", "x_mm twice"),
        (HEAD + "a,head,1,5,2,0,3,5,1\n", "9 in row 2; quote cells"),
        (HEAD + 'a,head,"1.234,5",2,3,1\n', "1.234,5"),
    ],
    ids=[
        "no rows", "no column", "twice", "two cases", "unknown landmark",
        "half absent", "text", "confidence text", "short row", "long row", "confidence 1.2",
        "confidence below 0", "confidence nan", "infinite", "nan", "control characters",
        "huge cell", "latin-1", "utf-16 without mark", "utf-16 damaged", "workbook",
        "open quote", "column twice", "decimal commas", "thousands",
    ],
)  # fmt: skip
def test_a_table_that_is_no_pose_is_refused(text, word, load, refused):
    with refused(word, error=BadInput):
        load(text)


@pytest.mark.parametrize(
    "row", ["a,head,1,2,3,1.2", "a,head,inf,2,3,1", "a,hand,1,2,3,1"], ids=["1.2", "inf", "hand"]
)
def test_the_error_names_the_file(row, load, refused):
    with refused("case.csv", error=BadInput):
        load(HEAD + row + "\n")


def test_rows_are_written_whole_and_read_back(tmp_path):
    path = tmp_path / "rows.csv"
    rows = [{"a": 1.5, "b": "x,y"}, {"a": float("nan"), "b": None}, {"a": 0.1 + 0.2, "b": 'q"'}]
    write_rows(path, ("a", "b"), rows)
    assert path.read_bytes() == b'a,b\n1.5,"x,y"\n,\n0.30000000000000004,"q"""\n'
    back = read_rows(path, ("b",))
    assert [row["b"] for row in back] == ["x,y", "", 'q"']
    assert float(back[2]["a"]) == 0.1 + 0.2


FORMULAS = ["=1+1", "+x", "-x", "@x", "'=1", "''@x", "-", "=", "\uff1d1", " =1", "\t=1", "\r=1"]
HARMLESS = ["-1.5", "+2", "-1e-3", "-.5", "'quoted'", "a=b", "x-1", "", "nan"]
CELLS = (
    st.sampled_from(FORMULAS + HARMLESS)
    | st.text("=+-@'1.e a\t\uff0b", max_size=6)
    | st.text(max_size=8)
)


@given(texts=st.lists(CELLS, min_size=1, max_size=8))
def test_no_text_cell_begins_as_a_formula_and_every_text_reads_back(texts):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        write_rows(path, ("a", "b"), [{"a": text, "b": -1.5} for text in texts])
        stored = rows_of(path)
        back = read_rows(path, ("a", "b"))
    for text, raw, row in zip(texts, stored, back, strict=True):
        assert row["a"] == one_line(text)
        begins = raw["a"][:1]
        assert begins not in set("=+-@\uff1d\uff0b\uff0d\uff20") or isinstance(
            float(raw["a"]), float
        )
        assert raw["b"] == row["b"] == "-1.5"


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_stored_as_text(text, tmp_path):
    write_rows(tmp_path / "rows.csv", ("a",), [{"a": text}])
    assert rows_of(tmp_path / "rows.csv")[0]["a"] == "'" + text.strip()


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_is_stored_as_it_is(text, tmp_path):
    write_rows(tmp_path / "rows.csv", ("a", "b"), [{"a": text, "b": 1}])
    assert rows_of(tmp_path / "rows.csv")[0]["a"] == text


def test_an_existing_table_is_kept_unless_it_may_be_overwritten(tmp_path, refused):
    path = tmp_path / "lengths.csv"
    write_measurements_csv(reference_pose(60), path)
    before = path.read_bytes()
    with refused("existing", error=BadInput):
        write_measurements_csv(reference_pose(70), path, overwrite=False)
    assert path.read_bytes() == before


def test_the_reader_takes_the_skeleton_that_it_is_given(tmp_path):
    save_pose(reference_pose(), tmp_path / "case.csv")
    assert read_landmarks_csv(tmp_path / "case.csv", load_skeleton()).equals(reference_pose())

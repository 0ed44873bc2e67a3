"""Which prediction belongs to which annotation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.evaluate import match_by_pattern, match_by_table, match_names


def test_equal_names_come_first_and_usual_endings_are_left_out():
    found = ["a", "b_0000", "B1.pred", "c_landmarks_0000", "d", "a_0000"]
    true = ["a", "b", "b1", "c_gt", "e"]
    assert match_names(found, true) == {
        "a": "a", "b_0000": "b", "B1.pred": "b1", "c_landmarks_0000": "c_gt",
    }  # fmt: skip


def test_numbers_that_tell_cases_apart_are_no_endings():
    assert match_names(["case_1_2", "case_0001"], ["case_1", "case"]) == {}


def test_two_annotations_for_one_prediction_are_refused(refused):
    with refused("predictions a_0000 and annotations a_gt, a_pose", error=BadInput):
        match_names(["a_0000"], ["a_gt", "a_pose", "b"])


NAMES = st.lists(st.from_regex(r"[ab][12]?(_0000|_gt)?", fullmatch=True), unique=True)


@given(NAMES, NAMES)
def test_a_match_is_one_to_one_and_keeps_equal_names(found, true):
    try:
        matched = match_names(found, true)
    except BadInput:
        return
    assert len(set(matched.values())) == len(matched)
    assert set(matched) <= set(found)
    assert set(matched.values()) <= set(true)
    assert all(matched[name] == name for name in found if name in true)


def test_a_pattern_without_a_group_is_taken_whole():
    assert match_by_pattern(["x12y", "other"], ["12", "3"], r"\d+") == {"x12y": "12"}


def test_a_table_may_name_files_and_some_cases_only(tmp_path):
    (tmp_path / "n.csv").write_text("Truth,Prediction\nt 1,p.1.json\nt2.mrk.json,p2\n")
    matched, unknown = match_by_table(
        ["p.1", "p2", "t3", "t2"], ["t_1", "t2", "t3"], tmp_path / "n.csv"
    )
    assert matched == {"p.1": "t_1", "p2": "t2", "t3": "t3"}
    assert unknown == []


@pytest.mark.parametrize(
    ("rows", "words"),
    [("a,b\na,c\n", "'a' twice"), ("a,\n", "an empty cell"), ("a,b\nc,b\n", "'b' twice")],
)
def test_a_table_that_is_not_one_to_one_is_refused(rows, words, tmp_path, refused):
    (tmp_path / "n.csv").write_text("prediction,truth\n" + rows)
    with refused("n.csv", words, error=UnreadableFile):
        match_by_table(["a", "c"], ["b", "c"], tmp_path / "n.csv")

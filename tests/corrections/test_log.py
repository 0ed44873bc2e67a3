"""Corrections: what each action does to a pose, undo and redo, and the merging of two logs."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetusmap.anatomy import Pose, load_skeleton, reference_pose
from fetusmap.corrections import (
    CorrectionLog,
    accept,
    ask,
    corrected_pose,
    disagreements,
    exchange,
    mark_absent,
    merge_logs,
    move,
    new_correction,
    pose_sha256,
    reset,
)
from fetusmap.errors import BadInput

PREDICTION = Pose(load_skeleton(), reference_pose().positions_mm, 0.5)


class Person:
    """Someone who corrects the prediction and sees the result."""

    def __init__(self, name: str = "Anna", log: CorrectionLog | None = None) -> None:
        self.name, self.log = name, log or CorrectionLog()

    @property
    def pose(self) -> Pose:
        return corrected_pose(PREDICTION, self.log)

    def does(self, action, states=None, **more):
        entry = new_correction(PREDICTION, self.name, action, states, **more)
        self.log = replace(self.log, entries=(*self.log.entries, entry))
        return entry

    def moves(self, landmark, position=(1.0, 2.0, 3.0)):
        return self.does("move", move(self.pose, landmark, position))

    def undoes(self):
        self.does("undo", target=self.log.to_undo(self.name).id)

    def redoes(self):
        self.does("redo", target=self.log.to_redo(self.name).id)


def test_without_corrections_the_pose_is_the_prediction():
    assert corrected_pose(PREDICTION, CorrectionLog()) is PREDICTION


def test_each_action_does_what_it_says():
    anna = Person()
    anna.moves("left_wrist")
    assert anna.pose["left_wrist"].position_mm.tolist() == [1, 2, 3]
    assert anna.pose["left_wrist"].review == "moved"
    assert anna.pose["left_wrist"].confidence == 1
    anna.does("absent", mark_absent(anna.pose, ["head"]))
    assert not anna.pose["head"].is_present
    assert anna.pose["head"].review == "absent"
    anna.moves("head")
    assert anna.pose["head"].review == "placed"
    anna.moves("head", (0, 0, 0))
    assert anna.pose["head"].review == "placed"
    anna.does("accept", accept(anna.pose, ["neck"]))
    assert (anna.pose["neck"].review, anna.pose["neck"].confidence) == ("accepted", 1)
    anna.does("reset", reset(PREDICTION, ["head", "neck"]))
    assert (anna.pose["head"].review, anna.pose["neck"].confidence) == ("machine", 0.5)
    assert anna.pose.provenance.notes["annotators"] == ["Anna"]
    with pytest.raises(BadInput, match="'tail'"):
        anna.moves("tail")
    with pytest.raises(BadInput, match="three finite coordinates"):
        anna.moves("head", (0, np.nan, 0))


def test_accepting_a_case_reviews_every_landmark_and_keeps_what_was_done_before():
    anna = Person()
    anna.moves("left_wrist")
    anna.does("absent", mark_absent(anna.pose, ["head"]))
    anna.does("accept_case", accept(anna.pose))
    words = dict(zip(PREDICTION.skeleton.landmarks, anna.pose.review, strict=True))
    assert (words.pop("left_wrist"), words.pop("head")) == ("moved", "absent")
    assert set(words.values()) == {"accepted"}
    assert anna.log.status == "done"
    anna.undoes()
    assert anna.log.status == "todo"
    anna.does("problem", note="no fetus to be seen")
    assert (anna.log.status, anna.log.note) == ("problem", "no fetus to be seen")
    anna.does("reopen")
    assert (anna.log.status, anna.log.note) == ("todo", "")


@pytest.mark.parametrize("chosen", [("left_wrist",), ("right_knee", "left_ankle"), None])
def test_an_exchange_is_that_of_the_pose_and_twice_is_none(chosen):
    anna = Person()
    anna.does("exchange", exchange(anna.pose, chosen))
    np.testing.assert_array_equal(
        anna.pose.positions_mm, PREDICTION.exchange_sides(chosen).positions_mm
    )
    assert anna.pose["head"].review == "machine"
    anna.does("exchange", exchange(anna.pose, chosen))
    np.testing.assert_array_equal(anna.pose.positions_mm, PREDICTION.positions_mm)
    with pytest.raises(BadInput, match="landmarks that have a side"):
        exchange(PREDICTION, ["head"])


def test_the_machine_never_replaces_what_a_person_reviewed():
    anna, bert = Person("Anna"), Person("Bert")
    anna.moves("left_wrist")
    answer = Pose(PREDICTION.skeleton, PREDICTION.positions_mm + 1.0, 0.7)
    bert.does("ask", ask(answer))  # Bert's copy of the log has no line of Anna's
    both = Person(log=merge_logs([bert.log, anna.log]))
    assert both.pose["left_wrist"].position_mm.tolist() == [1, 2, 3]
    assert both.pose["head"].position_mm.tolist() == answer["head"].position_mm.tolist()
    assert (both.pose["head"].review, both.pose["head"].confidence) == ("machine", 0.7)


def test_who_accepts_a_copy_does_not_replace_what_another_person_set_in_theirs():
    anna, bert = Person("Anna"), Person("Bert")
    anna.moves("left_wrist")
    anna.does("absent", mark_absent(anna.pose, ["head"]))
    bert.does("accept_case", accept(bert.pose))
    both = Person(log=merge_logs([anna.log, bert.log]))
    assert both.pose["left_wrist"].position_mm.tolist() == [1, 2, 3]
    assert (both.pose["head"].review, both.pose["neck"].review) == ("absent", "accepted")
    assert len(disagreements(PREDICTION, both.log)) == 2
    # In one log the later one of two positions counts.
    bert.moves("left_wrist", (4, 5, 6))
    both = Person(log=merge_logs([anna.log, bert.log]))
    assert both.pose["left_wrist"].position_mm.tolist() == [4, 5, 6]


def test_a_new_prediction_changes_only_what_nobody_touched():
    anna = Person()
    anna.moves("left_wrist")
    anna.does("accept", accept(anna.pose, ["neck"]))
    anna.does("exchange", exchange(anna.pose, ["left_knee"]))
    newer = Pose(PREDICTION.skeleton, PREDICTION.positions_mm + 5.0, 0.9)
    again = corrected_pose(newer, anna.log)
    for name in ("left_wrist", "neck", "left_knee", "right_knee"):
        assert again[name].position_mm.tolist() == anna.pose[name].position_mm.tolist()
    assert again["head"].position_mm.tolist() == newer["head"].position_mm.tolist()
    assert anna.log.entries[0].base_sha256 == pose_sha256(PREDICTION) != pose_sha256(newer)


def test_undo_goes_back_to_the_beginning_and_redo_to_the_end():
    anna = Person()
    poses = [anna.pose]
    for number in range(5):
        anna.moves("head", (number, 0, 0))
        poses.append(anna.pose)
    for pose in reversed(poses[:-1]):
        anna.undoes()
        assert anna.pose.equals(pose)
    assert anna.log.to_undo("Anna") is None
    for pose in poses[1:]:
        anna.redoes()
        assert anna.pose.equals(pose)
    assert anna.log.to_redo("Anna") is None
    anna.undoes()
    anna.moves("neck")
    assert anna.log.to_redo("Anna") is None  # a new action ends what can be redone


def test_everybody_undoes_their_own_actions():
    anna = Person()
    anna.moves("head")
    bert = Person("Bert", anna.log)
    bert.moves("neck")
    anna.log = bert.log
    anna.undoes()
    assert (anna.pose["head"].review, anna.pose["neck"].review) == ("machine", "moved")
    assert anna.log.authors == ("Bert",)


def test_a_second_undo_of_the_same_action_does_nothing():
    anna = Person()
    first, second = anna.moves("head"), anna.moves("head", (0, 0, 0))
    anna.does("undo", target=second.id)
    anna.does("undo", target=second.id)
    assert anna.log.effective == (first,)


@given(
    st.lists(st.sampled_from(["Anna", "Bert"]), max_size=12),
    st.data(),
)
def test_merging_knows_every_line_once_in_any_order_of_the_copies(names, data):
    people = {"Anna": Person("Anna"), "Bert": Person("Bert")}
    for name in names:
        landmark = data.draw(st.sampled_from(PREDICTION.skeleton.landmarks))
        people[name].moves(landmark)
    logs = [person.log for person in people.values()]
    merged = merge_logs(logs)
    assert merged == merge_logs(reversed(logs)) == merge_logs([merged, *logs])
    assert [entry.author for entry in merged.entries] == names
    assert set(merged.authors) == set(names)


def test_people_who_disagree_are_named():
    anna, bert = Person("Anna"), Person("Bert")
    for person, place in ((anna, (0, 0, 0)), (bert, (0, 0, 3))):
        person.moves("head", place)
        person.moves("neck")
    anna.does("absent", mark_absent(anna.pose, ["spine"]))
    bert.does("accept", accept(bert.pose, ["spine"]))
    assert disagreements(PREDICTION, merge_logs([anna.log, bert.log])) == [
        "head: Anna and Bert are 3.0 mm apart",
        "spine: absent for Anna, but not for Bert",
    ]


@pytest.mark.parametrize("author", ["", "   ", "x" * 81, "two\nlines", "a\u2028b"])
def test_a_name_that_is_none_is_refused(author):
    with pytest.raises(BadInput, match="author"):
        new_correction(PREDICTION, author, "reopen")

"""Corrections through the interface: each action, undo, questions, two windows, a crash."""

import threading
from collections import OrderedDict
from functools import partial

import pytest

from fetusmap.corrections import CORRECTIONS_FILE, read_log
from fetusmap.serve import work

from .conftest import prediction

CASE = "/api/cases/clear"


def send(client, action, author="Anna", **more):
    return client.post(f"{CASE}/corrections", json={"author": author, "action": action, **more})


def marks_of(detail):
    return {mark["name"]: mark for mark in detail["pose"]}


def test_each_action_changes_the_case_and_comes_back_with_it(client):
    moved = send(client, "move", landmarks=["left_wrist"], position=[1, 2, 3]).json()
    assert marks_of(moved)["left_wrist"]["position"] == [1, 2, 3]
    assert marks_of(moved)["left_wrist"]["review"] == "moved"
    absent = send(client, "outside", landmarks=["left_hand", "left_foot"]).json()
    assert marks_of(absent)["left_hand"] == {
        "name": "left_hand", "position": None, "confidence": 0, "review": "absent"
    }  # fmt: skip
    accepted = send(client, "accept", landmarks=["neck"]).json()
    assert marks_of(accepted)["neck"]["review"] == "accepted"
    reset = send(client, "reset", landmarks=["left_hand"]).json()
    assert marks_of(reset)["left_hand"]["review"] == "machine"
    done = send(client, "accept_case").json()
    assert done["state"] == "done"
    assert "machine" not in {mark["review"] for mark in done["pose"]}
    problem = send(client, "problem", note="<b>no fetus</b>").json()
    assert (problem["state"], problem["note"]) == ("problem", "<b>no fetus</b>")
    assert send(client, "reopen").json()["state"] == "todo"
    entries = client.get(CASE).json()["history"]["entries"]
    assert [entry["action"] for entry in entries] == [
        "move", "outside", "accept", "reset", "accept_case", "problem", "reopen"
    ]  # fmt: skip
    assert {entry["author"] for entry in entries} == {"Anna"}


def test_one_click_exchanges_a_whole_limb_or_the_whole_body(client):
    pose = prediction()
    arm = marks_of(send(client, "exchange", landmarks=["left_wrist"]).json())
    for name in ("shoulder", "elbow", "wrist", "hand"):
        assert arm[f"left_{name}"]["position"] == pose[f"right_{name}"].position_mm.tolist()
    assert arm["left_knee"]["position"] == pose["left_knee"].position_mm.tolist()
    client.post(f"{CASE}/undo", json={"author": "Anna"})
    body = marks_of(send(client, "exchange").json())
    for name, mark in body.items():
        partner = name.replace("left", "LEFT").replace("right", "left").replace("LEFT", "right")
        assert mark["position"] == pose[partner].position_mm.tolist()


def test_undo_and_redo_say_what_comes_next(client):
    history = send(client, "move", landmarks=["neck"], position=[1, 2, 3]).json()["history"]
    assert (history["undo"], history["redo"]) == ("move", None)
    undone = client.post(f"{CASE}/undo", json={"author": "Anna"}).json()
    assert (undone["history"]["undo"], undone["history"]["redo"]) == (None, "move")
    assert marks_of(undone)["neck"]["review"] == "machine"
    nothing = client.post(f"{CASE}/undo", json={"author": "Anna"})
    assert nothing.status_code == 422
    assert "an action of Anna to undo" in nothing.json()["error"]
    assert client.post(f"{CASE}/redo", json={"author": "Bert"}).status_code == 422
    redone = client.post(f"{CASE}/redo", json={"author": "Anna"}).json()
    assert marks_of(redone)["neck"]["position"] == [1, 2, 3]


def test_what_was_edited_in_slicer_comes_back_and_nothing_else(client):
    send(client, "move", landmarks=["right_knee"], position=[9, 9, 9])
    markups = client.get(f"{CASE}/results/pose.mrk.json").json()
    points = {point["label"]: point for point in markups["markups"][0]["controlPoints"]}
    points["neck"]["position"] = [1.0, 2.0, 3.0]
    points["crown"]["positionStatus"] = "undefined"
    send(client, "move", "Bert", landmarks=["head"], position=[7, 7, 7])  # meanwhile
    answer = client.post(f"{CASE}/markups", params={"author": "Anna"}, json=markups)
    marks = marks_of(answer.json())
    assert (marks["neck"]["position"], marks["neck"]["review"]) == ([1, 2, 3], "moved")
    assert marks["crown"]["review"] == "absent"
    assert marks["head"]["position"] == [7, 7, 7]
    last = answer.json()["history"]["entries"][-1]
    assert (last["action"], sorted(last["landmarks"])) == ("import", ["crown", "neck"])
    again = client.post(f"{CASE}/markups", params={"author": "Anna"}, json=markups)
    assert again.status_code == 422
    assert "found none" in again.json()["error"]
    for point in points.values():
        point["description"] = "what another program wrote"
    points["spine"]["position"] = [4.0, 5.0, 6.0]
    hand_made = client.post(f"{CASE}/markups", params={"author": "Cora"}, json=markups).json()
    assert hand_made["history"]["entries"][-1]["landmarks"] == ["spine"]
    for body in (b"{", b"[]", b'{"markups": []}'):
        assert client.post(f"{CASE}/markups?author=A", content=body).status_code == 422


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"action": "move", "landmarks": ["neck"]}, "one landmark and its position"),
        ({"action": "move", "landmarks": ["tail"], "position": [1, 2, 3]}, "'tail'"),
        ({"action": "move", "landmarks": ["neck"], "position": [1, 2, 1e9]}, "position.2"),
        ({"action": "move", "landmarks": ["neck"], "position": [1, 2, "3"]}, "position.2"),
        ({"action": "delete"}, "action"),
        ({"action": "exchange", "landmarks": ["neck"]}, "landmarks that have a side"),
        ({"action": "reopen", "author": " "}, "author"),
        ({"action": "reopen", "author": "two\nlines"}, "author"),
        ({"action": "reopen", "path": "/etc/passwd"}, "path"),
    ],
)
def test_what_is_no_correction_is_refused_and_leaves_no_trace(client, results, body, words):
    answer = client.post(f"{CASE}/corrections", json={"author": "Anna", **body})
    assert answer.status_code == 422
    assert words in answer.json()["error"]
    assert read_log(results / "clear" / CORRECTIONS_FILE).entries == ()


def test_two_windows_and_two_people_lose_nothing(client, results):
    def work(author):
        for number in range(8):
            answer = send(client, "move", author, landmarks=["neck"], position=[number, 0, 0])
            assert answer.status_code == 200

    people = [threading.Thread(target=work, args=(name,)) for name in ("Anna", "Anna", "Bert")]
    for person in people:
        person.start()
    for person in people:
        person.join()
    log = read_log(results / "clear" / CORRECTIONS_FILE)
    assert [log.damaged, len(log.entries)] == [0, 24]
    history = client.get(CASE, params={"author": "Bert"}).json()["history"]
    assert history["authors"] == ["Anna", "Bert"]
    (item,) = client.get("/api/cases", params={"search": "clear"}).json()["cases"]
    assert item["authors"] == ["Anna", "Bert"]


def test_a_server_that_was_killed_while_it_saved_goes_on_where_it_was(results, serve):
    first = serve(results)
    send(first, "move", landmarks=["neck"], position=[1, 2, 3])
    send(first, "move", landmarks=["head"], position=[1, 2, 3])
    path = results / "clear" / CORRECTIONS_FILE
    path.write_bytes(path.read_bytes()[:-30])  # killed in the middle of the second line
    second = serve(results)
    detail = second.get(CASE).json()
    assert detail["history"]["damaged_lines"] == 1
    assert marks_of(detail)["neck"]["review"] == "moved"
    assert marks_of(detail)["head"]["review"] == "machine"
    again = send(second, "move", landmarks=["head"], position=[4, 5, 6]).json()
    assert marks_of(again)["head"]["position"] == [4, 5, 6]
    lines = second.get(f"{CASE}/corrections.jsonl").text.splitlines()
    assert len(lines) == 2


def test_a_question_pins_what_a_person_did_and_moves_the_rest(client, monkeypatch):
    asked, prepared = [], threading.Event()

    class Session:
        """Answers with the predicted pose, moved by 5 mm; pins stay."""

        def __init__(self):
            self.pins = {"head": None}

        def unpin(self, landmark):
            del self.pins[landmark]

        def pin(self, landmark, position_mm, review):
            self.pins[landmark] = (position_mm, review)

        def solve(self):
            asked.append(dict(self.pins))
            pose = prediction()
            return type(pose)(pose.skeleton, pose.positions_mm + 5.0, 0.7)

    class Estimator:
        model_sha256 = "small"
        pipeline = type("Pipeline", (), {"skeleton": prediction().skeleton})

        def session(self, volume):
            assert volume.array.shape == (20, 20, 20)
            assert not prepared.is_set()  # once for all questions
            prepared.set()
            return Session()

    monkeypatch.setattr(work, "load_estimator", lambda _: Estimator())
    monkeypatch.setattr(work, "_SESSIONS", OrderedDict())
    assert client.post(f"{CASE}/prepare").status_code == 202
    assert prepared.wait(10)
    assert client.post("/api/cases/none/prepare").status_code == 404
    unasked = client.post(f"{CASE}/ask", json={"author": "Anna"})
    assert "no landmark of a person" in unasked.json()["error"]
    send(client, "move", landmarks=["left_wrist"], position=[1, 2, 3])
    send(client, "absent", landmarks=["crown"])
    detail = client.post(f"{CASE}/ask", json={"author": "Anna"}).json()
    assert asked == [{"left_wrist": ((1.0, 2.0, 3.0), "moved")}]
    marks = marks_of(detail)
    assert marks["left_wrist"]["position"] == [1, 2, 3]
    assert marks["crown"]["review"] == "absent"
    expected = prediction()["neck"].position_mm + 5.0
    assert (marks["neck"]["position"], marks["neck"]["confidence"]) == (expected.tolist(), 0.7)
    assert detail["history"]["undo"] == "ask"
    back = client.post(f"{CASE}/undo", json={"author": "Anna"}).json()
    assert marks_of(back)["neck"]["position"] == prediction()["neck"].position_mm.tolist()
    assert isinstance(client.application.engine.calls[-1], partial)

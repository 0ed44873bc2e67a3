"""The plain pages: every correction but dragging, with forms and without any script."""

import re
from io import BytesIO

import matplotlib.image
import pytest

from fetusmap.corrections import CORRECTIONS_FILE, read_log

from .conftest import BASE, PORT, TOKEN


def submit(client, action, **fields):
    form = {"author": "Anna", "action": action, **fields}
    return client.post("/cases/clear", data=form)


def marks(client):
    return {m["name"]: m for m in client.get("/api/cases/clear").json()["pose"]}


def test_the_work_list_leads_to_cases_and_each_case_to_the_next_one(client):
    page = client.get("/?author=Anna+B").text
    assert 'href="/cases/doubtful?author=Anna+B"' in page
    case = client.get("/cases/doubtful?author=Anna+B").text
    assert "the fetus lies at the border" in case
    assert 'href="/cases/middling?author=Anna+B"' in case
    assert "<script" not in case
    without_name = client.get("/cases/doubtful").text
    assert "choose a name" in without_name
    assert "<button" not in without_name
    assert client.get("/cases/nobody").status_code == 404


def test_every_button_does_what_it_says_and_leads_back_to_the_case(client):
    page = client.get("/cases/clear?author=Anna").text
    buttons = set(re.findall(r'name="action" value="(\w+)"', page))
    answer = submit(client, "move", landmark="left_wrist", x="1", y="2,5", z=" 3 ")
    assert (answer.status_code, answer.headers["location"]) == (303, "/cases/clear?author=Anna")
    assert marks(client)["left_wrist"]["position"] == [1, 2.5, 3]
    submit(client, "undo")
    assert marks(client)["left_wrist"]["review"] == "machine"
    submit(client, "redo")
    assert marks(client)["left_wrist"]["review"] == "moved"
    for action in ("accept", "absent", "outside", "exchange", "reset"):
        assert submit(client, action, landmarks=["left_knee", "right_knee"]).status_code == 303
    for action in ("exchange_body", "accept_case", "reopen"):
        assert submit(client, action).status_code == 303
    submit(client, "problem", note="no fetus")
    assert client.get("/api/cases/clear").json()["note"] == "no fetus"
    entries = client.get("/api/cases/clear").json()["history"]["entries"]
    done = [entry["action"] for entry in entries]
    assert done == [
        "move", "undo", "redo", "accept", "absent", "outside", "exchange", "reset", "exchange",
        "accept_case", "reopen", "problem",
    ]  # fmt: skip
    assert buttons == {*done, "exchange_body", "ask"}


@pytest.mark.parametrize(
    ("action", "fields", "words"),
    [
        ("accept", {}, "mark some first"),
        ("move", {"landmark": "neck", "x": "1", "y": "", "z": "3"}, "fill in x, y and z"),
        ("move", {"landmark": "tail", "x": "1", "y": "2", "z": "3"}, "unknown name"),
        ("move", {"landmark": "neck", "x": "nan", "y": "2", "z": "3"}, "position"),
        ("delete", {}, "action"),
        ("undo", {}, "an action of Anna to undo"),
        ("ask", {}, "no landmark of a person"),
        ("reopen", {"author": ""}, "author"),
    ],
)
def test_a_form_that_means_nothing_says_why_and_changes_nothing(
    client, results, action, fields, words
):
    answer = submit(client, action, **fields)
    assert answer.status_code == 200
    (alert,) = re.findall(r'<p role="alert">(.*?)</p>', answer.text)
    assert words in alert
    assert read_log(results / "clear" / CORRECTIONS_FILE).entries == ()


def test_forms_of_other_pages_have_no_effect(client, results):
    form = {"author": "Anna", "action": "accept_case"}
    headers = {"authorization": "", "cookie": f"fetusmap-{PORT}={TOKEN}"}
    for origin in ({}, {"origin": "http://evil.example"}, {"origin": "null"}):
        answer = client.post("/cases/clear", data=form, headers={**headers, **origin})
        assert answer.status_code == 403
    assert read_log(results / "clear" / CORRECTIONS_FILE).entries == ()
    own = client.post("/cases/clear", data=form, headers={**headers, "origin": BASE})
    assert own.status_code == 303
    for body in (b"\xff\xfe", b"a&" * 200):
        assert client.post("/cases/clear", content=body).status_code == 422


def test_the_picture_of_a_case_is_shown(client, results):
    assert "<img" not in client.get("/cases/clear").text
    assert client.get("/api/cases/clear/preview").status_code == 404
    (results / "clear" / "preview.png").write_bytes(b"picture")
    assert "/preview" in client.get("/cases/clear").text
    assert client.get("/api/cases/clear/preview").content == b"picture"
    assert "/picture" not in client.get("/cases/clear").text
    before = client.get("/api/cases/clear/picture")
    assert matplotlib.image.imread(BytesIO(before.content)).shape == (320, 960, 4)
    submit(client, "absent", landmarks=["neck"])
    assert "/picture" in client.get("/cases/clear").text
    assert client.get("/api/cases/clear/picture").content != before.content
    submit(client, "undo")
    assert client.get("/api/cases/clear/picture").content == before.content

"""Attacks: a stranger gets nothing and changes nothing, and the next good request is served."""

import html
import socket
import time

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetusmap.corrections import CORRECTIONS_FILE
from fetusmap.serve import open_socket, security

from .conftest import BASE, PORT, TOKEN, prediction, start, three_cases, write_case

CASE = "/api/cases/clear"
MOVE = {"author": "Anna", "action": "move", "landmarks": ["neck"], "position": [1, 2, 3]}
PATHS = ["/", "/plain", "/cases/clear", f"{CASE}/picture", "/api",
         "/api/openapi.json", "/api/status", "/api/cases", CASE, "/api/jobs",
         f"{CASE}/volume.nii.gz", f"{CASE}/results/pose.json", f"{CASE}/page",
         f"{CASE}/corrections.jsonl", "/static/app.js", "/nowhere"]  # fmt: skip


def cookie() -> dict[str, str]:
    return {"cookie": f"fetusmap-{PORT}={TOKEN}", "authorization": ""}


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    client = start(three_cases(tmp_path_factory.mktemp("attacked") / "results"))
    yield client
    client.application.close()


@pytest.fixture
def untouched(attacked):
    """A client; afterwards nothing was corrected and the server answers the next request."""
    attacked.cookies.clear()
    yield attacked
    for folder in attacked.application.workspace.root.iterdir():
        assert not (folder / CORRECTIONS_FILE).exists()
    assert attacked.get("/api/status").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ""},
        {"authorization": "Bearer "},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": b"Bearer \xff\xfe"},
        {"authorization": "", "cookie": f"fetusmap-{PORT}="},
        {"authorization": "", "cookie": f"fetusmap-{PORT + 1}={TOKEN}"},
        {"authorization": "", "cookie": "\x01;;=,"},
    ],
)
def test_without_the_token_every_path_is_closed(untouched, headers):
    for path in PATHS:
        answer = untouched.get(path, headers=headers)
        assert answer.status_code == 401
        assert TOKEN not in answer.text
    assert untouched.post(f"{CASE}/corrections", json=MOVE, headers=headers).status_code == 401
    form = {"author": "Anna", "action": "accept_case"}
    assert untouched.post("/cases/clear", data=form, headers=headers).status_code == 401
    assert untouched.get(f"{CASE}?token={TOKEN}", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "host",
    ["evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}", "", "0.0.0.0",  # noqa: S104
     f"127.0.0.1:{PORT}.evil.example", f"evil.example@127.0.0.1:{PORT}"],
)  # fmt: skip
def test_a_name_that_was_made_to_lead_here_is_refused(untouched, host):
    for path in PATHS:
        assert untouched.get(path, headers={"host": host}).status_code == 421
    answer = untouched.post(f"{CASE}/corrections", json=MOVE, headers={"host": host})
    assert answer.status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{PORT + 1}"},
        {"origin": f"https://127.0.0.1:{PORT}"},
        {"origin": f"{BASE}.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {},
    ],
)
def test_a_page_of_another_origin_cannot_use_the_cookie(untouched, headers):
    """A form of another page sends the cookie of a lax browser, but not our origin."""
    answer = untouched.post(f"{CASE}/corrections", json=MOVE, headers={**cookie(), **headers})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    options = untouched.options(CASE, headers={**headers, "access-control-request-method": "POST"})
    assert options.status_code in (401, 403, 405)
    assert "access-control-allow-origin" not in options.headers


def test_the_own_page_can_use_the_cookie(client):
    for headers in ({"origin": BASE}, {"sec-fetch-site": "same-origin"}):
        answer = client.post(f"{CASE}/corrections", json=MOVE, headers={**cookie(), **headers})
        assert answer.status_code == 200
    assert client.get(CASE, headers=cookie()).status_code == 200


def test_the_address_with_the_token_becomes_a_cookie(client):
    answer = client.get(f"/?token={TOKEN}", headers={"authorization": ""})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    given_cookie = answer.headers["set-cookie"]
    assert given_cookie.startswith(f"fetusmap-{PORT}={TOKEN};")
    for word in ("HttpOnly", "SameSite=Strict", "Path=/"):
        assert word in given_cookie
    client.cookies.clear()
    assert client.get("/?token=wrong", headers={"authorization": ""}).status_code == 401


def test_every_answer_forbids_foreign_content_and_frames(client):
    for path in PATHS:
        for headers in ({}, {"authorization": ""}):
            answer = client.get(path, headers=headers)
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "same-origin"


TRAVERSALS = ["../scans", "..%2fscans", "%2e%2e", "..%5cscans", "/etc/passwd",
              "%2fetc%2fpasswd", "clear/../../scans", "clear%00", "CLEAR", "clear.", " clear",
              "summary.csv", ".uploads", "~", "c:", "clear\\..", "%ff%fe", "a" * 5000]  # fmt: skip


@pytest.mark.parametrize("name", TRAVERSALS)
def test_no_parameter_leads_out_of_the_folder(untouched, name):
    for path in (
        f"/api/cases/{name}", f"/api/cases/{name}/volume.nii.gz", f"/api/cases/{name}/page",
        f"/api/cases/{name}/results/pose.json", f"{CASE}/results/{name}", f"/static/{name}",
        f"/api/jobs/{name}", f"/api/cases/{name}/corrections.jsonl", f"/cases/{name}",
        f"/api/cases/{name}/picture",
    ):  # fmt: skip
        assert untouched.get(path).status_code in (404, 405, 422), path
    for action in ("corrections", "undo", "ask", "predict"):
        answer = untouched.post(f"/api/cases/{name}/{action}", json=MOVE)
        assert answer.status_code in (404, 405, 422)


@settings(max_examples=60, deadline=None)
@given(name=st.text(min_size=1, max_size=60))
def test_any_text_as_a_case_is_unknown_and_never_an_internal_error(attacked, name):
    answer = attacked.get("/api/cases/" + "".join(f"%{byte:02x}" for byte in name.encode()))
    assert answer.status_code in (404, 405) or name == "clear"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"author": 1}', b"[" * 20_000,
     b'{"author": "Anna", "action": "move", "landmarks": ["neck"], "position": [NaN, 0, 0]}',
     b'{"author": "Anna", "action": "move", "landmarks": ["neck"], "position": [1e999, 0, 0]}'],
)  # fmt: skip
def test_a_body_that_is_no_correction_is_refused(untouched, body):
    headers = {"content-type": "application/json"}
    answer = untouched.post(f"{CASE}/corrections", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert set(answer.json()) == {"error"}


def test_a_body_that_is_too_large_is_refused(untouched):
    body = b'{"author": "' + b"a" * security.MAX_BODY_BYTES + b'"}'
    headers = {"content-type": "application/json"}
    for action in ("corrections", "undo", "ask"):
        answer = untouched.post(f"{CASE}/{action}", content=body, headers=headers)
        assert answer.status_code == 413


SCRIPT = "<script>alert(1)</script>"


def test_scripts_in_names_and_words_stay_text(serve, tmp_path):
    root = tmp_path / "results"
    root.mkdir()
    write_case(root, "odd", prediction(0.1, (SCRIPT, "{{ 7 * 7 }}")))
    (root / "odd").rename(root / SCRIPT.replace("/", ""))  # no name of a case: it is passed over
    write_case(root, "odd", prediction(0.1, (SCRIPT, "{{ 7 * 7 }}")))
    client = serve(root)
    note = {"author": SCRIPT, "action": "problem", "note": SCRIPT}
    assert client.post("/api/cases/odd/corrections", json=note).status_code == 200
    page = client.get("/").text
    assert SCRIPT not in page
    assert page.count(html.escape(SCRIPT)) == 3
    case = client.get("/cases/odd", params={"author": f'"><{SCRIPT}'}).text
    assert SCRIPT not in case
    assert html.escape(SCRIPT) in case
    assert "{{ 7 * 7 }}" in page
    detail = client.get("/api/cases/odd")
    assert detail.headers["content-type"] == "application/json"
    assert detail.json()["note"] == SCRIPT
    moved = {**MOVE, "landmarks": [SCRIPT]}
    refused = client.post("/api/cases/odd/corrections", json=moved)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/json"


def test_a_log_that_leads_elsewhere_is_not_followed(client, results, tmp_path):
    (tmp_path / "target").write_text("")
    (results / "clear" / CORRECTIONS_FILE).symlink_to(tmp_path / "target")
    assert client.post(f"{CASE}/corrections", json=MOVE).status_code == 422
    assert (tmp_path / "target").read_text() == ""
    states = {case["name"]: case["state"] for case in client.get("/api/cases").json()["cases"]}
    assert states == {"clear": "failed", "doubtful": "todo", "middling": "todo"}


def test_slow_clients_are_cut_off_and_others_are_served(running):
    head = f"POST {CASE}/corrections HTTP/1.1\r\nHost: 127.0.0.1:{running}\r\n"
    rest = f"Authorization: Bearer {TOKEN}\r\nContent-Length: 500\r\nContent-Type: application/json"
    slow = []
    for number in range(20):
        connection = socket.create_connection(("127.0.0.1", running), timeout=5)
        half = head[:30] if number % 2 else head + rest + "\r\n\r\n{"
        connection.sendall(half.encode())
        slow.append(connection)
    start = time.monotonic()
    headers = {"authorization": f"Bearer {TOKEN}"}
    answer = httpx.get(f"http://127.0.0.1:{running}/api/status", headers=headers)
    assert answer.status_code == 200
    for connection in slow:  # each connection ends soon
        received = b""
        while part := connection.recv(4096):
            received += part
        assert received == b"" or b" 408 " in received
        connection.close()
    assert time.monotonic() - start < 4


def test_two_requests_on_one_connection_and_an_idle_end(running):
    with httpx.Client(headers={"authorization": f"Bearer {TOKEN}"}) as client:
        for _ in range(3):
            answer = client.get(f"http://127.0.0.1:{running}/api/cases")
            assert answer.status_code == 200


def test_a_taken_port_is_named(refused):
    from fetusmap.errors import BadInput

    with open_socket("127.0.0.1", 0) as taken:
        taken.listen()
        with refused("--port", error=BadInput):
            open_socket("127.0.0.1", taken.getsockname()[1])
        with refused("--port", error=BadInput):
            open_socket("127.0.0.1", 70_000)

"""The work list, the detail of a case, its volume, and its results in every format."""

import csv
import gzip
import io
import json

import numpy as np
import pytest

from fetusmap.dataset import DatasetWriter
from fetusmap.io import load_pose, load_volume
from fetusmap.scale import write_summary
from fetusmap.serve.models import CaseDetail
from fetusmap.volume import Volume

from .conftest import GRID, noise, prediction, write_case


def test_doubtful_cases_come_first_and_states_are_counted(client):
    listed = client.get("/api/cases").json()
    assert [case["name"] for case in listed["cases"]] == ["doubtful", "middling", "clear"]
    assert listed["total"] == listed["counts"]["todo"] == 3
    assert listed["cases"][0]["reasons"] == "the fetus lies at the border"
    assert listed["cases"][0]["warnings"] == "a warning"
    page = client.get("/api/cases", params={"offset": 1, "limit": 1}).json()
    assert [case["name"] for case in page["cases"]] == ["middling"]
    assert page["total"] == 3
    found = client.get("/api/cases", params={"search": "CLE"}).json()
    assert [case["name"] for case in found["cases"]] == ["clear"]


def test_the_table_of_the_results_says_the_same_as_the_poses(client, results):
    from_poses = client.get("/api/cases").json()
    write_summary(results, [])
    assert (results / "summary.csv").is_file()
    assert client.get("/api/cases").json() == from_poses


def test_a_list_gives_its_own_order(results, serve):
    client = serve(results, order=["clear", "doubtful"])
    listed = client.get("/api/cases", params={"order": "list"}).json()
    assert [case["name"] for case in listed["cases"]] == ["clear", "doubtful", "middling"]


def test_a_case_that_failed_and_a_damaged_one_are_named_and_stop_nothing(client, results):
    folder = results / "broken"
    folder.mkdir()
    (folder / "failed.json").write_text(
        json.dumps({"format": "fetusmap-failed", "version": 1, "source": "x", "error": "no volume"})
    )
    (results / "clear" / "pose.json").write_text("{")
    cases = {case["name"]: case for case in client.get("/api/cases").json()["cases"]}
    assert (cases["broken"]["state"], cases["broken"]["reasons"]) == ("failed", "no volume")
    assert cases["clear"]["state"] == "failed"
    assert client.get("/api/cases/broken").json()["error"] == "no volume"
    assert client.get("/api/cases/clear").status_code == 422


def test_the_detail_of_a_case_holds_what_a_viewer_needs(client):
    detail = client.get("/api/cases/doubtful").json()
    assert CaseDetail.model_validate(detail).model_dump(mode="json") == detail
    pose = prediction(0.2)
    assert detail["quality"] == 0.2
    assert detail["reasons"] == ["the fetus lies at the border"]
    assert detail["warnings"] == ["a warning"]
    assert detail["has_volume"]
    assert not detail["has_page"]
    for mark, there in zip(pose, detail["pose"], strict=True):
        assert there["name"] == mark.name
        assert there["position"] == mark.position_mm.tolist()
        assert (there["confidence"], there["review"]) == (0.5, "machine")
    marks = {mark["name"]: mark for mark in detail["skeleton"]["landmarks"]}
    assert marks["left_wrist"]["partner"] == "right_wrist"
    assert marks["left_wrist"]["limb"] == marks["right_elbow"]["limb"] == "arm"
    assert marks["neck"]["partner"] is None
    assert marks["left_wrist"]["color"] != marks["right_wrist"]["color"]
    lengths = {m["name"]: m["value"] for m in detail["measurements"]}
    assert lengths["left_femur"] == pytest.approx(pose.lengths_mm()["left_femur"])


def test_the_volume_for_viewing_is_nifti_of_the_same_place_and_is_sent_once(client, tmp_path):
    answer = client.get("/api/cases/clear/volume.nii.gz")
    assert answer.headers["content-type"] == "application/gzip"
    assert gzip.decompress(answer.content)[344:347] == b"n+1"
    (tmp_path / "view.nii.gz").write_bytes(answer.content)
    view = load_volume(tmp_path / "view.nii.gz")
    np.testing.assert_allclose(view.grid.affine, GRID.affine, atol=1e-6)
    assert view.array.dtype == np.uint8
    again = client.get(
        "/api/cases/clear/volume.nii.gz", headers={"if-none-match": answer.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    (tmp_path / "scans" / "clear.nii.gz").unlink()
    gone = client.get("/api/cases/clear/volume.nii.gz")
    assert gone.status_code == 422
    assert "restore it" in gone.json()["error"]


def test_results_come_in_every_format(client, tmp_path):
    client.post(
        "/api/cases/clear/corrections",
        json={"author": "Anna", "action": "move", "landmarks": ["neck"], "position": [1, 2, 3]},
    )
    for name in ("pose.json", "pose.mrk.json", "landmarks.csv"):
        answer = client.get(f"/api/cases/clear/results/{name}")
        assert answer.headers["content-disposition"] == f'attachment; filename="clear-{name}"'
        (tmp_path / name).write_bytes(answer.content)
        pose = load_pose(tmp_path / name)
        assert pose["neck"].position_mm.tolist() == [1, 2, 3]
        assert pose["neck"].review == "moved"
        plain = client.get(f"/api/cases/clear/results/{name}", params={"corrected": False})
        (tmp_path / name).write_bytes(plain.content)
        assert load_pose(tmp_path / name).equals(prediction())
    indices = client.get("/api/cases/clear/results/nnlandmark.json").json()
    np.testing.assert_allclose(indices["landmarks"]["neck"], GRID.to_index([1, 2, 3]))
    doubts = client.get("/api/cases/clear/results/nnlandmark.json").headers["fetusmap-doubts"]
    assert doubts.startswith("this format cannot say which landmarks a person accepted")
    table = client.get("/api/cases/clear/results/lengths.csv").text
    assert {row["case"] for row in csv.DictReader(io.StringIO(table))} == {"clear"}
    assert client.get("/api/cases/clear/results/pose.exe").status_code == 404
    no_dicom = client.get("/api/cases/clear/results/report.dcm")
    assert no_dicom.status_code == 422
    assert "DICOM" in no_dicom.json()["error"]


def test_a_dataset_is_served_as_it_is(serve, tmp_path):
    root = tmp_path / "dataset"
    pose = prediction()
    with DatasetWriter(root, name="set", licence="none", skeleton=pose.skeleton) as writer:
        writer.add(Volume(noise().array, GRID, name="one"), pose, to_check=("odd arm",))
        writer.add(Volume(noise().array, GRID, name="two"), None)
    client = serve(root)
    status = client.get("/api/status").json()
    assert (status["kind"], status["can_predict"], status["cases"]) == ("dataset", False, 2)
    states = {case["name"]: case["state"] for case in client.get("/api/cases").json()["cases"]}
    assert states == {"one": "todo", "two": "new"}
    assert client.get("/api/cases").json()["cases"][0]["reasons"] == "odd arm"
    assert client.get("/api/cases/one").json()["reasons"] == ["odd arm"]
    moved = {"author": "Anna", "action": "move", "landmarks": ["head"], "position": [1, 2, 3]}
    detail = client.post("/api/cases/two/corrections", json=moved).json()
    assert {mark["review"] for mark in detail["pose"]} == {"placed", "machine"}
    assert (root / "corrections" / "two.jsonl").is_file()
    assert load_pose(root / "landmarks" / "one.json").equals(pose)
    assert client.post("/api/cases/one/predict").status_code == 422
    assert client.get("/api/cases/two/volume.nii.gz").status_code == 200


def test_a_page_of_a_case_is_sent_in_a_sandbox(client, results):
    assert client.get("/api/cases/clear/page").status_code == 404
    (results / "clear" / "report.html").write_text("<p>page</p>")
    page = client.get("/api/cases/clear/page")
    assert page.text == "<p>page</p>"
    assert "sandbox allow-scripts" in page.headers["content-security-policy"]
    assert "'self'" not in page.headers["content-security-policy"]
    (results / "middling" / "report.html").symlink_to(results / "clear" / "report.html")
    assert client.get("/api/cases/middling/page").status_code == 404


def test_volumes_that_are_not_predicted_yet_are_new_cases(serve, tmp_path, results):
    write_case(tmp_path / "other", "fresh", prediction())
    client = serve(tmp_path / "out", inputs=[tmp_path / "scans" / "fresh.nii.gz"])
    (case,) = client.get("/api/cases").json()["cases"]
    assert (case["name"], case["state"]) == ("fresh", "new")
    assert client.get("/api/cases/fresh/volume.nii.gz").status_code == 200
    assert client.get("/api/cases/fresh").json()["pose"][0]["position"] is None


def test_the_plain_work_list_links_the_pages(client):
    page = client.get("/").text
    assert page.index("doubtful") < page.index("clear")
    assert 'href="/cases/doubtful"' in page
    assert "<script" not in page


def test_files_of_the_browser_are_sent_and_nothing_else(serve, results, tmp_path):
    bundle = tmp_path / "bundle"
    (bundle / "assets").mkdir(parents=True)
    (bundle / "app.html").write_text("<p>application</p>")
    (bundle / "assets" / "app.js").write_text("1")
    (bundle / "secret.py").write_text("1")
    client = serve(results, bundle=bundle)
    assert client.get("/").text == "<p>application</p>"
    assert client.get("/static/assets/app.js").headers["content-type"].startswith("text/javascript")
    for name in ("secret.py", "../results/summary.csv", "..%2fresults%2fclear%2fpose.json", ""):
        assert client.get(f"/static/{name}").status_code == 404


def test_the_interface_describes_itself_without_a_script(client):
    document = client.get("/api/openapi.json").json()
    page = client.get("/api").text
    for path in document["paths"]:
        assert path in page
    for name in document["components"]["schemas"]:
        assert f'id="{name}"' in page
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page

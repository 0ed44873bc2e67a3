"""Uploads: what becomes a case, what is refused, and what remains of it; jobs and their queue."""

import asyncio
import threading

import httpx
import pytest

from fetusmap.errors import FetusmapError, ResourceError
from fetusmap.io import load_volume, save_pose, save_volume
from fetusmap.scale import CaseResult, write_tables
from fetusmap.serve import ServeLimits
from fetusmap.serve.workspace import UPLOADS_FOLDER
from fetusmap.work_process import Stopped

from .conftest import BASE, TOKEN, noise, prediction, wait_for


@pytest.fixture
def scan(tmp_path):
    save_volume(noise(), tmp_path / "scan.nii.gz")
    return (tmp_path / "scan.nii.gz").read_bytes()


class Engine:
    """Pretends to predict: writes the pose of each case that it is given."""

    def __init__(self):
        self.settings, self.tables, self.hold = [], [], threading.Event()
        self.hold.set()
        self.error = None

    def call(self, function, *, cancelled=None, **_):
        while not self.hold.wait(0.01):
            if cancelled is not None and cancelled.is_set():
                raise Stopped("cancelled")
        if self.error is not None:
            raise self.error
        if function.func is write_tables:
            self.tables.append(function.args)
            return None
        output, settings, volume = function.args
        self.settings.append(settings)
        (output / volume.case).mkdir(exist_ok=True)
        save_pose(prediction(), output / volume.case / "pose.json")
        return CaseResult(volume.case, volume.path, prediction())

    def close(self):
        self.hold.set()


@pytest.fixture
def client(results, serve):
    client = serve(results)
    client.application.engine = Engine()
    return client


def upload(client, content, name="scan.nii.gz"):
    return client.post("/api/volumes", params={"name": name}, content=content)


def left_over(results):
    folder = results / UPLOADS_FOLDER
    return sorted(folder.iterdir()) if folder.is_dir() else []


def test_an_upload_becomes_a_case_that_is_predicted(client, results, scan):
    answer = upload(client, scan)
    assert answer.status_code == 201
    assert answer.json()["case"] == "scan"
    assert answer.json()["job"]["expected_seconds"] is None
    job = wait_for(client.application.jobs, answer.json()["job"]["id"])
    assert client.get(f"/api/jobs/{job.id}").json()["expected_seconds"] >= 0
    assert (job.state, job.error) == ("done", "")
    detail = client.get("/api/cases/scan").json()
    assert (detail["state"], detail["has_volume"]) == ("todo", True)
    assert client.get("/api/cases/scan/volume.nii.gz").status_code == 200
    (file,) = (results / "scan").glob("upload*")
    assert load_volume(file).array.shape == (20, 20, 20)
    assert upload(client, scan).json()["case"] == "scan-2"
    assert left_over(results) == []


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("../../evil.nii.gz", "evil"),
        ("..\\..\\evil.nii.gz", "evil"),
        ("/etc/cron.d/x.nii.gz", "x"),
        ("a b<script>.nii.gz", "a_b_script"),
        ("summary.csv.nii.gz", "summary_csv"),
        ("CLEAR.nii.gz", "CLEAR-2"),
        ("con.nii.gz", "case-con"),
    ],
)
def test_a_name_is_only_ever_a_name(client, results, scan, name, case):
    before = {path.name for path in results.parent.iterdir()}
    answer = upload(client, scan, name)
    assert answer.json()["case"] == case
    assert (results / case).is_dir()
    assert {path.name for path in results.parent.iterdir()} == before


def detached(target):
    return (
        "ObjectType = Image\nNDims = 3\nDimSize = 20 20 20\nElementType = MET_UCHAR\n"
        f"ElementSpacing = 1 1 1\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nElementDataFile = {target}\n"
    ).encode()


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"", "a.nii.gz", "empty"),
        (b"MZ" * 100, "a.nii.gz", ""),
        (b"\x1f\x8b" + b"\0" * 500, "a.nii.gz", ""),
        (detached("/etc/passwd"), "a.mha", ""),
        (detached("pose.json"), "a.nii.gz", ""),
        (b"x", "a.mhd", "in one file"),
        (b"x", "a.nhdr", "in one file"),
        (b"x", "a.exe", "in one file"),
        (b"x", "..", "in one file"),
        (b"x", "a.nii.gz/..", "in one file"),
    ],
)
def test_what_is_no_volume_is_refused_and_nothing_remains(client, results, content, name, words):
    before = sorted(path.name for path in results.iterdir())
    answer = upload(client, content, name)
    assert answer.status_code == 422
    assert words in answer.json()["error"]
    assert UPLOADS_FOLDER not in answer.json()["error"]
    assert left_over(results) == []
    assert sorted(p.name for p in results.iterdir() if p.name != UPLOADS_FOLDER) == before
    assert client.application.jobs.jobs() == []


def test_an_upload_that_is_too_large_or_fills_the_disk_is_refused(serve, results, scan):
    small = serve(results, limits=ServeLimits(upload_bytes=1000, free_bytes=0))
    assert upload(small, scan).status_code == 413
    assert left_over(results) == []
    full = serve(results, limits=ServeLimits(free_bytes=10**18))
    answer = upload(full, scan)
    assert answer.status_code == 503
    assert "space on the disk" in answer.json()["error"]
    assert left_over(results) == []
    assert full.get("/api/status").status_code == 200


def test_an_upload_that_takes_too_long_is_ended(serve, results):
    client = serve(results, limits=ServeLimits(upload_s=0.1, free_bytes=0))

    async def trickle():
        while True:
            yield b"x"
            await asyncio.sleep(0.02)

    with pytest.raises(ResourceError, match="all of the file within"):
        asyncio.run(client.application.uploads.receive("a.nii.gz", trickle()))
    assert left_over(results) == []


def test_two_hundred_uploads_at_once_lose_nothing(serve, results, scan):
    client = serve(results, limits=ServeLimits(uploads=3, waiting_jobs=5, free_bytes=0))
    engine = client.application.engine = Engine()
    engine.hold.clear()

    async def upload_all():
        transport = httpx.ASGITransport(client.app)
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(
            transport=transport, base_url=BASE, headers=headers
        ) as browser:
            answers = await asyncio.gather(
                *(
                    browser.post(f"/api/volumes?name=scan{number}.nii.gz", content=scan)
                    for number in range(200)
                )
            )
            alive = await browser.get("/api/status")
        return answers, alive

    answers, alive = asyncio.run(upload_all())
    assert alive.status_code == 200
    accepted = [answer.json() for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code != 201]
    assert {answer.status_code for answer in refused} == {429}
    assert {answer.headers["retry-after"] for answer in refused} == {"5"}
    assert 1 <= len(accepted) <= 8
    assert left_over(results) == []
    engine.hold.set()
    for one in accepted:
        assert wait_for(client.application.jobs, one["job"]["id"]).state == "done"
        assert client.get(f"/api/cases/{one['case']}").json()["state"] == "todo"
    assert upload(client, scan, "last.nii.gz").status_code == 201


def test_what_was_being_received_when_the_server_was_killed_is_removed(results, serve):
    (results / UPLOADS_FOLDER).mkdir()
    (results / UPLOADS_FOLDER / "half.nii.gz").write_bytes(b"half")
    client = serve(results)
    assert left_over(results) == []
    assert client.get("/api/status").json()["cases"] == 3


def test_jobs_wait_in_order_and_can_be_cancelled(client, scan):
    engine, jobs = client.application.engine, client.application.jobs
    engine.hold.clear()
    ids = [upload(client, scan, f"s{n}.nii.gz").json()["job"]["id"] for n in range(3)]
    assert client.get(f"/api/jobs/{ids[2]}").json()["place"] in (2, 3)
    assert client.delete(f"/api/jobs/{ids[1]}").json()["state"] == "cancelled"
    client.delete(f"/api/jobs/{ids[0]}")
    assert wait_for(jobs, ids[0]).state == "cancelled"
    engine.hold.set()
    assert wait_for(jobs, ids[2]).state == "done"
    assert len(engine.tables) == 1  # once, when no other job waited
    listed = client.get("/api/jobs").json()["jobs"]
    assert [job["id"] for job in listed] == ids[::-1]
    assert client.get("/api/jobs/none").status_code == 404
    assert client.delete("/api/jobs/none").status_code == 404
    assert client.get("/api/cases/s1").json()["state"] == "new"


@pytest.mark.parametrize("error", [ResourceError("p", expected="a", found="b", remedy="c"),
                                   FetusmapError("no fetus"), RuntimeError("odd")])  # fmt: skip
def test_a_job_that_fails_names_its_error_and_the_next_one_runs(client, scan, error):
    engine, jobs = client.application.engine, client.application.jobs
    engine.error = error
    failed = wait_for(jobs, upload(client, scan).json()["job"]["id"])
    assert (failed.state, failed.error) == ("failed", str(error))
    engine.error = None
    assert wait_for(jobs, client.post("/api/cases/scan/predict").json()["id"]).state == "done"


def test_a_prediction_again_reads_the_volume_as_before(client, results):
    path = results / "clear" / "done.json"
    text = path.read_text().replace('"spacing_mm": null', '"spacing_mm": [2.0, 2.0, 2.0]')
    path.write_text(text.replace('"spacing_mm":null', '"spacing_mm":[2.0,2.0,2.0]'))
    wait_for(client.application.jobs, client.post("/api/cases/clear/predict").json()["id"])
    (used,) = client.application.engine.settings
    assert used.spacing_mm == (2.0, 2.0, 2.0)

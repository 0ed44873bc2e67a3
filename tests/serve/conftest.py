"""A folder of results without a network, and clients of the server."""

import threading
import warnings

import numpy as np
import pytest

from fetusmap.anatomy import Pose, Provenance, Quality, load_skeleton, reference_pose
from fetusmap.geometry import Grid
from fetusmap.io import save_pose, save_volume
from fetusmap.scale import DoneDocument, PredictionSettings, write_record
from fetusmap.serve import (
    Access,
    Application,
    ServeLimits,
    Workspace,
    create_app,
    open_socket,
    security,
    server,
)
from fetusmap.serve.jobs import JobQueue
from fetusmap.volume import Volume

with warnings.catch_warnings():  # Starlette asks for a successor of httpx
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

PORT = 8123
TOKEN = "a-token-for-the-tests-only"  # noqa: S105
BASE = f"http://127.0.0.1:{PORT}"
GRID = Grid.from_spacing((20, 20, 20), 3.0)


class InThisProcess:
    """Runs the work of the server without a process."""

    def __init__(self):
        self.calls = []

    def call(self, function, **_):
        self.calls.append(function)
        return function()

    def close(self):
        pass


def noise(seed: int = 0) -> Volume:
    array = np.random.default_rng(seed).integers(0, 255, (20, 20, 20)).astype(np.uint8)
    return Volume(array, GRID)


def prediction(score: float | None = 0.9, reasons: tuple[str, ...] = ()) -> Pose:
    skeleton = load_skeleton("fetus-22")
    quality = Quality(score=score, reasons=reasons)
    provenance = Provenance(model="small", warnings=("a warning",))
    positions = reference_pose(40.0, skeleton).positions_mm + 30.0
    return Pose(skeleton, positions, 0.5, quality=quality, provenance=provenance)


def write_case(root, name, pose, volume=None):
    """Write the folder of a predicted case, as `predict` does."""
    folder, scan = root / name, root.parent / "scans" / f"{name}.nii.gz"
    scan.parent.mkdir(exist_ok=True)
    save_volume(volume or noise(), scan)
    done = DoneDocument(
        source=str(scan),
        input_sha256="",
        settings_sha256="",
        model_sha256="",
        refine="none",
        fetusmap="",
        device="cpu",
        precision="float32",
    )
    folder.mkdir(parents=True)
    save_pose(pose, folder / "pose.json")
    write_record(folder, "done.json", done)
    return folder


def three_cases(root):
    """Write three predicted cases: a good one, a doubtful one, and one between them."""
    root.mkdir()
    write_case(root, "clear", prediction(0.95))
    write_case(root, "doubtful", prediction(0.2, ("the fetus lies at the border",)))
    write_case(root, "middling", prediction(0.6))
    return root


def start(root, *, limits=None, bundle=None, inputs=(), order=None):
    """Serve a folder, and return a client with the token."""
    application = Application(
        Workspace(root, inputs, order),
        PredictionSettings(),
        limits or ServeLimits(free_bytes=0),
        InThisProcess(),
    )
    app = create_app(application, Access.on_port(PORT, TOKEN), bundle or root / "no bundle")
    client = TestClient(
        app,
        base_url=BASE,
        headers={"authorization": f"Bearer {TOKEN}"},
        raise_server_exceptions=False,
        follow_redirects=False,
    )
    client.application = application
    return client


@pytest.fixture
def results(tmp_path):
    return three_cases(tmp_path / "results")


@pytest.fixture
def serve(request):
    """`start`, with an end."""

    def begin(root, **more):
        client = start(root, **more)
        request.addfinalizer(client.application.close)
        return client

    return begin


@pytest.fixture
def client(results, serve):
    return serve(results)


@pytest.fixture
def running(results, monkeypatch):
    """A server on a real socket, with short times; its address."""
    monkeypatch.setattr(server, "HEADER_TIMEOUT_S", 0.5)
    monkeypatch.setattr(security, "BODY_TIMEOUT_S", 0.5)
    listening = open_socket("127.0.0.1", 0)
    port = listening.getsockname()[1]
    application = Application(Workspace(results), PredictionSettings(), None, InThisProcess())
    ready = threading.Event()
    running = server.make_server(
        create_app(application, Access.on_port(port, TOKEN), results / "none"), ready.set
    )
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    assert ready.wait(10)
    yield port
    running.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


def wait_for(queue: JobQueue, identifier: str, timeout_s: float = 20.0):
    """Wait until a job has ended, and return it."""
    job = queue.job(identifier)
    assert job.finished.wait(timeout_s)
    return job

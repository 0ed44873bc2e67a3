"""A server with planted errors for the tests of the application."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fetusmap.anatomy import Pose, load_skeleton, reference_pose
from fetusmap.errors import FetusmapError
from fetusmap.geometry import Grid
from fetusmap.scale import PredictionSettings
from fetusmap.serve import (
    Access,
    Application,
    ServeLimits,
    Workspace,
    create_app,
    open_socket,
    work,
)
from fetusmap.serve.server import make_server
from fetusmap.volume import Volume
from tests.serve.conftest import TOKEN, InThisProcess, prediction, write_case

SKELETON = load_skeleton("fetus-22")
HOSTILE = "<img src=x onerror='window.hacked = 1'>"
ARM = ("left_shoulder", "left_elbow", "left_wrist", "left_hand")


def truth() -> Pose:
    mark = prediction()
    return replace(mark, positions_mm=reference_pose(40.0, SKELETON).positions_mm + 30.0)


def changed(landmark: str, by_mm) -> Pose:
    positions = truth().positions_mm.copy()
    positions[SKELETON.index(landmark)] += by_mm
    return replace(truth(), positions_mm=positions)


PLANTED = {
    "1-wrist": lambda: changed("left_wrist", (6.0, 0.0, 4.0)),
    "2-arm": lambda: truth().exchange_sides(ARM),
    "3-body": lambda: truth().exchange_sides(),
    "4-missing": lambda: changed("crown", np.nan),
    "5-right": truth,
}


def bright_spots() -> Volume:
    """A dark volume with a spot at each landmark."""
    shape = (36, 36, 36)
    points = truth().positions_mm
    grid = Grid.centered(shape, (2.0, 2.0, 2.0), points.mean(axis=0))
    world = grid.to_world(np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1))
    nearest = np.min([np.linalg.norm(world - point, axis=-1) for point in points], axis=0)
    return Volume(np.where(nearest < 3, 200, 20).astype(np.uint8), grid)


class FollowingSession:
    """Answers a question with the predicted pose, moved by 3 mm."""

    def __init__(self):
        self.pins = {}

    def unpin(self, landmark):
        del self.pins[landmark]

    def pin(self, landmark, position_mm, review):
        self.pins[landmark] = (position_mm, review)

    def solve(self):
        return Pose(SKELETON, truth().positions_mm + 3.0, 0.7)


class SmallEstimator:
    model_sha256 = "small"
    pipeline = type("Pipeline", (), {"skeleton": SKELETON})

    def session(self, _):
        return FollowingSession()


class NoPredictions(InThisProcess):
    """Answers questions; a prediction fails."""

    def call(self, function, **options):
        if function.func.__name__ == "predict_case":
            raise FetusmapError("the model is too large for this test")
        return super().call(function, **options)


@contextmanager
def planted_server(root: Path) -> Iterator[str]:
    """Write the planted cases, serve them on a real socket, and give the address."""
    root.mkdir()
    volume = bright_spots()
    for number, (name, make) in enumerate(PLANTED.items()):
        pose = make()
        quality = pose.quality.model_copy(
            update={"score": 0.1 + number / 10, "reasons": (f"reason {HOSTILE}",)}
        )
        write_case(root, name, replace(pose, quality=quality), volume)
    listening = open_socket("127.0.0.1", 0)
    port = listening.getsockname()[1]
    limits = ServeLimits(free_bytes=0)
    application = Application(Workspace(root), PredictionSettings(), limits, NoPredictions())
    ready = threading.Event()
    server = make_server(create_app(application, Access.on_port(port, TOKEN)), ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work, "load_estimator", lambda _: SmallEstimator())
        patch.setattr(work, "_SESSIONS", OrderedDict())
        thread.start()
        assert ready.wait(20)
        yield f"http://127.0.0.1:{port}/"
        server.should_exit = True
        thread.join(20)

"""Fixtures that several test folders share, and strategies for grids, rotations and poses.

`st.from_type(Grid)`, `st.from_type(Pose)` and `st.from_type(Rotation)` draw from them.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from fetusmap.anatomy import Pose, Skeleton, load_skeleton
from fetusmap.atlas import PoseLibrary
from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.geometry import Grid
from fetusmap.simulate import draw_poses

TRUNK_MM = 25.0

SHARED_DATA = Path(__file__).parents[1] / ".." / "shared" / "data"

settings.register_profile("fetusmap", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("fetusmap")


def triples(low: float, high: float) -> st.SearchStrategy[tuple[float, float, float]]:
    return st.tuples(*[st.floats(low, high)] * 3)


def rotations() -> st.SearchStrategy[Rotation]:
    return triples(-np.pi, np.pi).map(Rotation.from_rotvec)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Small grids: oblique, anisotropic, and every second one left-handed."""
    direction = draw(st.from_type(Rotation)).as_matrix()
    return Grid.from_spacing(
        draw(st.tuples(*[st.integers(1, 7)] * 3)),
        draw(triples(0.1, 5.0)),
        draw(triples(-300.0, 300.0)),
        direction[:, ::-1] if draw(st.booleans()) else direction,
    )


@st.composite
def poses(draw: st.DrawFn) -> Pose:
    """Poses of fetus-16 with any positions and confidences, some landmarks absent."""
    skeleton = load_skeleton()
    positions = draw(arrays(float, (len(skeleton), 3), elements=st.floats(-200.0, 200.0)))
    positions[draw(arrays(bool, len(skeleton)))] = np.nan
    confidence = draw(arrays(float, len(skeleton), elements=st.floats(0.0, 1.0)))
    return Pose(skeleton, positions, confidence)


st.register_type_strategy(Rotation, rotations())
st.register_type_strategy(Grid, grids())
st.register_type_strategy(Pose, poses())


@pytest.fixture(scope="session", autouse=True)
def _one_thread_of_torch() -> None:
    """torch computes on one thread, as pytest-xdist starts one process per core.

    With more threads than cores the threads wait for each other: a training of 13 s took 150 s.
    """
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _quick_processes() -> Iterator[None]:
    """Processes of pools are copies of one that has loaded the networks, which takes seconds.

    As those that are started anew, they inherit nothing from this process. Tests that run the
    program itself start its processes as users do.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        yield
        return
    loaded = ["fetusmap.train", "fetusmap.scale", "fetusmap.experiment.training"]
    multiprocessing.get_context("forkserver").set_forkserver_preload(loaded)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fetusmap.workers.START_METHOD", "forkserver")
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the repository; it is not part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data is not here: ../shared/data beside the repository is missing")
    return SHARED_DATA


@pytest.fixture(scope="session")
def skeleton() -> Skeleton:
    """fetus-16."""
    return load_skeleton()


@pytest.fixture(scope="session")
def library() -> PoseLibrary:
    """The atlases that predictions are compared with, of fetus-16."""
    return draw_poses(250, seed=1).on(load_skeleton())


@pytest.fixture(scope="session")
def unseen(skeleton: Skeleton) -> np.ndarray:
    """(24, 16, 3) poses that are not in the library, each with a trunk of 25 mm."""
    poses = draw_poses(24, seed=2).on(skeleton).positions_mm.astype(float)
    sacrum, _, neck = skeleton.indices(skeleton.trunk)
    trunks_mm = np.linalg.norm(poses[:, neck] - poses[:, sacrum], axis=1)
    return poses * (TRUNK_MM / trunks_mm)[:, None, None]


@pytest.fixture(scope="session")
def with_useless():
    """A function that puts atlases that are no use between those of a library.

    One lacks a landmark, one has three, one none; the others are a line, a point, and two points.
    """

    def mix(library):
        useless = library.positions_mm[:6].copy()
        useless[0, 5] = np.nan
        useless[1, 3:] = np.nan
        useless[2] = np.nan
        useless[3] = np.linspace(-40, 50, 16)[:, None] * [1, -2, 0.5]
        useless[4] = [10, 20, 30]
        useless[5, 1:] = useless[5, 1]
        places = [0, 1, 1, 9, 17, len(library)]
        return PoseLibrary(
            library.skeleton, np.insert(library.positions_mm, places, useless, axis=0)
        )

    return mix


@pytest.fixture(scope="session")
def box():
    """A function that makes an oblique grid of 1.5 mm around a pose."""

    def around(pose_mm, spacing=(1.5, 1.5, 1.5), turn=(0.5, -0.3, 1.2), margin_mm=9):
        direction = Rotation.from_rotvec(turn).as_matrix()
        index = pose_mm @ direction
        low, high = index.min(axis=0) - margin_mm, index.max(axis=0) + margin_mm
        shape = np.ceil((high - low) / spacing).astype(int)
        return Grid.centered(shape, spacing, direction @ ((low + high) / 2), direction)

    return around


@pytest.fixture(scope="session")
def placed():
    """A function that turns a pose and puts it anywhere in the room."""

    def place(pose_mm, seed=0):
        rng = np.random.default_rng(seed)
        turn = Rotation.from_rotvec(rng.normal(0, 2, 3))
        return turn.apply(np.asarray(pose_mm, dtype=float)) + rng.uniform(-100, 100, 3)

    return place


@pytest.fixture(scope="session")
def refused() -> Callable[..., AbstractContextManager[pytest.ExceptionInfo[BadInput]]]:
    """`with refused("word"):` demands an error of one short printable line, and soon."""

    @contextmanager
    def check(
        *words: str, error: type[BadInput] = UnreadableFile, within_s: float = 5.0
    ) -> Iterator[pytest.ExceptionInfo[BadInput]]:
        start = time.monotonic()
        with pytest.raises(error) as caught:
            yield caught
        elapsed = time.monotonic() - start
        message = str(caught.value)
        # A printable string holds no line break of any kind and nothing that steers a terminal.
        assert message.isprintable()
        assert len(message.splitlines()) == 1
        assert "Traceback" not in message
        assert len(message) < 1000
        folder = Path(caught.value.subject).parent
        told = message.replace(str(folder), "") if folder.is_absolute() else message
        for word in words:
            assert word in told
        assert elapsed < within_s

    return check

"""The skeleton and the atlases that the tests of this room share."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fetusmap.anatomy import PoseLibrary, Skeleton, load_skeleton
from fetusmap.geometry import Grid
from fetusmap.simulate import draw_poses


@pytest.fixture(scope="session")
def skeleton() -> Skeleton:
    """fetus-16."""
    return load_skeleton()


@pytest.fixture(scope="session")
def library() -> PoseLibrary:
    """Atlases that all have every landmark."""
    return draw_poses(300, seed=1)


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

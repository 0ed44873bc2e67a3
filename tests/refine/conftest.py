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

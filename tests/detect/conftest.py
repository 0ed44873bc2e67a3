"""The skeleton and the pose libraries that the tests of this room share."""

import numpy as np
import pytest

from fetusmap.anatomy import PoseLibrary, Skeleton, load_skeleton
from fetusmap.detect import frame_of
from fetusmap.simulate import draw_poses

TRUNK_MM = 25.0


@pytest.fixture(scope="session")
def skeleton() -> Skeleton:
    """fetus-16."""
    return load_skeleton()


@pytest.fixture(scope="session")
def library() -> PoseLibrary:
    """The atlases that predictions are compared with."""
    return draw_poses(250, seed=1)


@pytest.fixture(scope="session")
def unseen(skeleton: Skeleton) -> np.ndarray:
    """(24, 16, 3) poses that are not in the library, each with a trunk of 25 mm."""
    poses = draw_poses(24, seed=2).positions_mm.astype(float)
    return np.stack([pose * TRUNK_MM / frame_of(skeleton, pose).trunk_mm for pose in poses])

"""The skeleton and the atlases that the tests of this room share."""

import pytest

from fetusmap.anatomy import load_skeleton
from fetusmap.atlas import PoseLibrary
from fetusmap.simulate import draw_poses


@pytest.fixture(scope="session")
def library() -> PoseLibrary:
    """Atlases that all have every landmark."""
    return draw_poses(300, seed=1).on(load_skeleton())

"""What several rooms' tests share: the real data, and strategies for grids, rotations and poses.

`st.from_type(Grid)`, `st.from_type(Pose)` and `st.from_type(Rotation)` draw from them.
"""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from fetusmap.anatomy import Pose, load_skeleton
from fetusmap.geometry import Grid

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


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the repository; it is not part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data is not here: ../shared/data beside the repository is missing")
    return SHARED_DATA

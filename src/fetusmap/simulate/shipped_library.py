"""The poses of the library that ships: 20,000 simulated ones."""

from __future__ import annotations

from fetusmap.atlas import PoseLibrary
from fetusmap.simulate.body.fetus import draw_poses

ATLASES = 20_000
SEED = 5


def draw_atlases() -> PoseLibrary:
    """Draw the library anew."""
    return draw_poses(ATLASES, seed=SEED)

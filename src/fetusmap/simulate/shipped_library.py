"""Draw the pose library that ships with the package: 20,000 simulated poses."""

from __future__ import annotations

from fetusmap.atlas import PoseLibrary
from fetusmap.simulate.body.fetus import draw_poses

ATLASES = 20_000
SEED = 5


def draw_atlases() -> PoseLibrary:
    """Draw the poses of the shipped library again, from its seed."""
    return draw_poses(ATLASES, seed=SEED)

"""The pose library that ships: 20,000 simulated poses."""

from __future__ import annotations

from pathlib import Path

from fetusmap.anatomy import PoseLibrary, Skeleton
from fetusmap.io import load_library
from fetusmap.simulate import draw_poses

ATLASES = 20_000
SEED = 5

FILE = Path(__file__).resolve().parents[1] / "models" / "atlases.safetensors"


def draw_atlases() -> PoseLibrary:
    """Draw the library anew."""
    return draw_poses(ATLASES, seed=SEED)


def load_atlases(skeleton: Skeleton) -> PoseLibrary:
    """Read the library that ships.

    Raises:
        BadInput: it is not of this skeleton.
    """
    return load_library(FILE, skeleton)

"""The pose library that ships with the package."""

from __future__ import annotations

from pathlib import Path

from fetusmap.anatomy import Skeleton
from fetusmap.atlas.library import PoseLibrary
from fetusmap.atlas.library_file import load_library

FILE = Path(__file__).resolve().parents[1] / "models" / "atlases.safetensors"


def load_atlases(skeleton: Skeleton) -> PoseLibrary:
    """Read the library that ships.

    Raises:
        BadInput: it is not of this skeleton.
    """
    return load_library(FILE, skeleton)

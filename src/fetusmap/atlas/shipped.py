"""The pose library that ships with the package: 20,000 simulated poses."""

from __future__ import annotations

from pathlib import Path

from fetusmap.anatomy import Skeleton
from fetusmap.atlas.library import PoseLibrary
from fetusmap.atlas.library_file import load_library

SHIPPED_LIBRARY = Path(__file__).resolve().parents[1] / "models" / "atlases.safetensors"


def load_atlases(skeleton: Skeleton) -> PoseLibrary:
    """Load the pose library that ships with the package.

    Raises:
        BadInput: the shipped library has another skeleton.
    """
    return load_library(SHIPPED_LIBRARY, skeleton)


def atlases_for(skeleton: Skeleton, fallback: PoseLibrary) -> PoseLibrary:
    """Return the shipped library if it has this skeleton, and `fallback` otherwise."""
    shipped = load_library(SHIPPED_LIBRARY)
    return shipped if shipped.skeleton == skeleton else fallback

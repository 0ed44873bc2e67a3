"""The pose library that ships with the package: 20,000 simulated poses."""

from __future__ import annotations

from pathlib import Path

from fetusmap.anatomy import Skeleton, built_in_skeletons
from fetusmap.atlas.library import PoseLibrary
from fetusmap.atlas.library_file import load_library

SHIPPED_LIBRARY = Path(__file__).resolve().parents[1] / "models" / "atlases.safetensors"


def load_atlases(skeleton: Skeleton) -> PoseLibrary:
    """Load the pose library that ships with the package, on a skeleton whose landmarks it has.

    Raises:
        BadInput: the shipped library has no positions for some landmark of the skeleton.
    """
    return load_library(SHIPPED_LIBRARY).on(skeleton)


def atlases_for(skeleton: Skeleton, fallback: PoseLibrary) -> PoseLibrary:
    """Return the shipped library for a built-in skeleton whose landmarks it has, or `fallback`.

    Landmarks of another skeleton may have the same names and other definitions.
    """
    if skeleton.name not in built_in_skeletons():
        return fallback
    shipped = load_library(SHIPPED_LIBRARY)
    has_all = set(skeleton.landmarks) <= set(shipped.skeleton.landmarks)
    return shipped.on(skeleton) if has_all else fallback

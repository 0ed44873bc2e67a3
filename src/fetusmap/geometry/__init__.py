"""Affine maps, grids, rotations and alignment; NumPy only."""

from fetusmap.geometry.affine import (
    LPS_FROM_RAS,
    RAS_FROM_LPS,
    affine_from,
    apply_affine,
    check_affine,
    invert_affine,
    is_reflection,
    orientation_of,
)
from fetusmap.geometry.alignment import Alignment, align_rigid, align_similarity
from fetusmap.geometry.best_rotation import best_rotations
from fetusmap.geometry.grid import Grid
from fetusmap.geometry.rotation import (
    angle_between_rotations,
    random_rotations,
    rotation_about,
    rotation_from_quaternion,
    rotation_from_vector,
    vector_from_rotation,
)

__all__ = [
    "LPS_FROM_RAS",
    "RAS_FROM_LPS",
    "Alignment",
    "Grid",
    "affine_from",
    "align_rigid",
    "align_similarity",
    "angle_between_rotations",
    "apply_affine",
    "best_rotations",
    "check_affine",
    "invert_affine",
    "is_reflection",
    "orientation_of",
    "random_rotations",
    "rotation_about",
    "rotation_from_quaternion",
    "rotation_from_vector",
    "vector_from_rotation",
]

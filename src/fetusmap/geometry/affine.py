"""Affine maps of three-dimensional space, as (4, 4) matrices named `target_from_source`."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from fetusmap.errors import BadInput
from fetusmap.types import Affine, ArrayLike, FloatArray, Points3

LPS_FROM_RAS: Affine = np.diag([-1.0, -1.0, 1.0, 1.0])
"""NIfTI uses RAS, DICOM and ITK use LPS. The map between them is its own inverse."""

RAS_FROM_LPS: Affine = LPS_FROM_RAS

AXIS_LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))
"""Letters of the directions of the x, y and z axis: negative direction, positive direction."""


def affine_from(linear: ArrayLike, offset: ArrayLike) -> Affine:
    """Return the (4, 4) map with a (3, 3) linear part and a (3,) offset."""
    affine = np.eye(4)
    affine[:3, :3] = linear
    affine[:3, 3] = offset
    return affine


def check_affine(affine: ArrayLike, subject: object = "affine") -> Affine:
    """Return `affine` as a (4, 4) float64 map, and make sure that it can be inverted.

    Raises:
        BadInput: the shape or the last row is wrong, a number is not finite, or the linear part is
            singular.
    """
    remedy = "give the 4x4 matrix that takes voxel indices to world millimetres"
    matrix = np.array(affine, dtype=np.float64)
    if matrix.shape != (4, 4):
        raise BadInput(subject, expected="shape (4, 4)", found=f"{matrix.shape}", remedy=remedy)
    if not np.isfinite(matrix).all():
        raise BadInput(subject, expected="finite numbers", found="NaN or infinity", remedy=remedy)
    if not np.array_equal(matrix[3], [0, 0, 0, 1]):
        found = f"last row {matrix[3].tolist()}"
        raise BadInput(subject, expected="last row (0, 0, 0, 1)", found=found, remedy=remedy)
    scale = spacing_of(matrix)
    # The determinant of the unit columns does not depend on the voxel size.
    if (scale == 0).any() or abs(np.linalg.det(matrix[:3, :3] / scale)) < 1e-6:
        found = "a singular matrix (two axes coincide or one has no length)"
        raise BadInput(subject, expected="three independent axes", found=found, remedy=remedy)
    return matrix


def apply_affine(target_from_source: Affine, points: ArrayLike) -> Points3:
    """Apply a (4, 4) map to (..., 3) points. Rows of NaN stay NaN."""
    points = np.asarray(points, dtype=np.float64)
    return points @ target_from_source[:3, :3].T + target_from_source[:3, 3]


def invert_affine(target_from_source: Affine) -> Affine:
    """Return `source_from_target`, with an exact last row."""
    linear = np.linalg.inv(target_from_source[:3, :3])
    return affine_from(linear, -linear @ target_from_source[:3, 3])


def spacing_of(affine: Affine) -> FloatArray:
    """Return the (3,) world distances between neighbouring voxels along each index axis."""
    return np.asarray(np.linalg.norm(affine[:3, :3], axis=0))


def direction_of(affine: Affine) -> FloatArray:
    """Return the (3, 3) unit columns that point along the index axes in the world."""
    return np.asarray(affine[:3, :3] / spacing_of(affine))


def shear_of(affine: Affine) -> float:
    """Return the largest absolute cosine between two index axes: 0 if all angles are right."""
    direction = direction_of(affine)
    return float(np.abs(direction.T @ direction - np.eye(3)).max())


def is_reflection(target_from_source: Affine) -> bool:
    """Whether the map turns a right hand into a left hand."""
    return bool(np.linalg.det(target_from_source[:3, :3]) < 0)


def orientation_of(world_from_index: Affine) -> str:
    """Return three letters, the anatomical direction in which each index grows, such as "LPS".

    There are six ways to assign the index axes to the world axes. The one with the largest sum of
    absolute cosines is used, so an oblique volume also gets three different letters.
    """
    direction = direction_of(world_from_index)
    best = max(
        permutations(range(3)),
        key=lambda order: sum(abs(direction[w, i]) for i, w in enumerate(order)),
    )
    return "".join(AXIS_LETTERS[w][int(direction[w, i] > 0)] for i, w in enumerate(best))

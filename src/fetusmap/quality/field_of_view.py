"""Where a volume shows anything: its field of view, which may be smaller than its box."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fetusmap.types import BoolArray, FloatArray, IntArray, Points3, VoxelArray
from fetusmap.volume import Volume

BLOCK_VOXELS = 4
"""The field of view consists of cubes of so many voxels. Single dark voxels do not limit it."""


def in_field_of_view(prepared: Volume, points_mm: Points3) -> BoolArray:
    """Return the (N,) points that lie inside the field of view; points with NaN do not.

    Outside its field of view a scanner writes zeros. A block of voxels lies outside if it has no
    other value and is connected with the border of the box through such blocks. Fluid without
    echoes in the middle of the volume therefore belongs to the field of view.

    Args:
        prepared: a prepared volume, see `fetusmap.preprocess.prepare`.
        points_mm: (N, 3) points.
    """
    inside = np.asarray(prepared.grid.contains(points_mm))
    index = np.rint(np.where(inside[:, None], prepared.grid.to_index(points_mm), 0)).astype(int)
    blocks = np.clip(index, 0, np.array(prepared.grid.shape) - 1) // BLOCK_VOXELS
    if all(_has_echoes(prepared.array, block) for block in blocks):  # nearly always
        return inside
    return np.asarray(inside & ~_outside_blocks(prepared.array)[tuple(blocks.T)])


def distance_outside_mm(prepared: Volume, points_mm: Points3) -> FloatArray:
    """Return the (N,) distances of points from the field of view; 0 inside it, NaN for NaN.

    The field of view consists of blocks of `BLOCK_VOXELS`; the distance is that from the centre of
    the nearest block, less half its side. A volume without echoes has no field of view; its
    distances are those from its box.

    Args:
        prepared: a prepared volume.
        points_mm: (N, 3) points.
    """
    points = np.asarray(points_mm, np.float64)
    known = np.isfinite(points).all(axis=1)
    distances = np.where(known, 0.0, np.nan)
    outside = known & ~in_field_of_view(prepared, points)
    if not outside.any():
        return distances
    seen = ~_outside_blocks(prepared.array)
    blocks = np.argwhere(seen if seen.any() else np.ones_like(seen))
    centers_mm = prepared.grid.to_world(BLOCK_VOXELS * blocks + (BLOCK_VOXELS - 1) / 2)
    reach = BLOCK_VOXELS / 2 * np.min(prepared.grid.spacing_mm)
    for row in np.flatnonzero(outside):
        nearest = np.sqrt(((centers_mm - points[row]) ** 2).sum(axis=1).min())
        distances[row] = max(0.0, float(nearest - reach))
    return distances


def extent_with_echoes_mm(prepared: Volume) -> tuple[float, float, float]:
    """Return the sides of the smallest box that holds all voxels with echoes; 0 without echoes."""
    blocks = _block_maximum(prepared.array).astype(np.bool_)  # a byte is 0 or above
    others = ((1, 2), (0, 2), (0, 1))
    spans = [np.flatnonzero(blocks.any(axis=axes)) for axes in others]
    if not spans[0].size:
        return (0.0, 0.0, 0.0)
    voxels = [
        min(BLOCK_VOXELS * (int(span[-1]) + 1), side) - BLOCK_VOXELS * int(span[0])
        for span, side in zip(spans, prepared.array.shape, strict=True)
    ]
    i, j, k = (float(n * step) for n, step in zip(voxels, prepared.grid.spacing_mm, strict=True))
    return i, j, k


def _has_echoes(array: VoxelArray, block: IntArray) -> bool:
    return bool(array[tuple(slice(n, n + BLOCK_VOXELS) for n in BLOCK_VOXELS * block)].any())


def _outside_blocks(array: VoxelArray) -> BoolArray:
    empty = _block_maximum(array) == 0
    framed = np.pad(empty, 1, constant_values=True)
    labels, _ = ndimage.label(framed)
    return np.asarray(labels[1:-1, 1:-1, 1:-1] == labels[0, 0, 0])


def _block_maximum(array: VoxelArray) -> NDArray[np.generic]:
    """Return the maximum of each block; blocks at the upper ends may be smaller."""
    for axis in range(3):
        starts = np.arange(0, array.shape[axis], BLOCK_VOXELS)
        array = np.maximum.reduceat(array, starts, axis=axis)
    return array

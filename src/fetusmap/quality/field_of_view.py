"""Where a volume shows anything: its field of view, which may be smaller than its box."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fetusmap.types import BoolArray, IntArray, Points3, VoxelArray
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

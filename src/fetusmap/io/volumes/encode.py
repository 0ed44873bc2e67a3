"""Encode voxels as the bytes that files store."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fetusmap.types import VoxelArray

LEVEL = 4
"""Compression level: speckle hardly compresses, and higher levels only cost time."""

PIECE_BYTES = 1 << 22


def voxel_pieces(array: VoxelArray, dtype: np.dtype[np.generic]) -> Iterator[bytes]:
    """Yield the voxels as bytes, the first index fastest, a few megabytes at a time."""
    plane = array.shape[0] * array.shape[1] * dtype.itemsize
    step = max(1, PIECE_BYTES // plane)
    for start in range(0, array.shape[2], step):
        yield np.ascontiguousarray(array[:, :, start : start + step].T, dtype=dtype).tobytes()

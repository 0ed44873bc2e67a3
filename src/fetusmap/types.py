"""Aliases for the arrays that travel through the house. Shapes stand in the comments."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

Points3: TypeAlias = FloatArray
"""(..., N, 3) points; world millimetres unless the name says otherwise."""

Affine: TypeAlias = FloatArray
"""(4, 4) homogeneous map with last row (0, 0, 0, 1)."""

RotationMatrix: TypeAlias = FloatArray
"""(..., 3, 3) with determinant +1."""

Weights: TypeAlias = FloatArray
"""(N,) non-negative; 0 leaves a landmark out."""

VoxelArray: TypeAlias = NDArray[Any]
"""(I, J, K) voxels of any real scalar type."""

Triple: TypeAlias = tuple[float, float, float]
Shape3: TypeAlias = tuple[int, int, int]

__all__ = [
    "Affine",
    "ArrayLike",
    "BoolArray",
    "FloatArray",
    "IntArray",
    "Points3",
    "RotationMatrix",
    "Shape3",
    "Triple",
    "VoxelArray",
    "Weights",
]

"""Type aliases for arrays; the comments give their shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, TypeVar

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

Field: TypeAlias = NDArray[np.float32]
"""Values of a quantity at the samples of a grid or of a beam lattice, in single precision."""

Labels: TypeAlias = NDArray[np.uint8]
"""A small whole number at each sample of a grid or of a beam lattice."""

Triple: TypeAlias = tuple[float, float, float]
Shape3: TypeAlias = tuple[int, int, int]

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT", covariant=True)


class FrozenMapping(Mapping[KeyT, ValueT]):
    """A mapping that cannot be changed, for the fields of frozen dataclasses.

    Unlike a `MappingProxyType` it can be copied and sent to another process.
    """

    def __init__(self, items: Mapping[KeyT, ValueT]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: KeyT) -> ValueT:
        return self._items[key]

    def __iter__(self) -> Iterator[KeyT]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return repr(self._items)

    def __hash__(self) -> int:
        # Equal mappings have equal keys; the values may be lists, which have no hash.
        return hash(frozenset(self._items))


__all__ = [
    "Affine",
    "ArrayLike",
    "BoolArray",
    "Field",
    "FloatArray",
    "FrozenMapping",
    "IntArray",
    "Labels",
    "Points3",
    "RotationMatrix",
    "Shape3",
    "Triple",
    "VoxelArray",
    "Weights",
]

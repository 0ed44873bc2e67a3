"""`Volume`: an array of voxels with its grid and the facts of its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fetusmap.errors import BadInput
from fetusmap.geometry import Grid
from fetusmap.types import FrozenMapping, VoxelArray


@dataclass(frozen=True, eq=False)
class Volume:
    """An (I, J, K) array of voxels on a `Grid`.

    Attributes:
        array: (I, J, K) real scalars, indexed [i, j, k] as the grid says, in any memory order.
        grid: positions of the voxels, LPS mm.
        name: the case name; never taken from patient data.
        facts: facts that the file states about itself, for people to read.
        warnings: doubts about the file, and values of the file that were overridden.

    Raises:
        BadInput: the shape of the array is not that of the grid, or its type is not real.
    """

    array: VoxelArray
    grid: Grid
    name: str = "volume"
    facts: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.array.shape != self.grid.shape:
            raise BadInput(
                "volume",
                expected=f"an array of the grid's shape {self.grid.shape}",
                found=f"{self.array.shape}",
                remedy="index arrays as [i, j, k]",
            )
        if self.array.dtype.kind not in "uif":
            raise BadInput(
                "volume",
                expected="real scalar voxels",
                found=f"{self.array.dtype}",
                remedy="convert labels or flags to integers, and colours or phases to intensity",
            )
        object.__setattr__(self, "facts", FrozenMapping(dict(self.facts)))

    @property
    def intensity_range(self) -> tuple[float, float]:
        """Lowest and highest value of a voxel."""
        return float(self.array.min()), float(self.array.max())

    def crop(self, start: Sequence[int], stop: Sequence[int]) -> Volume:
        """Return the part from voxel `start` up to, but not including, voxel `stop`, as a view."""
        grid = self.grid.crop(start, stop)
        part = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        return replace(self, array=self.array[part], grid=grid)

"""`Grid`: the positions of the voxels of an array, as a shape and an affine map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fetusmap.errors import BadInput
from fetusmap.geometry.affine import (
    affine_from,
    apply_affine,
    check_affine,
    direction_of,
    invert_affine,
    is_reflection,
    orientation_of,
    shear_of,
    spacing_of,
)
from fetusmap.types import Affine, ArrayLike, BoolArray, FloatArray, Points3, Shape3

MAX_AXIS_VOXELS = 2**31 - 1
"""Largest number of voxels along one axis."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Positions of the voxels of an (I, J, K) array in the world.

    `affine @ (i, j, k, 1)` is the world position (LPS, mm) of the centre of voxel [i, j, k]. A
    voxel extends half a step to each side of its centre, so a grid fills the box from index -0.5 to
    shape - 0.5. Every method that changes a grid returns a new grid. No method moves the world: a
    landmark in millimetres keeps its position.

    Attributes:
        shape: (I, J, K), each at least 1.
        affine: (4, 4) world_from_index, read-only.

    Raises:
        BadInput: the shape is not three positive integers, or the affine cannot be inverted.
    """

    shape: Shape3
    affine: Affine

    def __post_init__(self) -> None:
        shape = tuple(self.shape)
        if len(shape) != 3 or not all(isinstance(n, (int, np.integer)) and n >= 1 for n in shape):
            raise BadInput(
                "grid shape",
                expected="three positive integers",
                found=f"{self.shape}",
                remedy="give (I, J, K)",
            )
        affine = check_affine(self.affine, "grid affine") + 0.0  # no -0.0: equal grids hash alike
        affine.flags.writeable = False
        object.__setattr__(self, "shape", tuple(int(n) for n in shape))
        object.__setattr__(self, "affine", affine)

    @classmethod
    def from_spacing(
        cls,
        shape: Sequence[int],
        spacing_mm: ArrayLike = (1.0, 1.0, 1.0),
        origin_mm: ArrayLike = (0.0, 0.0, 0.0),
        direction: ArrayLike | None = None,
    ) -> Grid:
        """Build a grid from its spacing, the position of its first voxel, and its axes.

        Args:
            shape: (I, J, K).
            spacing_mm: (3,) or one number, distance of neighbouring voxels along each index axis.
            origin_mm: (3,) world position of the centre of voxel [0, 0, 0].
            direction: (3, 3) unit columns; column a is the direction in which index a grows. None
                for the world axes.

        Raises:
            BadInput: a spacing is not positive, or the columns are not unit vectors.
        """
        spacing = _checked_spacing(spacing_mm)
        columns = np.eye(3) if direction is None else np.asarray(direction, dtype=np.float64)
        if columns.shape != (3, 3) or not np.allclose(
            np.linalg.norm(columns, axis=0), 1, atol=1e-4
        ):
            raise BadInput(
                "grid direction",
                expected="three unit columns",
                found=f"{np.array2string(columns, precision=3, separator=',')}",
                remedy="give lengths as the spacing, and directions without them",
            )
        return cls(tuple(shape), affine_from(columns * spacing, origin_mm))  # type: ignore[arg-type]

    @classmethod
    def centered(
        cls,
        shape: Sequence[int],
        spacing_mm: ArrayLike,
        center_mm: ArrayLike,
        direction: ArrayLike | None = None,
    ) -> Grid:
        """Build a grid as `from_spacing` does, from the position of its centre."""
        grid = cls.from_spacing(shape, spacing_mm, direction=direction)
        origin = np.asarray(center_mm, dtype=np.float64) - grid.center_mm
        return cls(grid.shape, affine_from(grid.affine[:3, :3], origin))

    @cached_property
    def index_from_world(self) -> Affine:
        """(4, 4) inverse of `affine`."""
        return invert_affine(self.affine)

    @property
    def spacing_mm(self) -> FloatArray:
        """(3,) distance between neighbouring voxels along each index axis."""
        return spacing_of(self.affine)

    @property
    def direction(self) -> FloatArray:
        """(3, 3) unit columns: the direction in which each index grows, in LPS."""
        return direction_of(self.affine)

    @property
    def origin_mm(self) -> FloatArray:
        """(3,) world position of the centre of voxel [0, 0, 0]."""
        return self.affine[:3, 3].copy()

    @property
    def center_mm(self) -> FloatArray:
        """(3,) world position of the centre of the box."""
        return self.to_world((np.array(self.shape) - 1) / 2)

    @property
    def extent_mm(self) -> FloatArray:
        """(3,) edge lengths of the box, from voxel edge to voxel edge."""
        return self.spacing_mm * self.shape

    @property
    def voxel_count(self) -> int:
        """Number of voxels, I * J * K."""
        return math.prod(self.shape)

    @property
    def orientation(self) -> str:
        """Three letters: the anatomical direction in which each index grows, such as "LPS"."""
        return orientation_of(self.affine)

    @property
    def is_left_handed(self) -> bool:
        """Whether the index axes are left-handed; such an array shows the mirrored body."""
        return is_reflection(self.affine)

    @property
    def shear(self) -> float:
        """Largest absolute cosine between two index axes; 0 if all angles are right."""
        return shear_of(self.affine)

    def to_world(self, indices: ArrayLike) -> Points3:
        """Convert (..., 3) fractional indices to (..., 3) world positions, mm."""
        return apply_affine(self.affine, indices)

    def to_index(self, points_mm: ArrayLike) -> FloatArray:
        """Convert (..., 3) world positions, mm, to (..., 3) fractional indices."""
        return apply_affine(self.index_from_world, points_mm)

    def contains(self, points_mm: ArrayLike, margin_mm: float = 0.0) -> BoolArray:
        """Whether each of (..., 3) world points lies in the box, `margin_mm` deep or more.

        A negative margin accepts points outside the box up to that distance. NaN is never inside.
        """
        index = self.to_index(points_mm)
        # One millimetre along the normal of a face is this many steps of its index.
        margin = margin_mm * np.linalg.norm(self.index_from_world[:3, :3], axis=1)
        inside = (index >= margin - 0.5) & (index <= np.array(self.shape) - 0.5 - margin)
        return np.asarray(inside.all(axis=-1))

    def corners_mm(self) -> Points3:
        """(8, 3) world positions of the corners of the box."""
        ends = [(-0.5, n - 0.5) for n in self.shape]
        return self.to_world(np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(8, 3))

    def bounds_mm(self) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest (3,) world coordinates of the box."""
        corners = self.corners_mm()
        return corners.min(axis=0), corners.max(axis=0)

    def centers_mm(self) -> Points3:
        """(I, J, K, 3) world positions of all voxel centres."""
        axes = [np.arange(n, dtype=np.float64) for n in self.shape]
        return self.to_world(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))

    def crop(self, start: Sequence[int], stop: Sequence[int]) -> Grid:
        """Return the grid of `array[start[0]:stop[0], start[1]:stop[1], start[2]:stop[2]]`.

        Raises:
            BadInput: a range is empty, or it extends beyond the grid (see `pad`).
        """
        lengths = (len(start), len(stop))
        if lengths != (3, 3) or any(
            not 0 <= a < b <= n for a, b, n in zip(start, stop, self.shape, strict=True)
        ):
            raise BadInput(
                "crop",
                expected=f"ranges inside shape {self.shape}",
                found=f"{tuple(start)} to {tuple(stop)}",
                remedy="crop inside the grid, or pad it first",
            )
        return self._subgrid(tuple(b - a for a, b in zip(start, stop, strict=True)), start)

    def pad(self, before: Sequence[int], after: Sequence[int]) -> Grid:
        """Return the grid of an array padded with `before` and `after` voxels on each axis."""
        if (len(before), len(after)) != (3, 3) or min(*before, *after) < 0:
            raise BadInput(
                "pad",
                expected="three numbers of 0 or more, twice",
                found=f"{tuple(before)} and {tuple(after)}",
                remedy="use crop to remove voxels",
            )
        shape = tuple(a + n + b for a, n, b in zip(before, self.shape, after, strict=True))
        return self._subgrid(shape, [-a for a in before])

    def stride(self, step: Sequence[int]) -> Grid:
        """Return the grid of `array[::step[0], ::step[1], ::step[2]]`.

        Voxel [0, 0, 0] keeps its position.
        """
        if len(step) != 3 or min(step) < 1:
            raise BadInput(
                "stride",
                expected="three steps of 1 or more",
                found=f"{tuple(step)}",
                remedy="use flip to reverse an axis",
            )
        shape = tuple(-(-n // s) for n, s in zip(self.shape, step, strict=True))
        return self._subgrid(shape, (0, 0, 0), step)

    def pool(self, step: int) -> Grid:
        """Return the grid of the centres of blocks of `step` voxels along each axis.

        Raises:
            BadInput: the length of an axis is not a multiple of the step.
        """
        if step < 1 or any(n % step for n in self.shape):
            raise BadInput(
                "pool",
                expected=f"a step that divides the shape {self.shape}",
                found=f"{step}",
                remedy="pad or crop first",
            )
        middle = np.full(3, (step - 1) / 2)
        shape = (self.shape[0] // step, self.shape[1] // step, self.shape[2] // step)
        return Grid(shape, affine_from(self.affine[:3, :3] * step, self.to_world(middle)))

    def flip(self, axis: int) -> Grid:
        """Return the grid of `numpy.flip(array, axis)`.

        The voxels keep their world positions, so the body is not mirrored and no labels are
        exchanged. For a mirror image, use `Pose.mirror` and flip only the array.
        """
        if axis not in range(-3, 3):
            raise BadInput(
                "flip",
                expected="axis 0, 1 or 2, or -1 to -3 from the end",
                found=f"{axis}",
                remedy="name one",
            )
        start, step = [0, 0, 0], [1, 1, 1]
        start[axis], step[axis] = self.shape[axis] - 1, -1
        return self._subgrid(self.shape, start, step)

    def right_handed(self) -> Grid:
        """Return the grid with right-handed index axes; the last axis is flipped if necessary."""
        return self.flip(2) if self.is_left_handed else self

    def permute(self, order: Sequence[int]) -> Grid:
        """Return the grid of `numpy.transpose(array, order)`."""
        if sorted(order) != [0, 1, 2]:
            raise BadInput(
                "permute",
                expected="an order of the axes 0, 1, 2",
                found=f"{tuple(order)}",
                remedy="name each axis once",
            )
        columns = self.affine[:3, :3][:, list(order)]
        shape = (self.shape[order[0]], self.shape[order[1]], self.shape[order[2]])
        return Grid(shape, affine_from(columns, self.affine[:3, 3]))

    def respace(self, spacing_mm: ArrayLike) -> Grid:
        """Return the grid of the same box with another spacing; the centre of the box is kept.

        The spacing is exact and the shape is rounded, so the new box differs slightly from the old
        one. The difference, less than half a new voxel at each end, is the same at both ends.

        Args:
            spacing_mm: (3,) or one number, mm.
        """
        spacing = _checked_spacing(spacing_mm)
        counts = np.maximum(1, np.round(self.extent_mm / spacing))
        if counts.max() > MAX_AXIS_VOXELS:
            raise BadInput(
                "spacing",
                expected=f"at most {MAX_AXIS_VOXELS} voxels on an axis",
                found=f"{counts.max():.3g} at {spacing.tolist()} mm",
                remedy="use a coarser spacing",
            )
        linear = self.direction * spacing
        origin = self.center_mm - linear @ ((counts - 1) / 2)
        return Grid((int(counts[0]), int(counts[1]), int(counts[2])), affine_from(linear, origin))

    def scale(self, factor: float) -> Grid:
        """Return the grid of the same box with `factor` times as many voxels per axis.

        The paper uses the factor 0.4.
        """
        if not factor > 0:
            raise BadInput(
                "scale", expected="a positive factor", found=f"{factor}", remedy="try 0.4"
            )
        return self.respace(self.spacing_mm / factor)

    def is_close(self, other: Grid, tolerance_mm: float = 1e-6) -> bool:
        """Whether both shapes are equal and no two corners differ by more than the tolerance."""
        if self.shape != other.shape:
            return False
        apart = np.linalg.norm(self.corners_mm() - other.corners_mm(), axis=1)
        return bool(apart.max() <= tolerance_mm)

    def __eq__(self, other: object) -> bool:
        """Whether shape and affine are exactly equal."""
        if not isinstance(other, Grid):
            return NotImplemented
        return self.shape == other.shape and np.array_equal(self.affine, other.affine)

    def __hash__(self) -> int:
        """Return the hash of shape and affine."""
        return hash((self.shape, self.affine.tobytes()))

    def _subgrid(
        self, shape: Sequence[int], start: Sequence[int], step: Sequence[int] = (1, 1, 1)
    ) -> Grid:
        """Return the grid of every `step`-th voxel along each axis, beginning at voxel `start`."""
        linear = self.affine[:3, :3] * np.asarray(step, dtype=np.float64)
        origin = self.to_world(np.asarray(start, dtype=np.float64))
        return Grid((shape[0], shape[1], shape[2]), affine_from(linear, origin))


def _checked_spacing(spacing_mm: ArrayLike) -> FloatArray:
    """Return (3,) positive millimetres from one number or three."""
    values = np.asarray(spacing_mm, dtype=np.float64)
    if values.shape not in ((), (3,)) or not (np.isfinite(values) & (values > 0)).all():
        raise BadInput(
            "spacing",
            expected="positive millimetres, one number or three",
            found=f"{values.tolist()}",
            remedy="use flip to reverse an axis",
        )
    return np.broadcast_to(values, 3)

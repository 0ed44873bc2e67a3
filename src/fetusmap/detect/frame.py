"""The body's own frame, and the grids on which the two passes look at a volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fetusmap.anatomy import Skeleton, body_axes_of
from fetusmap.errors import BadInput
from fetusmap.geometry import Grid
from fetusmap.types import FloatArray, Points3, RotationMatrix, Shape3


@dataclass(frozen=True, eq=False)
class BodyFrame:
    """Where a fetus lies and how large it is.

    Attributes:
        sacrum_mm: (3,) origin.
        axes: (3, 3) unit columns right, ventral, cranial; determinant +1.
        trunk_mm: distance from sacrum to neck.
    """

    sacrum_mm: FloatArray
    axes: RotationMatrix
    trunk_mm: float


def frame_of(skeleton: Skeleton, positions_mm: Points3) -> BodyFrame | None:
    """The frame of a pose, or None where its trunk or all of its lateral pairs are missing.

    Args:
        skeleton: names the rows.
        positions_mm: (N, 3).
    """
    if skeleton.trunk is None:
        return None
    axes = body_axes_of(skeleton, positions_mm)
    sacrum, _, neck = skeleton.indices(skeleton.trunk)
    if not np.isfinite(axes).all():
        return None
    trunk = float(np.linalg.norm(positions_mm[neck] - positions_mm[sacrum]))
    return BodyFrame(positions_mm[sacrum], axes, trunk)


@dataclass(frozen=True)
class WholeGrid:
    """A pass over the whole volume, along its own axes.

    Attributes:
        spacing_mm: of the network's input.
        shape: voxels of a training sample, centered in the volume.
    """

    spacing_mm: float = 1.5
    shape: Shape3 = (80, 80, 80)

    def around(self, grid: Grid, multiple: int) -> Grid:
        """The smallest grid over a volume's box whose axes are multiples of `multiple`."""
        # What fits exactly must not be rounded up where an oblique extent is off by a last digit.
        blocks = np.ceil(grid.extent_mm / self.spacing_mm / multiple - 1e-6)
        counts = np.maximum(1, blocks).astype(int) * multiple
        return Grid.centered(
            [int(n) for n in counts], self.spacing_mm, grid.center_mm, grid.direction
        )


@dataclass(frozen=True)
class CanonicalGrid:
    """A pass in the body's frame, in units of the trunk's length.

    The box holds every landmark of 6,000 simulated poses, with a margin of at least 0.17 trunk
    lengths.

    Attributes:
        step: voxel size.
        shape: voxels along right, ventral, cranial.
        center: of the box, from the sacrum.
    """

    step: float = 0.036
    shape: Shape3 = (80, 64, 96)
    center: tuple[float, float, float] = (0.0, 0.3, 0.42)

    def of_frame(self, frame: BodyFrame) -> Grid:
        """The grid that stands in a body's frame.

        Raises:
            BadInput: a trunk without length.
        """
        if not frame.trunk_mm > 0:
            raise BadInput(
                "body frame",
                expected="a trunk longer than 0 mm",
                found=f"{frame.trunk_mm}",
                remedy="leave this frame out",
            )
        middle = frame.sacrum_mm + frame.trunk_mm * frame.axes @ np.array(self.center)
        return Grid.centered(self.shape, self.step * frame.trunk_mm, middle, frame.axes)

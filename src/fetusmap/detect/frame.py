"""The body's own frame, and the grids on which the networks predict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fetusmap.anatomy import Skeleton, body_axes_of
from fetusmap.errors import BadInput
from fetusmap.geometry import Grid
from fetusmap.types import Affine, FloatArray, Points3, RotationMatrix, Shape3


@dataclass(frozen=True, eq=False)
class BodyFrame:
    """Position, orientation and size of a fetus.

    Attributes:
        sacrum_mm: (3,) origin.
        axes: (3, 3) unit columns right, ventral, cranial; determinant +1.
        trunk_mm: distance from sacrum to neck.
    """

    sacrum_mm: FloatArray
    axes: RotationMatrix
    trunk_mm: float

    def transformed(self, target_from_source: Affine) -> BodyFrame:
        """Map the frame by a (4, 4) rigid map."""
        turn, shift = target_from_source[:3, :3], target_from_source[:3, 3]
        return BodyFrame(turn @ self.sacrum_mm + shift, turn @ self.axes, self.trunk_mm)


def body_frame_of(skeleton: Skeleton, positions_mm: Points3) -> BodyFrame | None:
    """Compute the frame of a pose; None if its trunk or all of its lateral pairs are missing.

    Args:
        skeleton: names the rows.
        positions_mm: (N, 3) landmarks.
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
class WholeVolumeGrid:
    """The input grid of a pass over the whole volume, along the volume's own axes.

    Attributes:
        spacing_mm: voxel size of the network's input.
        shape: voxels of a training sample, centred in the volume.
    """

    spacing_mm: float = 1.5
    shape: Shape3 = (80, 80, 80)

    def around(self, grid: Grid, multiple: int) -> Grid:
        """Make the smallest grid over a volume's box whose axes are multiples of `multiple`."""
        # An oblique extent may be off by its last digit, which must not cost another block.
        blocks = np.ceil(grid.extent_mm / self.spacing_mm / multiple - 1e-6)
        counts = np.maximum(1, blocks).astype(int) * multiple
        return Grid.centered(
            [int(n) for n in counts], self.spacing_mm, grid.center_mm, grid.direction
        )


@dataclass(frozen=True)
class BodyFrameGrid:
    """The input grid of a pass in the body's frame, in units of the trunk length.

    The default box holds every landmark of 6,000 simulated poses, with a margin of at least 0.17
    trunk lengths.

    Attributes:
        step: voxel size.
        shape: voxels along right, ventral, cranial.
        center: centre of the box, from the sacrum.
    """

    step: float = 0.036
    shape: Shape3 = (80, 64, 96)
    center: tuple[float, float, float] = (0.0, 0.3, 0.42)

    def of_frame(self, frame: BodyFrame) -> Grid:
        """Make the grid in a body's frame.

        Raises:
            BadInput: the trunk has no length.
        """
        if not frame.trunk_mm > 0:
            raise BadInput(
                "body frame",
                expected="a trunk longer than 0 mm",
                found=f"{frame.trunk_mm}",
                remedy="leave this frame out",
            )
        center_mm = frame.sacrum_mm + frame.trunk_mm * frame.axes @ np.array(self.center)
        return Grid.centered(self.shape, self.step * frame.trunk_mm, center_mm, frame.axes)

"""From any volume to what a network sees: the network's frame, one spacing, grey-level ranks.

Gain, dynamic range and compression curve differ from scanner to scanner and from day to day, but
none of them changes which of two voxels is the brighter one. The networks are therefore shown the
rank of each grey level and not the level itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fetusmap.errors import BadInput
from fetusmap.geometry import Grid
from fetusmap.types import Affine, Triple, VoxelArray
from fetusmap.volume import Volume, interpolate_linearly, resample

WORKING_SPACING_MM = 1.0
"""Spacing to which every volume is resampled first, so that all volumes have similar speckle."""

WHITE_PERCENTILE = 99.95
"""Percentile of the voxels that becomes the brightest grey level, unless voxels are bytes."""

GREY_LEVELS = 256
RANK_STEP = 1 / 8
"""Width of the bins in which grey levels are ranked. Levels below the first bin count as empty."""

SPACING_DIGITS = 5
"""Significant digits of a spacing. Single precision, in which NIfTI stores it, holds seven."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A volume in the network's frame, and the way back to the world.

    Attributes:
        volume: uint8 voxels of one spacing on a grid that is centred at the origin, with its axes
            along the axes of the frame; 0 means "nothing there", as scanners write it outside
            their field of view.
        world_from_network: (4, 4) rigid map from the network's frame to the world of the volume.
        source_spacing_mm: voxel size of the volume before it was prepared.
    """

    volume: Volume
    world_from_network: Affine
    source_spacing_mm: Triple


def prepare(volume: Volume, spacing_mm: float = WORKING_SPACING_MM) -> Prepared:
    """Bring a volume into the network's frame: right-handed axes, one spacing, bytes.

    Everything that is computed in this frame has the same bits wherever a scan lies in the world.
    In half precision, a change in the last bit of an affine would otherwise move an uncertain
    landmark by 0.3 mm.

    Args:
        volume: a volume of any spacing, orientation and type.
        spacing_mm: the spacing of the result.

    Raises:
        BadInput: the volume has voxels that are NaN or infinite.
    """
    if volume.array.dtype.kind == "f" and not np.isfinite(volume.array).all():
        raise BadInput(
            volume.name or "volume",
            expected="finite voxels",
            found=f"{int((~np.isfinite(volume.array)).sum())} voxels that are NaN or infinite",
            remedy="replace them, for example with np.nan_to_num",
        )
    # Resample between two axis-aligned grids that differ only in spacing. Spacings are rounded to
    # five significant digits, so that a scan gives the same bytes whether its affine was stored in
    # single or in double precision.
    rounded = [float(f"{step:.{SPACING_DIGITS}g}") for step in volume.grid.spacing_mm]
    source = Grid.from_spacing(volume.grid.shape, rounded)
    target = source.respace(spacing_mm)
    array = _to_bytes(resample(replace(volume, grid=source), target).array, volume.array)
    own = volume.grid
    grid = Grid.centered(target.shape, spacing_mm, own.center_mm, own.direction)
    if grid.is_left_handed:  # such an array shows every body as its mirror image
        array, grid = np.ascontiguousarray(array[:, :, ::-1]), grid.right_handed()
    network_grid = Grid.centered(grid.shape, spacing_mm, np.zeros(3))
    world_from_network = grid.affine @ network_grid.index_from_world
    x, y, z = (float(step) for step in volume.grid.spacing_mm)
    return Prepared(replace(volume, array=array, grid=network_grid), world_from_network, (x, y, z))


def _to_bytes(array: VoxelArray, original: VoxelArray) -> NDArray[np.uint8]:
    if original.dtype != np.uint8:
        low = min(0.0, float(original.min()))
        high = float(np.percentile(original, WHITE_PERCENTILE))
        array = (array - low) * (255.0 / max(high - low, 1e-12))
    return np.ascontiguousarray(np.clip(np.rint(array), 0, 255).astype(np.uint8))


def sample(volume: Volume, grid: Grid) -> NDArray[np.float32]:
    """Interpolate the grey levels of a prepared volume at the voxels of a grid; 0 outside it.

    Training and prediction both use this function: linear interpolation without a filter.
    """
    source_from_target = volume.grid.index_from_world @ grid.affine
    return interpolate_linearly(volume.array, source_from_target, grid.shape)


def equalize(grey: VoxelArray) -> NDArray[np.uint8]:
    """Replace each grey level by its rank among all non-empty voxels, as a byte; 0 stays 0.

    Args:
        grey: non-negative levels up to about 255.
    """
    bins = (np.clip(grey, 0, GREY_LEVELS - 1) * np.float32(1 / RANK_STEP)).astype(np.uint16)
    counts = np.bincount(bins.ravel(), minlength=int(GREY_LEVELS / RANK_STEP))
    counts[0] = 0
    below = np.cumsum(counts) - counts / 2
    rank = 1 + (GREY_LEVELS - 2) * below / max(counts.sum(), 1)
    rank[0] = 0
    return np.asarray(np.rint(rank).astype(np.uint8)[bins])


def standardize(ranks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale ranks so that they would have mean 0 and variance 1 if no voxel were empty."""
    return (ranks.astype(np.float32) - 127.5) * np.float32(np.sqrt(12) / GREY_LEVELS)

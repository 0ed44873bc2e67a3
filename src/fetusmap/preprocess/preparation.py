"""From any volume to what a network sees: one spacing, then grey levels by rank on a grid.

Gain, dynamic range and compression curve differ from scanner to scanner and day to day, and none
of them changes which of two voxels is the brighter one. So the network is shown ranks.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fetusmap.errors import BadInput
from fetusmap.geometry import Grid
from fetusmap.types import Affine, VoxelArray
from fetusmap.volume import Volume, resample

WORKING_SPACING_MM = 1.0
"""Every volume is brought to this spacing first, so that all of them have speckle of one kind."""

BRIGHTEST = 99.95
"""Percentile that becomes the brightest grey where voxels are not bytes already."""

LEVELS = 256
FAINTEST = 1 / 8
"""Grey levels are ranked in steps of this; below the first one there is nothing."""


def prepare(volume: Volume, spacing_mm: float = WORKING_SPACING_MM) -> Volume:
    """Bring a volume to right-handed axes, one spacing, and grey levels of a byte.

    Args:
        volume: of any spacing and type.
        spacing_mm: the spacing.

    Returns:
        A volume of uint8; 0 is "nothing there", as scanners write it outside their field.

    Raises:
        BadInput: voxels that are no numbers.
    """
    # Both grids as boxes at rest, whose spacings alone count, to five digits: so a scan gives the
    # very same bytes whether its affine was stored in single or in double precision.
    if volume.array.dtype.kind == "f" and not np.isfinite(volume.array).all():
        raise BadInput(
            volume.name or "volume",
            expected="finite voxels",
            found=f"{int((~np.isfinite(volume.array)).sum())} that are not",
            remedy="replace them, for example with np.nan_to_num",
        )
    digits = [float(f"{step:.5g}") for step in volume.grid.spacing_mm]
    source = Grid.from_spacing(volume.grid.shape, digits)
    target = source.respace(spacing_mm)
    array = _bytes_of(resample(replace(volume, grid=source), target).array, volume.array)
    own = volume.grid
    grid = Grid.centered(target.shape, spacing_mm, own.center_mm, own.direction)
    if own.is_left_handed:
        array, grid = np.ascontiguousarray(array[:, :, ::-1]), grid.flip(2)
    return replace(volume, array=array, grid=grid)


def at_rest(prepared: Volume) -> tuple[Volume, Affine]:
    """The same voxels along the world's axes, centered, and `world_from_rest`.

    What is computed there is the same to the last bit wherever a scan lies in the world. In half
    precision the last bit of an affine would otherwise move an unsure landmark by 0.3 mm.
    """
    grid = Grid.centered(prepared.grid.shape, float(prepared.grid.spacing_mm[0]), np.zeros(3))
    return replace(prepared, grid=grid), prepared.grid.affine @ grid.index_from_world


def _bytes_of(array: VoxelArray, original: VoxelArray) -> NDArray[np.uint8]:
    if original.dtype != np.uint8:
        low = min(0.0, float(original.min()))
        high = float(np.percentile(original, BRIGHTEST))
        array = (array - low) * (255.0 / max(high - low, 1e-12))
    return np.ascontiguousarray(np.clip(np.rint(array), 0, 255).astype(np.uint8))


def sample(volume: Volume, grid: Grid) -> NDArray[np.float32]:
    """Grey levels of a prepared volume at the voxels of a grid, 0 outside it.

    Linear interpolation without a filter, for training and prediction alike.
    """
    index_from_index = volume.grid.index_from_world @ grid.affine
    return np.asarray(
        ndimage.affine_transform(
            volume.array,
            index_from_index[:3, :3],
            index_from_index[:3, 3],
            output_shape=grid.shape,
            output=np.float32,
            order=1,
            mode="grid-constant",
            prefilter=False,
        )
    )


def equalize(grey: VoxelArray) -> NDArray[np.uint8]:
    """Replace each grey level by its rank among all voxels with an echo, as a byte; 0 stays 0.

    Args:
        grey: non-negative levels up to about 255.
    """
    steps = (np.clip(grey, 0, LEVELS - 1) * np.float32(1 / FAINTEST)).astype(np.uint16)
    counts = np.bincount(steps.ravel(), minlength=int(LEVELS / FAINTEST))
    counts[0] = 0
    below = np.cumsum(counts) - counts / 2
    rank = 1 + (LEVELS - 2) * below / max(counts.sum(), 1)
    rank[0] = 0
    return np.asarray(np.rint(rank).astype(np.uint8)[steps])


def standardize(ranks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Ranks of a byte as numbers of mean 0 and variance 1, were all of them above 0."""
    return (ranks.astype(np.float32) - 127.5) * np.float32(np.sqrt(12) / LEVELS)

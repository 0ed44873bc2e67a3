"""Hide parts of a body from a volume: what lies beyond a plane, or around bones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from fetusmap.geometry import Grid
from fetusmap.types import BoolArray, FloatArray, Points3
from fetusmap.volume import Volume

DARK_PART = 0.12
"""The darkest non-empty voxels, this part of all of them, give the echoes of fluid."""


def cut_off(
    volume: Volume, positions_mm: Points3, point_mm: FloatArray, normal: FloatArray
) -> tuple[Volume, BoolArray]:
    """Blank everything on one side of a plane, as if the field of view ended there.

    Args:
        volume: the volume.
        positions_mm: (N, 3) landmarks.
        point_mm: (3,) a point of the plane.
        normal: (3,) the side of the plane that is blanked.

    Returns:
        The volume, and (N,) whether each landmark is still in view.
    """
    heights = _heights(volume.grid, point_mm, normal)
    array = np.where(heights > 0, np.zeros((), volume.array.dtype), volume.array)
    return replace(volume, array=array), (positions_mm - point_mm) @ normal <= 0


def erase_around(
    volume: Volume, lines_mm: Points3, radius_mm: float, rng: np.random.Generator
) -> Volume:
    """Overwrite the surroundings of lines with the echoes of fluid.

    Args:
        volume: the volume.
        lines_mm: (L, 2, 3) both ends of each line; lines with NaN are left out.
        radius_mm: everything nearer to a line than this is overwritten.
        rng: draws the echoes, which have the dark grey levels of the volume and are correlated
            over about two voxels, like speckle.
    """
    near = np.zeros(volume.grid.shape, bool)
    for line in lines_mm[np.isfinite(lines_mm).all(axis=(1, 2))]:
        _mark_near(near, volume.grid, line, radius_mm)
    seen = volume.array > 0
    near &= seen
    levels = np.sort(volume.array[seen])
    dark = levels[: max(1, round(DARK_PART * len(levels)))]
    speckle = ndimage.gaussian_filter(rng.standard_normal(near.shape, dtype=np.float32), 0.8)[near]
    ranks = np.empty(len(speckle), dtype=np.int64)
    ranks[np.argsort(speckle)] = np.arange(len(speckle))
    array = volume.array.copy()
    array[near] = dark[ranks * len(dark) // max(len(speckle), 1)]
    return replace(volume, array=array)


def _heights(grid: Grid, point_mm: FloatArray, normal: FloatArray) -> FloatArray:
    """Return the (I, J, K) heights of the voxels above a plane, mm."""
    slopes = normal @ grid.affine[:3, :3]
    start = normal @ (grid.affine[:3, 3] - point_mm)
    i, j, k = (np.arange(n) * slope for n, slope in zip(grid.shape, slopes, strict=True))
    return np.asarray(start + i[:, None, None] + j[:, None] + k)


def _mark_near(near: BoolArray, grid: Grid, line_mm: Points3, radius_mm: float) -> None:
    """Mark the voxels that lie nearer to a line than a radius."""
    index = grid.to_index(line_mm)
    reach = radius_mm / grid.spacing_mm
    low = np.clip(np.floor(index.min(axis=0) - reach), 0, grid.shape).astype(int)
    high = np.clip(np.ceil(index.max(axis=0) + reach) + 1, 0, grid.shape).astype(int)
    if (low >= high).any():
        return
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    first, last = line_mm
    along = last - first
    points = grid.to_world(np.moveaxis(np.mgrid[box].astype(np.float64), 0, -1)) - first
    part = np.clip(points @ along / max(float(along @ along), 1e-9), 0, 1)
    near[box] |= np.linalg.norm(points - part[..., None] * along, axis=-1) < radius_mm

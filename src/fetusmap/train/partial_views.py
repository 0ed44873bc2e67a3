"""Hide parts of a body from a volume: what lies beyond a plane, a limb, or the whole fetus."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.geometry import Grid
from fetusmap.types import BoolArray, FloatArray, IntArray, Points3
from fetusmap.volume import Volume

DARK_PERCENTILE = 12.0
"""Voxels below this percentile of the non-empty voxels give the echoes of fluid."""


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
    volume: Volume,
    path_mm: Points3,
    radius_mm: float,
    rng: np.random.Generator,
) -> Volume:
    """Overwrite the surroundings of a path with the echoes of fluid.

    Args:
        volume: the volume.
        path_mm: (M, 3) corners of the path.
        radius_mm: everything nearer to the path than this is overwritten.
        rng: draws the echoes.
    """
    near = _near_path(volume.grid, path_mm, radius_mm) & (volume.array > 0)
    seen = volume.array[volume.array > 0]
    fluid = seen[seen <= np.percentile(seen, DARK_PERCENTILE)]
    array = volume.array.copy()
    array[near] = rng.choice(fluid, int(near.sum()))
    return replace(volume, array=array)


def limb_rows(skeleton: Skeleton) -> list[IntArray]:
    """Return the rows of each limb of both sides below its root, from the root outwards."""
    lefts = [limb for limb in skeleton.limb_index if len(limb) > 1]
    return [limb[1:] for left in lefts for limb in (left, skeleton.mirror_index[left])]


def _heights(grid: Grid, point_mm: FloatArray, normal: FloatArray) -> FloatArray:
    """Return the (I, J, K) heights of the voxels above a plane, mm."""
    slopes = normal @ grid.affine[:3, :3]
    start = normal @ (grid.affine[:3, 3] - point_mm)
    i, j, k = (np.arange(n) * slope for n, slope in zip(grid.shape, slopes, strict=True))
    return np.asarray(start + i[:, None, None] + j[:, None] + k)


def _near_path(grid: Grid, path_mm: Points3, radius_mm: float) -> BoolArray:
    """Return the (I, J, K) voxels that lie nearer to a path than a radius."""
    near = np.zeros(grid.shape, bool)
    ends = list(zip(path_mm[:-1], path_mm[1:], strict=True)) or [(path_mm[0], path_mm[0])]
    for first, last in ends:
        index = grid.to_index(np.array([first, last]))
        reach = radius_mm / grid.spacing_mm
        low = np.clip(np.floor(index.min(axis=0) - reach), 0, grid.shape).astype(int)
        high = np.clip(np.ceil(index.max(axis=0) + reach) + 1, 0, grid.shape).astype(int)
        if (low >= high).any():
            continue
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        points = grid.to_world(np.stack(np.mgrid[box], axis=-1).astype(float))
        along = last - first
        part = np.clip((points - first) @ along / max(along @ along, 1e-9), 0, 1)
        distances = np.linalg.norm(points - first - part[..., None] * along, axis=-1)
        near[box] |= distances < radius_mm
    return near

"""A small copy of a volume for viewing in a browser: 8 bits per voxel, limited in size."""

from __future__ import annotations

import gzip
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from fetusmap.geometry import Grid
from fetusmap.io import save_volume
from fetusmap.types import IntArray
from fetusmap.volume import Volume, resample

MAX_VIEWING_BYTES = 5_900_000
"""Largest viewing copy, before compression; speckle hardly compresses."""

GREY_PERCENTILES = (0.5, 99.9)
"""Percentiles of the volume that become black and white."""

MIN_VIEWING_VOXELS = 16
"""Number of voxels that every axis keeps, if it has so many; volume files have no fewer."""

SAMPLED_VOXELS_APART = 4
"""The percentiles are those of every fourth voxel along each axis."""


def viewing_volume(volume: Volume, *, max_bytes: int = MAX_VIEWING_BYTES) -> Volume:
    """Return a copy of a volume for viewing, on a grid of the same place and directions.

    Args:
        volume: the volume, of any type and size.
        max_bytes: largest number of voxels, of one byte each. A larger volume is resampled to
            coarser voxels, first along the axes whose voxels are finest.

    Returns:
        A volume of unsigned bytes: its darkest 0.5 % are 0 and its brightest 0.1 % are 255, or its
        extremes if these are equal.
    """
    grid = _grid_within(volume.grid, max_bytes)
    if grid is not volume.grid:
        volume = resample(volume, grid)
    step = SAMPLED_VOXELS_APART
    low, high = np.percentile(volume.array[::step, ::step, ::step], GREY_PERCENTILES)
    if not high > low:  # nearly all voxels have one value; what differs must not become black
        low, high = volume.array.min(), volume.array.max()
    scale = 255.0 / (float(high) - float(low)) if high > low else 0.0
    grey = np.clip((volume.array.astype(np.float32) - np.float32(low)) * scale, 0, 255)
    return replace(volume, array=np.rint(grey).astype(np.uint8), grid=grid)


def viewing_nifti(volume: Volume, *, max_bytes: int = MAX_VIEWING_BYTES) -> bytes:
    """Return the viewing copy of a volume as the bytes of a `.nii.gz` file.

    The same volume gives the same bytes. The file holds neither name nor facts of the volume.
    """
    return nifti_bytes(viewing_volume(volume, max_bytes=max_bytes))


def nifti_bytes(volume: Volume) -> bytes:
    """Return a volume as the bytes of a `.nii.gz` file; the same volume gives the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "volume.nii"
        save_volume(volume, path)
        return gzip.compress(path.read_bytes(), 4, mtime=0)


def _grid_within(grid: Grid, max_voxels: int) -> Grid:
    """Return a grid over the same box with at most `max_voxels`, as nearly cubic as they were.

    Voxels finer than the common spacing become as coarse as it; coarser ones stay as they are.
    """
    if int(np.prod(grid.shape)) <= max_voxels:
        return grid
    low, high = float(grid.spacing_mm.min()), float(grid.extent_mm.max())
    for _ in range(40):  # bisection: the number of voxels falls as the common spacing grows
        middle = (low * high) ** 0.5
        is_small = int(np.prod(_counts(grid, middle))) <= max_voxels
        low, high = (low, middle) if is_small else (middle, high)
    counts = _counts(grid, high)
    return Grid.centered(
        tuple(counts.tolist()), grid.extent_mm / counts, grid.center_mm, grid.direction
    )


def _counts(grid: Grid, spacing_mm: float) -> IntArray:
    coarse = np.maximum(grid.spacing_mm, spacing_mm)
    fewest = np.minimum(grid.shape, MIN_VIEWING_VOXELS)
    return np.maximum(fewest, np.floor(grid.extent_mm / coarse + 1e-9)).astype(int)

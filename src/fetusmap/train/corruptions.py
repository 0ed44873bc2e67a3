"""Corrupt a volume in one of 14 ways, as scanners, archives and other programs do.

The calibration of a model tries the pipeline on corrupted volumes, and tests and studies measure
on them. Every corruption is a function of a volume and of a random generator alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fetusmap.types import FloatArray
from fetusmap.volume import Volume

Corruption = Callable[[Volume, np.random.Generator], Volume]

FAN_HALF_ANGLE_DEG = (24.0, 32.0)
"""Range of half the opening angle of a fan mask, whose apex lies above the volume."""

CROPPED_PART = 0.28
"""Fraction of one axis that a crop takes away."""

GREY_LEVELS = (4, 9)
"""Range of the number of grey levels that remain; the upper end is excluded."""


def fan_mask(volume: Volume, rng: np.random.Generator) -> Volume:
    """Blank everything outside a fan that opens along one axis."""
    depth, across = rng.permutation(3)[:2]
    tangent = np.tan(np.radians(rng.uniform(*FAN_HALF_ANGLE_DEG)))
    extent, spacing = volume.grid.extent_mm, volume.grid.spacing_mm
    down = _along(volume, depth) * spacing[depth] + extent[across] / 2 / tangent * 0.5
    aside = np.abs(_along(volume, across) - (volume.grid.shape[across] - 1) / 2) * spacing[across]
    return replace(volume, array=np.where(aside <= down * tangent, volume.array, 0))


def zero_padding(volume: Volume, rng: np.random.Generator) -> Volume:
    """Put an empty margin of 10 to 25 % of each axis on both sides of the volume."""
    margins = [round(n * rng.uniform(0.1, 0.25)) for n in volume.grid.shape]
    grid = volume.grid.pad(margins, margins)
    array = np.pad(volume.array, [(margin, margin) for margin in margins])
    return replace(volume, array=array, grid=grid)


def median_smoothing(volume: Volume, _: np.random.Generator) -> Volume:
    """Replace each voxel by the median of 3 x 3 x 3 voxels."""
    return replace(volume, array=ndimage.median_filter(volume.array, 3))


def gaussian_smoothing(volume: Volume, rng: np.random.Generator) -> Volume:
    """Smooth with a Gaussian whose standard deviation is 0.8 to 1.2 mm."""
    sigma = rng.uniform(0.8, 1.2) / volume.grid.spacing_mm
    return _changed(volume, ndimage.gaussian_filter(_grey(volume), sigma))


def threshold(volume: Volume, rng: np.random.Generator) -> Volume:
    """Blank the darkest 30 to 50 % of the voxels that are not empty."""
    limit = np.percentile(volume.array[volume.array > 0], rng.uniform(30, 50))
    return replace(volume, array=np.where(volume.array < limit, 0, volume.array))


def saturation(volume: Volume, rng: np.random.Generator) -> Volume:
    """Raise the gain until the brightest 20 to 35 % of the voxels are white."""
    limit = np.percentile(volume.array[volume.array > 0], rng.uniform(65, 80))
    return _changed(volume, _grey(volume) * (255 / max(limit, 1.0)))


def white_noise(volume: Volume, rng: np.random.Generator) -> Volume:
    """Add white noise with a standard deviation of 12 to 25 grey levels."""
    noise = rng.standard_normal(volume.grid.shape, dtype=np.float32)
    return _changed(volume, _grey(volume) + np.float32(rng.uniform(12, 25)) * noise)


def few_grey_levels(volume: Volume, rng: np.random.Generator) -> Volume:
    """Keep only 4 to 8 grey levels."""
    step = 256 / rng.integers(*GREY_LEVELS)
    return _changed(volume, np.floor(_grey(volume) / step) * step + step / 2)


def overlays(volume: Volume, rng: np.random.Generator) -> Volume:
    """Burn two white lines and a white frame with a label into the volume."""
    array = volume.array.copy()
    shape = np.array(volume.grid.shape)
    for _ in range(2):
        ends = rng.uniform(0.1, 0.9, (2, 3)) * (shape - 1)
        steps = np.linspace(0, 1, int(shape.sum()))[:, None]
        array[tuple(np.rint(ends[0] + steps * (ends[1] - ends[0])).astype(int).T)] = 255
    corner, size = (rng.uniform(0.05, 0.75, 3) * shape).astype(int), shape // 8 + 1
    array[tuple(slice(c, c + n) for c, n in zip(corner, size, strict=True))] = 255
    axis = int(rng.integers(3))
    for end in (0, -1):
        array[(slice(None),) * axis + (end,)] = 255
    return replace(volume, array=array)


def sharpening(volume: Volume, rng: np.random.Generator) -> Volume:
    """Add 1 to 2 times the difference from a smoothed volume (unsharp masking)."""
    grey = _grey(volume)
    detail = grey - ndimage.gaussian_filter(grey, 1.2 / volume.grid.spacing_mm)
    return _changed(volume, grey + np.float32(rng.uniform(1, 2)) * detail)


def missing_slices(volume: Volume, rng: np.random.Generator) -> Volume:
    """Blank 10 % of the slices across one axis, as after a transfer with gaps."""
    axis = int(rng.integers(3))
    count = volume.grid.shape[axis]
    array = volume.array.copy()
    array[(slice(None),) * axis + (rng.permutation(count)[: max(1, count // 10)],)] = 0
    return replace(volume, array=array)


def gain_ramp(volume: Volume, rng: np.random.Generator) -> Volume:
    """Multiply the grey levels by a ramp from 0.3 to 1.7 along one axis."""
    axis = int(rng.integers(3))
    ramp = 0.3 + 1.4 * _along(volume, axis) / max(volume.grid.shape[axis] - 1, 1)
    return _changed(volume, _grey(volume) * ramp.astype(np.float32))


def crop(volume: Volume, rng: np.random.Generator) -> Volume:
    """Take away 28 % of one axis, at one of its ends."""
    axis, lower = int(rng.integers(3)), bool(rng.random() < 0.5)
    count = volume.grid.shape[axis]
    gone = round(CROPPED_PART * count)
    start, stop = [0, 0, 0], list(volume.grid.shape)
    start[axis], stop[axis] = (gone, count) if lower else (0, count - gone)
    return volume.crop(start, stop)


def inverted_grey_levels(volume: Volume, _: np.random.Generator) -> Volume:
    """Show bright voxels dark and dark voxels bright, as with an inverted grey map."""
    return replace(volume, array=255 - volume.array)


CORRUPTIONS: dict[str, Corruption] = {
    "fan mask": fan_mask,
    "zero padding": zero_padding,
    "median smoothing": median_smoothing,
    "Gaussian smoothing": gaussian_smoothing,
    "threshold": threshold,
    "saturation": saturation,
    "white noise": white_noise,
    "few grey levels": few_grey_levels,
    "overlays": overlays,
    "sharpening": sharpening,
    "missing slices": missing_slices,
    "gain ramp": gain_ramp,
    "crop": crop,
    "inverted grey levels": inverted_grey_levels,
}
"""The 14 corruptions by name. They take and return volumes of bytes."""


def _grey(volume: Volume) -> NDArray[np.float32]:
    return volume.array.astype(np.float32)


def _changed(volume: Volume, grey: NDArray[np.floating]) -> Volume:
    """Round changed grey levels to bytes; empty voxels stay empty, and others do not become it."""
    levels = np.clip(np.rint(grey), 1, 255).astype(np.uint8)
    return replace(volume, array=np.where(volume.array == 0, np.uint8(0), levels))


def _along(volume: Volume, axis: int) -> FloatArray:
    """Return the index along one axis, in a shape that broadcasts over the volume."""
    shape = [1, 1, 1]
    shape[axis] = -1
    return np.arange(volume.grid.shape[axis], dtype=np.float64).reshape(shape)

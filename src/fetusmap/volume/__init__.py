"""Voxels on a grid, their resampling, and how swept beams become voxels."""

from fetusmap.volume.resample import Interpolation, resample
from fetusmap.volume.volume import Volume

__all__ = [
    "Interpolation",
    "Volume",
    "resample",
]

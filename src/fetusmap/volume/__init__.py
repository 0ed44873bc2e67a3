"""Voxels on a grid, and their resampling."""

from fetusmap.volume.resample import Interpolation, resample
from fetusmap.volume.volume import Volume

__all__ = ["Interpolation", "Volume", "resample"]

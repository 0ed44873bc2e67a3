"""Volumes, their resampling, and the scan conversion of swept beams."""

from fetusmap.volume.interpolation import interpolate_linearly
from fetusmap.volume.resample import Interpolation, resample
from fetusmap.volume.volume import Volume

__all__ = [
    "Interpolation",
    "Volume",
    "interpolate_linearly",
    "resample",
]

"""Encode landmarks as heatmaps of Gaussians, and decode them with sub-voxel precision."""

from fetusmap.heatmap.gaussian import MIN_DIVISOR, REACH, Heatmaps, Peaks, encode, find_peaks
from fetusmap.heatmap.landmark_maps import LandmarkMaps, Place, find_places

__all__ = [
    "MIN_DIVISOR",
    "REACH",
    "Heatmaps",
    "LandmarkMaps",
    "Peaks",
    "Place",
    "encode",
    "find_peaks",
    "find_places",
]

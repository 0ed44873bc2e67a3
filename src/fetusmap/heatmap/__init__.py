"""Heatmaps: landmarks written as Gaussians on a grid, and read back below the voxel."""

from fetusmap.heatmap.gaussian import FLOOR, REACH, Heatmaps, Peaks, encode, find_peaks
from fetusmap.heatmap.landmark_maps import LandmarkMaps, Place, find_places

__all__ = [
    "FLOOR",
    "REACH",
    "Heatmaps",
    "LandmarkMaps",
    "Peaks",
    "Place",
    "encode",
    "find_peaks",
    "find_places",
]

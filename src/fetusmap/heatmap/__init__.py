"""Encode landmarks as heatmaps of Gaussians, and decode them with sub-voxel precision."""

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

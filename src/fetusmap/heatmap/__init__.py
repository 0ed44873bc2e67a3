"""Heatmaps: landmarks written as Gaussians on a grid, and read back below the voxel."""

from fetusmap.heatmap.gaussian import Heatmaps, Peaks, encode, find_peaks

__all__ = ["Heatmaps", "Peaks", "encode", "find_peaks"]

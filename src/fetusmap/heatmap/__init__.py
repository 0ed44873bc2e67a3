"""Heatmaps: landmarks written as Gaussians on a grid, and read back below the voxel."""

from fetusmap.heatmap.gaussian import FLOOR, REACH, Heatmaps, Peaks, encode, find_peaks

__all__ = ["FLOOR", "REACH", "Heatmaps", "Peaks", "encode", "find_peaks"]

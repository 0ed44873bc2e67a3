"""Convert landmarks to heatmaps and back: `find_peaks` is the inverse of `encode`.

A channel may show several landmarks, such as the left and the right knee. It is then a mixture of
Gaussians, and its two highest peaks are read back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from fetusmap.errors import BadInput
from fetusmap.geometry import Grid
from fetusmap.types import ArrayLike, FloatArray, Points3

REACH = 2
"""Number of voxels on each side of a maximum that belong to its peak and to no other peak."""

MIN_DIVISOR = 1e-12
"""Smallest value in a logarithm or in a denominator; smaller values are replaced by it."""


@dataclass(frozen=True, eq=False)
class Heatmaps:
    """Heatmaps on a grid, one per channel.

    Attributes:
        array: (C, I, J, K) float32 tensor, non-negative.
        grid: grid of the voxels, LPS mm.

    Raises:
        BadInput: the array does not fit the grid.
    """

    array: torch.Tensor
    grid: Grid

    def __post_init__(self) -> None:
        if self.array.ndim != 4 or tuple(self.array.shape[1:]) != self.grid.shape:
            raise BadInput(
                "heatmaps",
                expected=f"channels of the grid's shape {self.grid.shape}",
                found=f"shape {tuple(self.array.shape)}",
                remedy="give the grid of the heatmaps, not that of the network's input",
            )


@dataclass(frozen=True, eq=False)
class Peaks:
    """The highest local maxima of each channel, highest first.

    Attributes:
        positions_mm: (C, P, 3) world points; NaN where a channel has fewer maxima.
        heights: (C, P) value of the map at the maximum's voxel; 0 where there is none.
        masses: (C, P) share of the channel's sum that lies in the voxels of the peak.
    """

    positions_mm: Points3
    heights: FloatArray
    masses: FloatArray


def encode(
    positions_mm: ArrayLike, grid: Grid, sigma_mm: float, channels: Sequence[Sequence[int]]
) -> NDArray[np.float32]:
    """Encode landmarks as Gaussians of height 1; the inverse of `find_peaks`.

    Args:
        positions_mm: (N, 3) landmarks; NaN where absent.
        grid: grid of the heatmaps, with right angles between its axes.
        sigma_mm: standard deviation of the Gaussians.
        channels: for each channel, the rows of the landmarks that it shows.

    Returns:
        (C, I, J, K) float32: in each channel the sum of the Gaussians of its landmarks. Landmarks
        that are absent or outside the grid's box contribute nothing.
    """
    points = np.asarray(positions_mm, dtype=np.float64)
    index = grid.to_index(points)
    inside = grid.contains(points)
    maps = np.zeros((len(channels), *grid.shape), dtype=np.float32)
    for channel, rows in zip(maps, channels, strict=True):
        for row in rows:
            if inside[row]:
                falls = [
                    np.exp(
                        -0.5 * ((np.arange(n) - index[row, a]) * grid.spacing_mm[a] / sigma_mm) ** 2
                    )
                    for a, n in enumerate(grid.shape)
                ]
                plane = (falls[1][:, None] * falls[2]).astype(np.float32)
                channel += falls[0].astype(np.float32)[:, None, None] * plane
    return maps


def find_peaks(heatmaps: Heatmaps, count: int = 1) -> Peaks:
    """Read the highest peaks of each channel with sub-voxel precision.

    A peak is a voxel that is highest within two voxels of itself. Around it the map is smoothed
    with the binomial kernel (1 2 1)/4 along each axis, and the vertex of the parabola through the
    logarithm of three neighbours gives the offset along each axis. This is exact for a Gaussian,
    smoothed or not (distribution-aware decoding, Zhang et al. 2020, without its mixed terms).

    Args:
        heatmaps: non-negative maps.
        count: number of peaks of each channel.
    """
    maps = heatmaps.array.float()
    # The highest voxel of a channel is a local maximum in any case.
    candidates = maps if count == 1 else _local_maxima(maps)
    index, heights = _highest_apart(candidates, count)
    windows, inside = _windows(maps, index)
    total = maps.sum(dim=(1, 2, 3)).clamp(min=MIN_DIVISOR)
    size = 2 * REACH + 1  # pooling adds in one fixed order, so a mass has the same bits every time
    sums = F.avg_pool3d(windows * inside, size)[..., 0, 0, 0] * size**3
    masses = sums / total[:, None]
    positions = heatmaps.grid.to_world((index + _offsets(maps, index)).double().numpy())
    found = (heights > 0).numpy()
    positions[~found] = np.nan
    return Peaks(positions, heights.double().numpy(), masses.double().numpy() * found)


def _local_maxima(maps: torch.Tensor) -> torch.Tensor:
    """Return the (C, I, J, K) maps with 0 in all voxels that are not the highest within reach.

    The maximum over a box is taken axis by axis, which is 20 times as fast as pooling over it.
    """
    highest = maps
    for axis in (1, 2, 3):
        values, length = highest, maps.shape[axis]
        highest = values.clone()
        for step in range(1, min(REACH, length - 1) + 1):
            for source, target in ((step, 0), (0, step)):
                part = highest.narrow(axis, target, length - step)
                torch.maximum(part, values.narrow(axis, source, length - step), out=part)
    return torch.where(maps == highest, maps, 0.0)


def _highest_apart(candidates: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (C, P, 3) indices and (C, P) values of the highest voxels of different peaks.

    None of them lies within reach of another. Neighbours may have equal values, as they often do in
    rounded maps, so the surroundings of each chosen voxel are excluded.
    """
    left = candidates.clone() if count > 1 else candidates
    axes = [torch.arange(n) for n in candidates.shape[1:]]
    indices, heights = [], []
    for _ in range(count):
        height, flat = left.flatten(1).max(dim=1)
        # torch.unravel_index would load SymPy, which takes half a second.
        _, _, columns, depth = candidates.shape
        plane, rest = flat // (columns * depth), flat % (columns * depth)
        index = torch.stack([plane, rest // depth, rest % depth], dim=-1)
        indices.append(index)
        heights.append(height)
        if len(indices) == count:
            break
        near = [(axis - index[:, a, None]).abs() <= REACH for a, axis in enumerate(axes)]
        left[near[0][:, :, None, None] & near[1][:, None, :, None] & near[2][:, None, None, :]] = 0
    return torch.stack(indices, dim=1), torch.stack(heights, dim=1)


def _offsets(maps: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return the (C, P, 3) sub-voxel offset of each peak from its voxel, at most half a voxel.

    Near the border, the parabola is that of the nearest voxel whose neighbours all exist.
    """
    last = torch.tensor([max(n - 1 - REACH, 0) for n in maps.shape[1:]])
    center = index.clamp(min=REACH).minimum(last)
    window, _ = _windows(maps, center)
    for axis in (2, 3, 4):
        low, middle, high = (window.narrow(axis, start, 3) for start in range(3))
        window = (low + 2 * middle + high) / 4
    logs = torch.log(window.clamp(min=MIN_DIVISOR))  # (C, P, 3, 3, 3)
    offsets = []
    for low, high in (
        (logs[:, :, 0, 1, 1], logs[:, :, 2, 1, 1]),
        (logs[:, :, 1, 0, 1], logs[:, :, 1, 2, 1]),
        (logs[:, :, 1, 1, 0], logs[:, :, 1, 1, 2]),
    ):
        bend = low - 2 * logs[:, :, 1, 1, 1] + high
        top = torch.where(bend < -1e-6, 0.5 * (low - high) / bend, torch.zeros_like(bend))
        offsets.append(top)
    return (center - index + torch.stack(offsets, dim=-1)).clamp(-0.5, 0.5)


def _windows(maps: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (C, P, 5, 5, 5) voxels around each index, and whether each lies inside the map.

    Beyond the border the nearest voxel is repeated.
    """
    steps = torch.arange(-REACH, REACH + 1)
    wanted = [index[..., axis, None] + steps for axis in range(3)]  # (C, P, 5) each
    nearest = [axis.clamp(0, n - 1) for axis, n in zip(wanted, maps.shape[1:], strict=True)]
    inside = [axis == there for axis, there in zip(wanted, nearest, strict=True)]
    channel = torch.arange(len(maps))[:, None, None, None, None]
    i, j, k = nearest
    a, b, c = inside
    return (
        maps[channel, i[..., :, None, None], j[..., None, :, None], k[..., None, None, :]],
        a[..., :, None, None] & b[..., None, :, None] & c[..., None, None, :],
    )

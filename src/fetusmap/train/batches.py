"""Batches: the tensors of one training step, made from samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fetusmap.anatomy import Channels
from fetusmap.geometry import Grid
from fetusmap.heatmap import encode
from fetusmap.network import STRIDE
from fetusmap.preprocess import standardize
from fetusmap.train.augment import Sample
from fetusmap.types import Points3


@dataclass(frozen=True, eq=False)
class SampleBatch:
    """The tensors of one step.

    Attributes:
        volumes: (B, 1, I, J, K) float32.
        targets: (B, C, I/stride, J/stride, K/stride) float32.
        grids: grids of the heatmaps, one per sample.
        positions_mm: B arrays (N, 3) of landmarks; NaN where not in view.
    """

    volumes: torch.Tensor
    targets: torch.Tensor
    grids: tuple[Grid, ...]
    positions_mm: tuple[Points3, ...]


def batch_of(
    samples: Sequence[Sample],
    channels: Channels,
    sigma_voxels: float,
    stride: int = STRIDE,
    height: float = 1.0,
) -> SampleBatch:
    """Stack samples of one shape and encode their landmarks as heatmaps.

    Args:
        samples: samples of one shape.
        channels: landmarks of each heatmap.
        sigma_voxels: standard deviation of the Gaussians, heatmap voxels.
        stride: voxels of the samples per heatmap voxel, along each axis.
        height: height of the Gaussians.
    """
    grids = tuple(sample.grid.pool(stride) for sample in samples)
    volumes = np.stack([standardize(sample.ranks) for sample in samples])[:, None]
    targets = np.stack(
        [
            encode(
                s.positions_mm, grid, sigma_voxels * float(grid.spacing_mm.mean()), channels.rows
            )
            for s, grid in zip(samples, grids, strict=True)
        ]
    )
    positions = tuple(
        np.where(grid.contains(s.positions_mm)[:, None], s.positions_mm, np.nan)
        for s, grid in zip(samples, grids, strict=True)
    )
    return SampleBatch(
        torch.from_numpy(volumes).contiguous(memory_format=torch.channels_last_3d),
        torch.from_numpy(targets * np.float32(height)),
        grids,
        positions,
    )

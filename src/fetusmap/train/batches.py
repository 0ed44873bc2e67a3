"""Samples as the tensors of one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fetusmap.detect import Channels, standardize
from fetusmap.geometry import Grid
from fetusmap.heatmap import encode
from fetusmap.network import STRIDE
from fetusmap.train.augment import Sample
from fetusmap.types import Points3


@dataclass(frozen=True, eq=False)
class SampleBatch:
    """What a step needs.

    Attributes:
        volumes: (B, 1, I, J, K) float32.
        targets: (B, C, I/2, J/2, K/2) float32.
        grids: of the heatmaps, one per sample.
        positions_mm: B times (N, 3); NaN where not in view.
    """

    volumes: torch.Tensor
    targets: torch.Tensor
    grids: tuple[Grid, ...]
    positions_mm: tuple[Points3, ...]


def batch_of(samples: Sequence[Sample], channels: Channels, sigma_voxels: float) -> SampleBatch:
    """Stack samples of one shape and write their landmarks as heatmaps."""
    grids = tuple(sample.grid.pool(STRIDE) for sample in samples)
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
        torch.from_numpy(targets),
        grids,
        positions,
    )

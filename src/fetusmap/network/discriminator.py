"""Tells annotated heatmaps from predicted ones; needed for training the paper's "GAN" only."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

WIDTHS = (16, 32, 64, 64)
"""Each level halves the axes: a score sees 78 voxels across, which is most of a fetus."""

SLOPE = 0.2

SMALLEST = 18
"""Voxels along an axis from which on bfloat16 is allowed: of fewer two planes are left at the
last levels, for which torch 2.13 on processors computes wrong weight gradients."""


class Discriminator(nn.Module):
    """A score for each region of a volume and its heatmaps, near 1 where they look annotated.

    The pairs are the paper's. Strided convolutions with leaky ReLU and scores by region are of
    Isola et al. (CVPR 2017); normalisation is by volume, as in the detector.
    """

    def __init__(self, heatmaps: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for level, (inputs, outputs) in enumerate(pairwise((1 + heatmaps, *widths))):
            layers.append(nn.Conv3d(inputs, outputs, 4, stride=2, padding=2))
            if level > 0:
                layers.append(nn.GroupNorm(outputs, outputs))
            layers.append(nn.LeakyReLU(SLOPE))
        self.layers = nn.Sequential(*layers, nn.Conv3d(widths[-1], 1, 3, padding=1))

    def forward(self, volume: torch.Tensor, heatmaps: torch.Tensor) -> torch.Tensor:
        """Scores (B, 1, i, j, k).

        Args:
            volume: (B, 1, I, J, K).
            heatmaps: (B, C, I, J, K), 1 at a landmark.
        """
        pair = torch.cat([volume, heatmaps], 1)
        if min(volume.shape[2:]) >= SMALLEST:
            scores: torch.Tensor = self.layers(pair)
            return scores
        with torch.autocast(volume.device.type, enabled=False):
            return self.layers(pair.to(next(self.parameters()).dtype))  # type: ignore[no-any-return]

"""Discriminator between annotated and predicted heatmaps, for training the paper's "GAN" only."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

WIDTHS = (16, 32, 64, 64)
"""Channels. Each level halves the axes: the receptive field of a score is 78 voxels wide, which is
most of a fetus."""

SLOPE = 0.2

MIN_VOXELS_FOR_BFLOAT16 = 18
"""With fewer voxels along an axis, two planes are left at the last levels. For these torch 2.13 on
processors computes wrong weight gradients in bfloat16."""


class Discriminator(nn.Module):
    """Scores each region of a volume with its heatmaps: near 1 if these seem to be annotated.

    The pairs of volume and heatmaps follow the paper. Strided convolutions with leaky ReLU and
    scores by region follow Isola et al. (CVPR 2017). Normalisation is by volume, as in the
    detector. Spectral normalisation (Miyato et al., ICLR 2018) divides each kernel by its largest
    singular value, so that the scores cannot become arbitrarily steep.
    """

    def __init__(
        self, heatmaps: int, widths: tuple[int, ...] = WIDTHS, *, spectral: bool = False
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for level, (inputs, outputs) in enumerate(pairwise((1 + heatmaps, *widths))):
            layers.append(nn.Conv3d(inputs, outputs, 4, stride=2, padding=2))
            if level > 0:
                layers.append(nn.GroupNorm(outputs, outputs))
            layers.append(nn.LeakyReLU(SLOPE))
        self.layers = nn.Sequential(*layers, nn.Conv3d(widths[-1], 1, 3, padding=1))
        for layer in self.layers if spectral else ():
            if isinstance(layer, nn.Conv3d):
                spectral_norm(layer)

    def forward(self, volume: torch.Tensor, heatmaps: torch.Tensor) -> torch.Tensor:
        """Return scores (B, 1, i, j, k).

        Args:
            volume: (B, 1, I, J, K).
            heatmaps: (B, C, I, J, K), 1 at a landmark.
        """
        pair = torch.cat([volume, heatmaps], 1)
        if min(volume.shape[2:]) >= MIN_VOXELS_FOR_BFLOAT16:
            scores: torch.Tensor = self.layers(pair)
            return scores
        with torch.autocast(volume.device.type, enabled=False):
            return self.layers(pair.to(next(self.parameters()).dtype))  # type: ignore[no-any-return]

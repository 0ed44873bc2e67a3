"""What every network of ours is: a volume in, a heatmap per channel out."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn


class HeatmapNetwork(nn.Module, ABC):
    """A network over volumes, whatever its architecture."""

    @property
    @abstractmethod
    def levels(self) -> tuple[int, ...]:
        """Channels at each level."""

    @property
    @abstractmethod
    def stride(self) -> int:
        """Voxels of the input per voxel of the heatmaps, along each axis."""

    @property
    @abstractmethod
    def multiple(self) -> int:
        """Each axis of the input must be a multiple of this."""

    @abstractmethod
    def maps(self, output: torch.Tensor) -> torch.Tensor:
        """What a loss compares with heatmaps (C, I, J, K): the output for one volume in its units.

        Args:
            output: (C, I, J, K) for one volume.
        """

    def heatmaps(self, output: torch.Tensor) -> torch.Tensor:
        """Non-negative heatmaps (C, I, J, K) of the output for one volume, (C, I, J, K)."""
        return self.maps(output).clamp(min=0)

    @abstractmethod
    def height(self, sigma_voxels: float) -> float:
        """Of a heatmap at a landmark that it shows without doubt, and alone.

        Args:
            sigma_voxels: standard deviation of the Gaussians that the network was trained on.
        """

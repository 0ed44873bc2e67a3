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
    def heatmaps(self, output: torch.Tensor) -> torch.Tensor:
        """Non-negative heatmaps (C, I, J, K) of the output for one volume, (C, I, J, K)."""

"""Base class of the networks that predict one heatmap per channel from a volume."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import nn


class HeatmapNetwork(nn.Module, ABC):
    """A network that predicts heatmaps from a volume."""

    same_on_any_threads: ClassVar[bool] = False
    """Whether the output has the same bits with any number of threads."""

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
        """The number of voxels along each axis of the input must be a multiple of this."""

    @abstractmethod
    def maps(self, output: torch.Tensor) -> torch.Tensor:
        """Return the output for one volume in the units of heatmaps, which a loss can compare.

        Args:
            output: (C, I, J, K) output for one volume.
        """

    def heatmaps(self, output: torch.Tensor) -> torch.Tensor:
        """Return the non-negative heatmaps (C, I, J, K) of the output (C, I, J, K) for a volume."""
        return self.maps(output).clamp(min=0)

    @abstractmethod
    def height(self, sigma_voxels: float) -> float:
        """Return the height of a heatmap at a single landmark if the network is certain of it.

        Args:
            sigma_voxels: standard deviation of the Gaussians that the network was trained on.
        """

"""The paper's network with a recurrent layer after its last convolution, "RNN" in its tables."""

from __future__ import annotations

import torch
from torch import nn

from fetusmap.network.land import Convolution, Land, LandWidths, Normalisation

TURNS = 3


class Recurrence(nn.Module):
    """A convolutional recurrent layer, unrolled for a few turns.

    After Elman, with convolutions in place of products: h(t) = ReLU(N(W x + U h(t - 1))), where
    h(0) is 0. The paper names no gates. Each turn widens the receptive field by one voxel.
    """

    def __init__(self, channels: int, turns: int, own_statistics: bool) -> None:
        super().__init__()
        self.turns = turns
        self.inward = Convolution(channels, channels)
        self.across = Convolution(channels, channels)
        self.normalisation = Normalisation(channels, own_statistics)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the last state for (B, C, I, J, K), of the same shape."""
        inward = self.inward(x)
        state: torch.Tensor = self.normalisation(inward)
        for _ in range(self.turns - 1):
            state = self.normalisation(inward + self.across(state))
        return state


class RecurrentLand(Land):
    """`Land` with the recurrent layer before its head."""

    def __init__(
        self,
        widths: LandWidths,
        policy: str = "none",
        *,
        own_statistics: bool = False,
        turns: int = TURNS,
    ) -> None:
        super().__init__(widths, policy, own_statistics=own_statistics)
        self.recurrence = Recurrence(widths.levels[0], turns, own_statistics)

    def finish(self, features: torch.Tensor) -> torch.Tensor:
        """See `Land.finish`."""
        return super().finish(self.recurrence(features))

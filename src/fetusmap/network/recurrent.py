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


class GatedRecurrence(nn.Module):
    """A gated convolutional recurrent layer, unrolled for a few turns.

    The gated recurrent unit of Cho et al. (2014) with convolutions in place of products (Ballas et
    al., ICLR 2016). The candidate is normalised and rectified as in `Recurrence`:

        z, r = sigmoid(W x + U h(t - 1)),  c = ReLU(N(V x + T (r h(t - 1)))),
        h(t) = (1 - z) h(t - 1) + z c,  h(0) = 0.
    """

    def __init__(self, channels: int, turns: int, own_statistics: bool) -> None:
        super().__init__()
        self.turns = turns
        self.inward = Convolution(channels, 3 * channels)
        self.across = Convolution(channels, 2 * channels)
        self.recalled = Convolution(channels, channels)
        self.normalisation = Normalisation(channels, own_statistics)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the last state for (B, C, I, J, K), of the same shape."""
        update_in, reset_in, candidate_in = self.inward(x).chunk(3, dim=1)
        state: torch.Tensor = update_in.sigmoid() * self.normalisation(candidate_in)
        for _ in range(self.turns - 1):
            update_across, reset_across = self.across(state).chunk(2, dim=1)
            update = (update_in + update_across).sigmoid()
            recalled = self.recalled((reset_in + reset_across).sigmoid() * state)
            candidate = self.normalisation(candidate_in + recalled)
            state = (1 - update) * state + update * candidate
        return state


class RecurrentLand(Land):
    """`Land` with a recurrent layer before its head, without or with gates."""

    def __init__(
        self,
        widths: LandWidths,
        policy: str = "none",
        *,
        own_statistics: bool = False,
        turns: int = TURNS,
        gated: bool = False,
    ) -> None:
        super().__init__(widths, policy, own_statistics=own_statistics)
        layer = GatedRecurrence if gated else Recurrence
        self.gated = gated
        self.recurrence = layer(widths.levels[0], turns, own_statistics)

    def finish(self, features: torch.Tensor) -> torch.Tensor:
        """See `Land.finish`."""
        return super().finish(self.recurrence(features))

"""A moving average of the weights, which predicts better than the last weights do."""

from __future__ import annotations

import copy
from typing import Any, Generic, TypeVar

import torch
from torch import nn

NetworkT = TypeVar("NetworkT", bound=nn.Module)


class WeightAverage(Generic[NetworkT]):
    """Exponential moving average; young averages follow faster, so that they forget the start.

    Attributes:
        network: with the averaged weights.
    """

    def __init__(self, network: NetworkT, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(requires_grad=False).eval()
        self._decay = decay
        self._updates = 0

    @torch.no_grad()
    def update(self, network: NetworkT) -> None:
        """Move towards the weights as they are now; buffers are taken as they are."""
        self._updates += 1
        decay = min(self._decay, self._updates / (self._updates + 10))
        for mine, theirs in zip(self.network.parameters(), network.parameters(), strict=True):
            mine.lerp_(theirs, 1 - decay)
        for ours, given in zip(self.network.buffers(), network.buffers(), strict=True):
            ours.copy_(given)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"network": self.network.state_dict(), "updates": self._updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.network.load_state_dict(state["network"])
        self._updates = state["updates"]

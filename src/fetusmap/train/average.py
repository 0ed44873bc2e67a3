"""A moving average of the weights, which predicts better than the last weights."""

from __future__ import annotations

import copy
from typing import Any, Generic, TypeVar

import torch
from torch import nn

NetworkT = TypeVar("NetworkT", bound=nn.Module)


class WeightAverage(Generic[NetworkT]):
    """Exponential moving average of the weights of a network.

    The decay is smaller in the first steps, so that the initial weights lose their influence.

    Attributes:
        network: network with the averaged weights.
    """

    def __init__(self, network: NetworkT, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(requires_grad=False).eval()
        self._decay = decay
        self._updates = 0

    @torch.no_grad()
    def update(self, network: NetworkT) -> None:
        """Move the average towards the present weights; buffers are copied."""
        self._updates += 1
        decay = min(self._decay, self._updates / (self._updates + 10))
        for averaged, present in zip(self.network.parameters(), network.parameters(), strict=True):
            averaged.lerp_(present, 1 - decay)
        for copied, buffer in zip(self.network.buffers(), network.buffers(), strict=True):
            copied.copy_(buffer)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint stores."""
        return {"network": self.network.state_dict(), "updates": self._updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.network.load_state_dict(state["network"])
        self._updates = state["updates"]

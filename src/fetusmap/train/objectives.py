"""What a training step minimises, and what it does to whatever else learns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric
from torch import nn

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Objective(Protocol):
    """Of a network's steps."""

    def loss(self, model: nn.Module, volumes: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """To be minimised by the network.

        Args:
            model: the network.
            volumes: (B, 1, I, J, K).
            targets: (B, C, I, J, K).
        """

    def after_step(self, rate: float) -> dict[str, float]:
        """Let what else learns take its step; metrics of it.

        Args:
            rate: part of the full learning rate, as for the network.
        """

    @property
    def parts(self) -> dict[str, Any]:
        """What else a checkpoint must keep."""


@dataclass(frozen=True)
class Supervised:
    """Nothing but the distance between heatmaps and annotation.

    Attributes:
        distance: of an output from its targets.
    """

    distance: Loss

    def loss(self, model: nn.Module, volumes: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """See `Objective.loss`."""
        # The output has no name: it need not live as long as the step.
        return self.distance(model(volumes), targets)

    def after_step(self, rate: float) -> dict[str, float]:  # noqa: ARG002
        """See `Objective.after_step`."""
        return {}

    @property
    def parts(self) -> dict[str, Any]:
        """See `Objective.parts`."""
        return {}


class Adversarial:
    """The same distance, and a discriminator that is to take the output for an annotation.

    Least squares (Mao et al., ICCV 2017): it learns to score annotated pairs 1 and predicted ones
    0, while the network learns to be scored 1.
    """

    def __init__(
        self,
        distance: Loss,
        discriminator: nn.Module,
        fabric: Fabric,
        *,
        weight: float,
        height: float,
        learning_rate: float,
    ) -> None:
        """Begin with a fresh discriminator.

        Args:
            distance: of an output from its targets.
            discriminator: of volumes and heatmaps.
            fabric: device and precision.
            weight: of the discriminator's opinion beside the distance.
            height: of the targets; the discriminator is shown heatmaps of height 1.
            learning_rate: of the discriminator.
        """
        optimizer = torch.optim.Adam(discriminator.parameters(), learning_rate, (0.5, 0.999))
        self._distance = distance
        self._learning_rate = learning_rate
        self._model, self._optimizer = fabric.setup(discriminator, optimizer)
        self._discriminator = discriminator
        self._fabric = fabric
        self._weight = weight
        self._height = height
        self._shown: tuple[torch.Tensor, ...] = ()

    def loss(self, model: nn.Module, volumes: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """See `Objective.loss`."""
        output = model(volumes)
        self._shown = (volumes, output.detach(), targets)
        self._discriminator.requires_grad_(requires_grad=False)  # it has its own step
        opinion = self._opinion(volumes, output, 1.0)
        self._discriminator.requires_grad_(requires_grad=True)
        return self._distance(output, targets) + self._weight * opinion

    def after_step(self, rate: float) -> dict[str, float]:
        """See `Objective.after_step`."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate * rate
        volumes, predicted, annotated = self._shown
        self._shown = ()
        self._optimizer.zero_grad()
        real, made = self._opinion(volumes, annotated, 1.0), self._opinion(volumes, predicted, 0.0)
        self._fabric.backward((real + made) / 2)
        self._optimizer.step()
        return {
            "discriminator_real": float(real.detach()),
            "discriminator_made": float(made.detach()),
        }

    @property
    def parts(self) -> dict[str, Any]:
        """See `Objective.parts`."""
        return {"discriminator": self._discriminator, "discriminator_optimizer": self._optimizer}

    def _opinion(
        self, volumes: torch.Tensor, heatmaps: torch.Tensor, wanted: float
    ) -> torch.Tensor:
        """Mean squared distance of the scores from what is wanted."""
        scores: torch.Tensor = self._model(volumes, heatmaps / self._height)
        return (scores.float() - wanted).square().mean()

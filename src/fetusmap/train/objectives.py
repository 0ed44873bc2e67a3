"""Objectives: the loss of a training step, with or without a discriminator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric
from torch import nn

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Objective(Protocol):
    """The objective of a network's training steps."""

    def loss(self, model: nn.Module, volumes: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Compute the loss that the network minimises.

        Args:
            model: the network.
            volumes: (B, 1, I, J, K).
            targets: (B, C, I, J, K).
        """

    def after_step(self, rate: float) -> dict[str, float]:
        """Train further networks, such as a discriminator, and return their metrics.

        Args:
            rate: fraction of the full learning rate, as for the network.
        """

    @property
    def parts(self) -> dict[str, Any]:
        """Further objects with a state that a checkpoint must store."""


@dataclass(frozen=True)
class Supervised:
    """The objective of supervised training: the distance of predicted from annotated heatmaps.

    Attributes:
        distance: loss between an output and its targets.
    """

    distance: Loss

    def loss(self, model: nn.Module, volumes: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """See `Objective.loss`."""
        # The output has no name, so that its memory is free before the step ends.
        return self.distance(model(volumes), targets)

    def after_step(self, rate: float) -> dict[str, float]:  # noqa: ARG002
        """See `Objective.after_step`."""
        return {}

    @property
    def parts(self) -> dict[str, Any]:
        """See `Objective.parts`."""
        return {}


class Adversarial:
    """The objective of adversarial training: the supervised loss plus that of a discriminator.

    The adversarial loss is least squares (Mao et al., ICCV 2017): the discriminator learns to score
    annotated pairs 1 and predicted pairs 0, and the network learns to be scored 1.
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
            distance: loss between an output and its targets.
            discriminator: scores volumes with heatmaps.
            fabric: device and precision.
            weight: weight of the adversarial loss.
            height: height of the targets; the discriminator receives heatmaps of height 1.
            learning_rate: learning rate of the discriminator.
        """
        optimizer = torch.optim.Adam(discriminator.parameters(), learning_rate, (0.5, 0.999))
        self._distance = distance
        self._learning_rate = learning_rate
        self._model, self._optimizer = fabric.setup(discriminator, optimizer)
        self._discriminator = discriminator
        self._fabric = fabric
        self._weight = weight
        self._height = height
        self._last_step: tuple[torch.Tensor, ...] = ()

    def loss(self, model: nn.Module, volumes: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """See `Objective.loss`."""
        output = model(volumes)
        self._last_step = (volumes, output.detach(), targets)
        self._discriminator.requires_grad_(requires_grad=False)  # it is trained in `after_step`
        adversarial = self._score_loss(volumes, output, 1.0)
        self._discriminator.requires_grad_(requires_grad=True)
        return self._distance(output, targets) + self._weight * adversarial

    def after_step(self, rate: float) -> dict[str, float]:
        """See `Objective.after_step`."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate * rate
        volumes, predicted, annotated = self._last_step
        self._last_step = ()
        self._optimizer.zero_grad()
        real = self._score_loss(volumes, annotated, 1.0)
        made = self._score_loss(volumes, predicted, 0.0)
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

    def _score_loss(
        self, volumes: torch.Tensor, heatmaps: torch.Tensor, wanted: float
    ) -> torch.Tensor:
        """Compute the mean squared distance of the scores from the wanted score."""
        scores: torch.Tensor = self._model(volumes, heatmaps / self._height)
        return (scores.float() - wanted).square().mean()

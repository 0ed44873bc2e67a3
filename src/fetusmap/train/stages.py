"""Stages: the input grid, channels, targets, loss and optimiser of each kind of network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

import torch
from lightning_fabric import Fabric
from torch import nn

from fetusmap.anatomy import Channels, Skeleton, channel_per_landmark, channel_per_pair
from fetusmap.detect import BodyFrameGrid, WholeVolumeGrid
from fetusmap.network import HEIGHT, Discriminator, HeatmapNetwork, NetworkSpec, build_network
from fetusmap.train.augment import AnyDirection, DrawGrid, NearBody, RightAngles
from fetusmap.train.config import (
    CanonicalConfig,
    CoarseConfig,
    GanConfig,
    Symmetry,
    TrainingConfig,
    WholeVolumeConfig,
)
from fetusmap.train.losses import (
    scaled_squared_error,
    squared_error_with_sides,
    voxel_cross_entropy,
)
from fetusmap.train.muon import Muon
from fetusmap.train.objectives import Adversarial, Loss, Objective, Supervised

SYMMETRIES: dict[Symmetry, tuple[bool, tuple[int, ...]]] = {
    "right-angles": (True, (0, 1, 2)),
    "flips": (False, (0, 1, 2)),
    "sagittal-flip": (False, (2,)),
}
"""Whether the axes are permuted, and which are flipped. In the presentations of the simulator, the
median plane of the fetus lies across axis 2, the sweep."""


@dataclass(frozen=True)
class Stage:
    """How one kind of network is trained.

    Attributes:
        input_grid: grid of the network's input.
        channels: landmarks of each heatmap.
        height: height of the target Gaussians.
        draw_grid: draws the grid of a training sample.
        network: specification of the network.
        checkpointing: gradient checkpointing policy.
        loss: loss between outputs and heatmaps.
        optimizer: makes the optimiser of the network's parameters.
        objective: makes a new objective for each run.
    """

    input_grid: WholeVolumeGrid | BodyFrameGrid
    channels: Channels
    height: float
    draw_grid: DrawGrid
    network: NetworkSpec
    checkpointing: str
    loss: Loss
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
    objective: Callable[[Fabric], Objective]

    def build(self) -> HeatmapNetwork:
        """Build the network with fresh weights."""
        return build_network(self.network, len(self.channels), self.checkpointing)


def stage_of(config: TrainingConfig, skeleton: Skeleton) -> Stage:
    """Return how the network of a configuration is trained on a skeleton."""
    if isinstance(config, CoarseConfig):
        whole = WholeVolumeGrid()
        return _unet(config, whole, channel_per_pair(skeleton), AnyDirection(whole))
    if isinstance(config, CanonicalConfig):
        in_body = BodyFrameGrid()
        channels = channel_per_landmark(skeleton)
        return _unet(config, in_body, channels, NearBody(in_body, skeleton))
    if isinstance(config, GanConfig):
        return _with_discriminator(_land(config, skeleton), config)
    return _land(config, skeleton)


def _unet(
    config: CoarseConfig | CanonicalConfig,
    input_grid: WholeVolumeGrid | BodyFrameGrid,
    channels: Channels,
    draw_grid: DrawGrid,
) -> Stage:
    """Return the stage of a pass of the two-pass model: cross-entropy over voxels, Muon."""
    return Stage(
        input_grid=input_grid,
        channels=channels,
        height=1.0,
        draw_grid=draw_grid,
        network=config.network,
        checkpointing="none",
        loss=voxel_cross_entropy,
        optimizer=lambda p: Muon(p, config.learning_rate, config.weight_decay),
        objective=lambda _: Supervised(voxel_cross_entropy),
    )


def _land(config: WholeVolumeConfig, skeleton: Skeleton) -> Stage:
    """Return the stage of the paper's detector: whole volume, squared errors, Adam."""
    input_grid = WholeVolumeGrid(spacing_mm=config.spacing_mm)
    loss = partial(scaled_squared_error, height=HEIGHT)
    if config.side_weight and skeleton.mirror_pairs:
        pairs = [
            (skeleton.index(left), skeleton.index(right)) for left, right in skeleton.mirror_pairs
        ]
        loss = partial(
            squared_error_with_sides, pairs=pairs, weight=config.side_weight, height=HEIGHT
        )
    return Stage(
        input_grid=input_grid,
        channels=(channel_per_pair if config.pair_channels else channel_per_landmark)(skeleton),
        height=HEIGHT,
        draw_grid=RightAngles(input_grid, *SYMMETRIES[config.symmetry]),
        network=config.network,
        checkpointing=config.checkpointing,
        loss=loss,
        optimizer=lambda p: torch.optim.Adam(
            # One parameter at a time: torch's default copies all of them.
            p,
            config.learning_rate,
            betas=(0.5, 0.999),
            foreach=False,
        ),
        objective=lambda _: Supervised(loss),
    )


def _with_discriminator(land: Stage, config: GanConfig) -> Stage:
    """Return the stage of the paper's detector that is also trained against a discriminator."""

    def objective(fabric: Fabric) -> Adversarial:
        return Adversarial(
            land.loss,
            Discriminator(len(land.channels), spectral=config.spectral),
            fabric,
            weight=config.adversarial_weight,
            height=HEIGHT,
            learning_rate=config.learning_rate * config.discriminator_rate,
        )

    return replace(land, objective=objective)

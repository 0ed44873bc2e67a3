"""What differs between networks in training: what they look at, tell apart and minimise."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

import torch
from lightning_fabric import Fabric
from torch import nn

from fetusmap.anatomy import Channels, Skeleton, channel_per_landmark, channel_per_pair
from fetusmap.detect import CanonicalGrid, WholeGrid
from fetusmap.network import (
    HEIGHT,
    Discriminator,
    HeatmapNetwork,
    LandWidths,
    RecurrentLand,
    UNetWidths,
    build_land,
    build_unet,
)
from fetusmap.train.augment import AnyDirection, DrawGrid, NearBody, RightAngles
from fetusmap.train.config import TrainingConfig
from fetusmap.train.losses import scaled_squared_error, voxel_cross_entropy
from fetusmap.train.muon import Muon
from fetusmap.train.objectives import Adversarial, Loss, Objective, Supervised

SLOWER = 5.0
"""Times the learning rate of the discriminator is lower. It runs ahead all the same, later."""


@dataclass(frozen=True)
class Stage:
    """One kind of network.

    Attributes:
        look: the grid of its input.
        channels: of its heatmaps.
        height: of its targets.
        draw_grid: draws where a training sample looks.
        build: a network with fresh weights.
        loss: of its output and the heatmaps.
        optimizer: of its parameters.
        objective: of its steps, made anew for each run.
    """

    look: WholeGrid | CanonicalGrid
    channels: Channels
    height: float
    draw_grid: DrawGrid
    build: Callable[[], HeatmapNetwork]
    loss: Loss
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
    objective: Callable[[Fabric], Objective]


def stage_of(config: TrainingConfig, skeleton: Skeleton) -> Stage:
    """The kind of network that a configuration asks for."""
    kinds: dict[str, Callable[[TrainingConfig, Skeleton], Stage]] = {
        "coarse": _coarse,
        "canonical": _canonical,
        "land": _land,
        "gan": _gan,
        "rnn": _rnn,
    }
    return kinds[config.stage](config, skeleton)


def _coarse(config: TrainingConfig, skeleton: Skeleton) -> Stage:
    """The product's first pass: the whole volume, sides not told apart."""
    look = WholeGrid()
    return _unet(config, look, channel_per_pair(skeleton), AnyDirection(look))


def _canonical(config: TrainingConfig, skeleton: Skeleton) -> Stage:
    """The product's second pass, in the body's frame."""
    look = CanonicalGrid()
    return _unet(config, look, channel_per_landmark(skeleton), NearBody(look, skeleton))


def _unet(
    config: TrainingConfig, look: WholeGrid | CanonicalGrid, channels: Channels, draw: DrawGrid
) -> Stage:
    return Stage(
        look=look,
        channels=channels,
        height=1.0,
        draw_grid=draw,
        build=lambda: build_unet(UNetWidths(config.widths, len(channels))),
        loss=voxel_cross_entropy,
        optimizer=lambda p: Muon(p, config.learning_rate, config.weight_decay),
        objective=lambda _: Supervised(voxel_cross_entropy),
    )


def _land(config: TrainingConfig, skeleton: Skeleton) -> Stage:
    """The paper's detector: the whole volume, a heatmap per landmark, squared errors, Adam."""
    look = WholeGrid(spacing_mm=config.spacing_mm)
    channels = channel_per_landmark(skeleton)
    loss = partial(scaled_squared_error, height=HEIGHT)
    return Stage(
        look=look,
        channels=channels,
        height=HEIGHT,
        draw_grid=RightAngles(look),
        build=lambda: build_land(
            LandWidths(config.widths, len(channels)),
            config.checkpointing,
            own_statistics=config.own_statistics,
        ),
        loss=loss,
        optimizer=lambda p: torch.optim.AdamW(
            # One parameter at a time: torch's other way makes a copy of all of them.
            p,
            config.learning_rate,
            betas=(0.5, 0.999),
            foreach=False,
        ),
        objective=lambda _: Supervised(loss),
    )


def _gan(config: TrainingConfig, skeleton: Skeleton) -> Stage:
    """The paper's detector, trained against a discriminator as well; used without it."""
    land = _land(config, skeleton)

    def objective(fabric: Fabric) -> Adversarial:
        return Adversarial(
            land.loss,
            Discriminator(len(land.channels)),
            fabric,
            weight=config.adversarial_weight,
            height=HEIGHT,
            learning_rate=config.learning_rate / SLOWER,
        )

    return replace(land, objective=objective)


def _rnn(config: TrainingConfig, skeleton: Skeleton) -> Stage:
    """The paper's detector with a recurrent layer before its head."""
    land = _land(config, skeleton)

    def build() -> HeatmapNetwork:
        network = RecurrentLand(
            LandWidths(config.widths, len(land.channels)),
            config.checkpointing,
            own_statistics=config.own_statistics,
            turns=config.recurrent_turns,
        )
        return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload,no-any-return]

    return replace(land, build=build)

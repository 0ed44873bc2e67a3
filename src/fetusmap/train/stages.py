"""What differs between networks in training: what they look at, tell apart and minimise."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from fetusmap.anatomy import Skeleton
from fetusmap.detect import (
    CanonicalGrid,
    Channels,
    WholeGrid,
    channel_per_landmark,
    channel_per_pair,
)
from fetusmap.network import (
    HEIGHT,
    HeatmapNetwork,
    LandWidths,
    UNetWidths,
    build_land,
    build_unet,
)
from fetusmap.train.augment import AnyDirection, DrawGrid, NearBody, RightAngles
from fetusmap.train.config import TrainingConfig
from fetusmap.train.losses import scaled_squared_error, voxel_cross_entropy
from fetusmap.train.muon import Muon

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


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
    """

    look: WholeGrid | CanonicalGrid
    channels: Channels
    height: float
    draw_grid: DrawGrid
    build: Callable[[], HeatmapNetwork]
    loss: Loss
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


def stage_of(config: TrainingConfig, skeleton: Skeleton) -> Stage:
    """The kind of network that a configuration asks for."""
    return {"coarse": _coarse, "canonical": _canonical, "land": _land}[config.stage](
        config, skeleton
    )


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
    )


def _land(config: TrainingConfig, skeleton: Skeleton) -> Stage:
    """The paper's detector: the whole volume, a heatmap per landmark, squared errors, Adam."""
    look = WholeGrid(spacing_mm=config.spacing_mm)
    channels = channel_per_landmark(skeleton)
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
        loss=partial(scaled_squared_error, height=HEIGHT),
        optimizer=lambda p: torch.optim.AdamW(
            # One parameter at a time: torch's other way makes a copy of all of them.
            p,
            config.learning_rate,
            betas=(0.5, 0.999),
            foreach=False,
        ),
    )

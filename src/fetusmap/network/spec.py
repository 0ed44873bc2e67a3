"""Specifications of networks: the plain data from which a network of ours is built."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import torch
from pydantic import Field

from fetusmap.files.documents import Document
from fetusmap.network.heatmap_network import HeatmapNetwork
from fetusmap.network.land import Land, LandWidths, build_land
from fetusmap.network.recurrent import TURNS, RecurrentLand
from fetusmap.network.unet import UNet, UNetWidths, build_unet

MAX_LEVELS = 6
MAX_CHANNELS = 1024
MAX_TURNS = 10

Widths = Annotated[
    tuple[Annotated[int, Field(ge=8, multiple_of=8, le=MAX_CHANNELS)], ...],
    Field(min_length=1, max_length=MAX_LEVELS),
]
"""Channels at each level, from the finest level down."""

Turns = Annotated[int, Field(ge=1, le=MAX_TURNS)]
"""Times that a recurrent layer is applied."""


class UNetSpec(Document):
    """The U-Net of the two-pass model, see `UNet`.

    Attributes:
        widths: channels at each level.
    """

    network: Literal["unet"] = "unet"
    widths: Widths

    @property
    def multiple(self) -> int:
        """The number of voxels along each axis of an input must be a multiple of this."""
        return UNetWidths(self.widths).multiple


class LandSpec(Document):
    """The paper's network, see `Land`.

    Attributes:
        widths: channels at each level.
        own_statistics: whether each volume is normalised by its own statistics.
    """

    network: Literal["land"] = "land"
    widths: Widths
    own_statistics: bool = False

    @property
    def multiple(self) -> int:
        """The number of voxels along each axis of an input must be a multiple of this."""
        return 1


class RecurrentLandSpec(LandSpec):
    """The paper's network with a recurrent layer, see `RecurrentLand`.

    Attributes:
        turns: times that the recurrent layer is applied.
        gated: whether the recurrent layer has gates.
    """

    network: Literal["recurrent-land"] = "recurrent-land"  # type: ignore[assignment]
    turns: Turns = TURNS
    gated: bool = False


NetworkSpec: TypeAlias = Annotated[
    UNetSpec | LandSpec | RecurrentLandSpec, Field(discriminator="network")
]


def build_network(spec: NetworkSpec, outputs: int, policy: str = "none") -> HeatmapNetwork:
    """Build a network with fresh weights, laid out in memory for fast convolutions.

    Args:
        spec: architecture and widths.
        outputs: number of heatmaps.
        policy: which tensors training keeps for the backward pass, a name from `POLICIES`. The
            U-Net keeps all of them.

    Raises:
        BadInput: no policy has this name.
    """
    if isinstance(spec, UNetSpec):
        return build_unet(UNetWidths(spec.widths, outputs))
    widths = LandWidths(spec.widths, outputs)
    if not isinstance(spec, RecurrentLandSpec):
        return build_land(widths, policy, own_statistics=spec.own_statistics)
    network = RecurrentLand(
        widths, policy, own_statistics=spec.own_statistics, turns=spec.turns, gated=spec.gated
    )
    return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload,no-any-return]


def spec_of(network: HeatmapNetwork) -> NetworkSpec:
    """Return the specification from which `build_network` makes a network of the same layers.

    Raises:
        TypeError: the network is of none of these architectures.
    """
    if isinstance(network, UNet):
        return UNetSpec(widths=network.levels)
    if isinstance(network, RecurrentLand):
        return RecurrentLandSpec(
            widths=network.levels,
            own_statistics=network.own_statistics,
            turns=network.recurrence.turns,
            gated=network.gated,
        )
    if isinstance(network, Land):
        return LandSpec(widths=network.levels, own_statistics=network.own_statistics)
    raise TypeError(type(network).__name__)

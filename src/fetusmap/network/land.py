"""The paper's network: a 3D U-Net that works at full resolution, "land" in its tables.

Yang et al. (MICCAI 2019): four poolings, consecutive convolutions in each block, each convolution
and deconvolution followed by batch normalisation and ReLU, skip connections by concatenation, 16
heatmaps. If an axis does not halve evenly, its first pooling window holds one voxel, and the
deconvolution drops that voxel on the way back. Nothing is padded, cropped or copied; padding
88 x 82 x 104 voxels to multiples of 16 would cost 38 % more memory and time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from fetusmap.network.checkpointing import Kind, Step, Tape, kept_kinds
from fetusmap.network.gradients import (
    CHANNELS_LAST,
    combine_channels,
    concatenate,
    convolve,
    pool,
    rectify,
)
from fetusmap.network.heatmap_network import HeatmapNetwork

DESCENT: tuple[Kind, ...] = ("inner", "norm", "skip", "norm")
BOTTOM: tuple[Kind, ...] = ("inner", "norm", "inner", "norm")
ASCENT: tuple[Kind, ...] = ("merge", "norm", "inner", "norm")
"""Kinds of the steps of a block."""

HEIGHT = 20.0
"""Output at a landmark. With an output of 1 the steps of Adam are too coarse: after 400 steps 41.2
instead of 40.7 of the initial squared error of 44.5 remained."""

INITIAL_HEAD_SCALE = 0.01
"""Factor on the initial weights of the head. The target maps are nearly 0 everywhere; with the
usual initial weights it takes 250 steps to learn this (initial squared error 7,000)."""


@dataclass(frozen=True)
class LandWidths:
    """Channels at each level, from full resolution down; one pooling between two levels.

    The paper does not state its widths, but two of its facts suggest 64 at full resolution. First,
    six steps of refinement at scale 0.5 take 12 s. With these widths the steps need 53 Tflop, which
    the paper's card cannot compute in less than 4.4 s; with half the widths they need a quarter of
    that. Second, 12 GB are enough for scale 0.4 but not for 0.5. Our network needs 4.7 GB and
    8.2 GB. The TensorFlow of that time stored more, because its batch normalisation in 3D consisted
    of several operations. On a processor a quarter of these widths takes a sixteenth of the time.
    """

    levels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    outputs: int = 16


class Convolution(Step):
    """A convolution of 3 x 3 x 3 without a bias, which the normalisation would remove."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Conv3d(inputs, outputs, 3, bias=False).weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve (B, C, I, J, K) to (B, D, I, J, K)."""
        return convolve(x, self.weight)


class Deconvolution(Step):
    """Doubles each axis, or doubles it and drops the first voxel: the inverse of `Pooling`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.ConvTranspose3d(inputs, outputs, 2, bias=False).weight

    def forward(self, x: torch.Tensor, *, odd: tuple[int, ...]) -> torch.Tensor:
        """Deconvolve (B, C, I, J, K) to (B, D, 2I - odd[0], ...)."""
        # Symmetric padding drops a voxel at either end; the output padding restores the last one.
        return F.conv_transpose3d(
            x, self.weight, stride=2, padding=odd, output_padding=odd
        ).contiguous(memory_format=CHANNELS_LAST)


class Normalisation(Step, nn.BatchNorm3d):
    """Batch normalisation and ReLU.

    A batch is one volume here. Running statistics are averages over many training volumes, and no
    single volume has them. With `own_statistics` each volume is normalised by its own statistics,
    in training and in prediction, so that the result depends on no other volume.
    """

    def __init__(self, channels: int, own_statistics: bool = False) -> None:
        super().__init__(channels, track_running_stats=not own_statistics)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise and rectify (B, C, I, J, K)."""
        if not self.track_running_stats and x[:, 0].numel() == 1:
            # A single voxel is its own mean, and torch refuses to divide by its deviation.
            return rectify((x - x.detach()) + self.bias.to(x.dtype).reshape(1, -1, 1, 1, 1))
        return rectify(super().forward(x))

    def again(self, parts: Iterator[torch.Tensor], **options: Any) -> torch.Tensor:
        """Normalise again without counting the batch twice in the running statistics."""
        tracks, self.track_running_stats = self.track_running_stats, False
        try:
            return self(*parts, **options)  # type: ignore[no-any-return]
        finally:
            self.track_running_stats = tracks


class Pooling(Step):
    """Maxima of 2 x 2 x 2 voxels, and their positions."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pool (B, C, I, J, K) to two tensors of (B, C, ceil(I/2), ceil(J/2), ceil(K/2))."""
        return pool(x)


class Concatenation(Step):
    """Concatenates its inputs along the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, *parts: torch.Tensor) -> torch.Tensor:
        """Concatenate tensors of (B, C, I, J, K) into (B, channels, I, J, K)."""
        return concatenate(parts)

    def again(self, parts: Iterator[torch.Tensor], **_: Any) -> torch.Tensor:
        """Copy one part after the other, so that not all parts exist beside their copies."""
        first = next(parts)
        shape = (first.shape[0], self.channels, *first.shape[2:])
        joined = torch.empty(
            shape, dtype=first.dtype, device=first.device, memory_format=CHANNELS_LAST
        )
        filled = first.shape[1]
        joined[:, :filled] = first
        del first  # before the next one is made
        for part in parts:
            joined[:, filled : filled + part.shape[1]] = part
            filled += part.shape[1]
        return joined


class Block(nn.Sequential):
    """Two convolutions, each followed by a normalisation."""

    def __init__(self, inputs: int, outputs: int, own_statistics: bool) -> None:
        super().__init__(
            Convolution(inputs, outputs),
            Normalisation(outputs, own_statistics),
            Convolution(outputs, outputs),
            Normalisation(outputs, own_statistics),
        )


class Rise(nn.Module):
    """The steps from one level to the next finer one."""

    def __init__(self, coarse: int, fine: int, own_statistics: bool) -> None:
        super().__init__()
        self.deconvolution = Deconvolution(coarse, fine)
        self.normalisation = Normalisation(fine, own_statistics)
        self.concatenation = Concatenation(2 * fine)


class Land(HeatmapNetwork):
    """The paper's network.

    Attributes:
        policy: gradient checkpointing policy, which the next forward pass follows.
        own_statistics: whether each volume is normalised by its own statistics.
    """

    def __init__(
        self, widths: LandWidths, policy: str = "none", *, own_statistics: bool = False
    ) -> None:
        super().__init__()
        levels = widths.levels
        own = own_statistics
        self.widths = widths
        self.policy = policy
        self.own_statistics = own
        self.encoder = nn.ModuleList(Block(*ends, own) for ends in pairwise((1, *levels)))
        self.pooling = Pooling()
        self.rises = nn.ModuleList(Rise(low, high, own) for high, low in pairwise(levels))
        self.decoder = nn.ModuleList(Block(2 * width, width, own) for width in levels[:-1])
        self.head = nn.Linear(levels[0], widths.outputs)
        with torch.no_grad():
            self.head.weight.mul_(INITIAL_HEAD_SCALE)
            self.head.bias.mul_(INITIAL_HEAD_SCALE)

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """Return heatmaps at full resolution, `HEIGHT` at a landmark.

        Args:
            volume: (B, 1, I, J, K), axes of any size.

        Returns:
            (B, outputs, I, J, K).
        """
        tape = Tape(self.policy, volume.device.type)
        with tape:
            x = volume
            skips: list[torch.Tensor] = []
            run = tape.block()
            downward = [DESCENT] * len(self.rises) + [BOTTOM]
            for kinds, block in zip(downward, self.encoder, strict=True):
                if block is not self.encoder[0]:
                    skips.append(x)
                    x, _ = run("pool", self.pooling, x)
                    run = tape.block()
                # Not in a function, which would hold its input until it returns.
                for kind, step in zip(kinds, block.children(), strict=True):
                    x = run(kind, step, x)
            for rise, block in zip(reversed(self.rises), reversed(self.decoder), strict=True):
                run = tape.block()
                odd = tuple(n % 2 for n in skips[-1].shape[2:])
                x = run("up", rise.deconvolution, x, odd=odd)
                x = run("norm", rise.normalisation, x)
                run = tape.block()
                # The skip first: computing it again takes more memory than the other input.
                x = run("concat", rise.concatenation, skips.pop(), x)
                for kind, step in zip(ASCENT, block.children(), strict=True):
                    x = run(kind, step, x)
            return self.finish(x)

    def finish(self, features: torch.Tensor) -> torch.Tensor:
        """Return heatmaps from the features (B, width, I, J, K) of the last convolution."""
        return combine_channels(features, self.head.weight, self.head.bias)

    @property
    def levels(self) -> tuple[int, ...]:
        """See `HeatmapNetwork`."""
        return self.widths.levels

    @property
    def stride(self) -> int:
        """See `HeatmapNetwork`."""
        return 1

    @property
    def multiple(self) -> int:
        """See `HeatmapNetwork`."""
        return 1

    def maps(self, output: torch.Tensor) -> torch.Tensor:
        """Return the output as heights from 0 to about 1."""
        return output / HEIGHT

    def height(self, sigma_voxels: float) -> float:  # noqa: ARG002
        """See `HeatmapNetwork`."""
        return 1.0


def build_land(widths: LandWidths, policy: str = "none", *, own_statistics: bool = False) -> Land:
    """Build the paper's network with fresh weights, laid out in memory for fast convolutions.

    Args:
        widths: channels of each level.
        policy: gradient checkpointing policy, a name from `POLICIES`. It changes memory and time
            but no result, and may be changed at any time.
        own_statistics: normalise each volume by its own statistics, not by running ones.

    Raises:
        BadInput: no policy has this name.
    """
    kept_kinds(policy)
    land = Land(widths, policy, own_statistics=own_statistics)
    return land.to(memory_format=CHANNELS_LAST)  # type: ignore[call-overload,no-any-return]

"""The network of the two-pass model: a 3D U-Net that works at half the resolution of its input.

Three choices make it fast on a processor: a stem of stride 2, skip connections that are added
instead of concatenated, and heatmaps at half resolution, whose peaks are read below the voxel size.
Group normalisation treats each volume by itself. Training on two volumes at a time and predicting
one therefore use the same statistics, and so does a scanner of another contrast.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import pi

import torch
import torch.nn.functional as F
from torch import nn

from fetusmap.network.device import one_thread
from fetusmap.network.heatmap_network import HeatmapNetwork

GROUPS = 8
STRIDE = 2
"""Input voxels per heatmap voxel, along each axis."""


@dataclass(frozen=True)
class UNetWidths:
    """Channels at each level of the U-Net, from half resolution down; all multiples of 8."""

    levels: tuple[int, ...] = (32, 64, 128, 160)
    outputs: int = 16

    @property
    def multiple(self) -> int:
        """The number of voxels along each axis of the input must be a multiple of this."""
        return int(STRIDE * 2 ** (len(self.levels) - 1))


class GroupNorm(nn.GroupNorm):
    """Group normalisation that gives the same bits with any number of threads.

    torch splits the sums of a group among its threads, which changes their last bits. On one thread
    they take 3 % of the time of the network; all other layers use all threads.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - as in torch
        """Normalise (B, C, I, J, K)."""
        with one_thread():
            return super().forward(input)


class ConvBlock(nn.Module):
    """Convolutions of 3 x 3 x 3, each followed by group normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int, count: int) -> None:
        super().__init__()
        widths = [inputs, *[outputs] * count]
        self.convs = nn.ModuleList(
            nn.Conv3d(a, b, 3, padding=1, bias=False) for a, b in pairwise(widths)
        )
        self.norms = nn.ModuleList(GroupNorm(GROUPS, outputs) for _ in range(count))

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, I, J, K)
        """Apply them in turn."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)), inplace=True)
        return x


class UNet(HeatmapNetwork):
    """The U-Net. Heatmap voxel [i, j, k] lies in the middle of input voxels 2i and 2i + 1."""

    same_on_any_threads = True

    def __init__(self, widths: UNetWidths) -> None:
        super().__init__()
        levels = widths.levels
        self.widths = widths
        self.stem = nn.Conv3d(1, levels[0], 2 * STRIDE, stride=STRIDE, padding=STRIDE // 2)
        self.encoder = nn.ModuleList(
            ConvBlock(levels[max(n - 1, 0)], width, 2 if n else 1) for n, width in enumerate(levels)
        )
        self.lateral = nn.ModuleList(
            nn.Conv3d(coarse, fine, 1) for fine, coarse in pairwise(levels)
        )
        self.decoder = nn.ModuleList(ConvBlock(width, width, 2) for width in levels[:-1])
        self.head = nn.Conv3d(levels[0], widths.outputs, 1)

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """Return the logits of a distribution over the voxels of each channel.

        Args:
            volume: (B, 1, I, J, K), each axis a multiple of `widths.multiple`.

        Returns:
            (B, C, I/2, J/2, K/2).
        """
        x = self.stem(volume)
        skips: list[torch.Tensor] = []
        for block in self.encoder:
            x = block(F.max_pool3d(x, 2) if skips else x)
            skips.append(x)
        skips.pop()
        for lateral, block in zip(reversed(self.lateral), reversed(self.decoder), strict=True):
            x = block(F.interpolate(lateral(x), scale_factor=2, mode="nearest") + skips.pop())
        # Half precision has steps of 0.06 at a logit of 10, which would shift the peaks.
        with torch.autocast(x.device.type, enabled=False):
            # A convolution of 1 x 1 x 1 as a matrix product, which takes a quarter of the time.
            mixed = torch.matmul(self.head.weight.flatten(1), x.float().flatten(2))
            mixed += self.head.get_parameter("bias")[:, None]
            logits: torch.Tensor = mixed.reshape(*mixed.shape[:2], *x.shape[2:])
        return logits

    @property
    def levels(self) -> tuple[int, ...]:
        """See `HeatmapNetwork`."""
        return self.widths.levels

    @property
    def stride(self) -> int:
        """See `HeatmapNetwork`."""
        return STRIDE

    @property
    def multiple(self) -> int:
        """See `HeatmapNetwork`."""
        return self.widths.multiple

    def maps(self, output: torch.Tensor) -> torch.Tensor:
        """Return maps whose voxels sum to 1 in each channel."""
        return torch.softmax(output.flatten(1), dim=1).reshape(output.shape)

    def height(self, sigma_voxels: float) -> float:
        """Return the maximum of a Gaussian whose voxels sum to 1."""
        return float((2 * pi * sigma_voxels**2) ** -1.5)


def build_unet(widths: UNetWidths) -> UNet:
    """Build a U-Net with fresh weights, laid out in memory for fast convolutions."""
    network = UNet(widths)
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return network

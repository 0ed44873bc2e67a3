"""A U-Net of MONAI that regresses heatmaps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version

import numpy as np
import torch
from monai.networks.nets import UNet
from monai.transforms import ApplyTransformToPointsd, Compose
from torch import nn

from fetusmap.geometry import Grid
from fetusmap.heatmap import Heatmaps, encode, find_peaks
from fetusmap.network import HEIGHT
from studies.peers.augmentation import IMAGE, name_sides, random_changes
from studies.peers.common import (
    Example,
    Found,
    Input,
    Peer,
    Setup,
    compute_small_in_float32,
    predict_maps,
)

POINTS = "points"
RATE = 1e-3


def build(setup: Setup) -> nn.Module:
    """The network of MONAI's 3D segmentation tutorials, with one channel per landmark."""
    network = UNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=len(setup.skeleton),
        channels=(16, 32, 64, 128, 256),
        strides=(2, 2, 2, 2),
        num_res_units=2,
    )
    return compute_small_in_float32(network)


def optimizer(network: nn.Module) -> torch.optim.Optimizer:
    """As in the same tutorials."""
    return torch.optim.Adam(network.parameters(), RATE)


def draw(examples: Sequence[Example], setup: Setup) -> Iterator[Example]:
    """Change examples in random order; the points follow the image."""
    change = Compose([random_changes(setup.seed), ApplyTransformToPointsd(POINTS, IMAGE)])
    rng = np.random.default_rng(setup.seed)
    while True:
        for number in rng.permutation(len(examples)):
            example = examples[number]
            changed = change({IMAGE: example.image, POINTS: example.indices[None]})
            image, points = changed[IMAGE], changed[POINTS]
            indices = name_sides(points[0].as_tensor(), image.affine, setup.skeleton)
            yield Example(image.as_tensor(), indices)


def loss(network: nn.Module, example: Example, setup: Setup) -> torch.Tensor:
    """Mean squared difference from Gaussians, as high as in the experiment's own training."""
    maps = predict_maps(network, example.image, setup)
    return nn.functional.mse_loss(maps, target_of(example, setup))


def target_of(example: Example, setup: Setup) -> torch.Tensor:
    """(N, I, J, K) Gaussians; 0 for a landmark that is not visible.

    Written by fetusmap: MONAI's own GenerateHeatmap rounds landmarks to whole voxels, and takes
    longer than a step of the network.
    """
    i, j, k = example.image.shape[1:]
    voxels = Grid((i, j, k), np.eye(4))
    channels = [[row] for row in range(len(setup.skeleton))]
    maps = encode(example.indices.numpy(), voxels, setup.sigma_voxels, channels)
    return HEIGHT * torch.from_numpy(maps)


def locate(network: nn.Module, prepared: Input, setup: Setup) -> Found:
    """The highest peak of each map; MONAI has no decoder, so fetusmap's is used."""
    maps = predict_maps(network, prepared.image, setup).clamp(min=0) / HEIGHT
    peaks = find_peaks(Heatmaps(maps, prepared.grid))
    return peaks.positions_mm[:, 0], np.clip(peaks.heights[:, 0], 0, 1)


PEER = Peer(
    name="monai-unet",
    about=f"MONAI {version('monai')}: its UNet with one channel per landmark, mean squared error "
    f"from Gaussians, Adam at {RATE:g}, and its flips, turns and changes of grey levels; what it "
    "does not have comes from fetusmap: targets between voxels, their decoding, and the exchange "
    "of left and right in mirror images.",
    multiple=16,
    build=build,
    optimizer=optimizer,
    draw=draw,
    loss=loss,
    locate=locate,
)

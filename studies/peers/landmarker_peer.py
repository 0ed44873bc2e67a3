"""landmarker: its 3D spatial configuration network with heatmaps that adapt their width."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from importlib.metadata import version

import torch
from torch import nn
from torch.utils.data import DataLoader

from studies.peers.augmentation import name_sides, random_changes
from studies.peers.common import (
    Example,
    Found,
    Input,
    Peer,
    Setup,
    compute_small_in_float32,
    predict_maps,
)
from studies.peers.landmarker_parts import (
    GaussianHeatmapGenerator,
    GaussianHeatmapL2Loss,
    LandmarkDataset,
    OriginalSpatialConfigurationNet3d,
    heatmap_to_coord,
)

SIGMA_VOXELS = 3.0
GAMMA = 100.0
ALPHA = 5.0
CHANNELS, DROPOUT = 32, 0.0
"""In place of 64 and 0.5, which learn less in the same minutes on one thread."""

RATE, WIDTHS_RATE = 3e-4, 1e-2
"""Of the network and of the widths of its targets, in place of 1e-5, too slow for minutes."""

FAR_AWAY = -1e3
"""Index of a landmark that is not visible. landmarker writes NaN as 0, but its gradient as NaN."""


class AdaptiveHeatmaps(nn.Module):
    """The network, and the generator of its targets, which learns their widths.

    Attributes:
        network: image to heatmaps.
        generator: landmarks to heatmaps.
    """

    def __init__(self, landmarks: int) -> None:
        super().__init__()
        network = OriginalSpatialConfigurationNet3d(
            out_channels=landmarks,
            la_channels=CHANNELS,
            la_dropout=DROPOUT,
            sp_channels=CHANNELS,
        )
        self.network = compute_small_in_float32(network)
        self.generator = GaussianHeatmapGenerator(
            landmarks,
            sigmas=SIGMA_VOXELS,
            gamma=GAMMA,
            heatmap_size=(1, 1, 1),  # of each image, when it is known
            learnable=True,
        )

    def heights(self) -> torch.Tensor:
        """(N,) of the target Gaussians."""
        volumes: torch.Tensor = self.generator.sigmas.prod(dim=1)
        heights: torch.Tensor = GAMMA / ((2 * math.pi) ** 1.5 * volumes)
        return heights


def build(setup: Setup) -> nn.Module:
    """The parts of the tool's own first example, in 3D."""
    return AdaptiveHeatmaps(len(setup.skeleton))


def optimizer(module: nn.Module) -> torch.optim.Optimizer:
    """Adam, as in the tool's 3D example."""
    assert isinstance(module, AdaptiveHeatmaps)
    learned = [
        {"params": module.network.parameters(), "lr": RATE},
        {"params": module.generator.parameters(), "lr": WIDTHS_RATE},
    ]
    return torch.optim.Adam(learned)


def draw(examples: Sequence[Example], setup: Setup) -> Iterator[Example]:
    """Take examples from the tool's data set, whose landmarks follow the image."""
    dataset = LandmarkDataset(
        imgs=[example.image for example in examples],
        landmarks=torch.stack([example.indices for example in examples]),
        spatial_dims=3,
        transform=random_changes(setup.seed),
    )
    order = torch.Generator().manual_seed(setup.seed)
    loader = DataLoader(dataset, batch_size=None, shuffle=True, generator=order)
    while True:
        for batch in loader:
            indices = name_sides(batch["landmark"], batch["affine"], setup.skeleton)
            yield Example(batch["image"].as_tensor(), indices.float())


def loss(module: nn.Module, example: Example, setup: Setup) -> torch.Tensor:
    """Squared difference from the targets, and a price for their widths (Thaler et al. 2021)."""
    assert isinstance(module, AdaptiveHeatmaps)
    maps = predict_maps(module.network, example.image, setup)
    module.generator.heatmap_size = tuple(example.image.shape[1:])
    targets = module.generator(example.indices.nan_to_num(FAR_AWAY)[None])
    criterion = GaussianHeatmapL2Loss(alpha=ALPHA, spatial_dims=3)
    price: torch.Tensor = criterion(maps[None], module.generator.sigmas, targets)
    return price


def locate(module: nn.Module, prepared: Input, setup: Setup) -> Found:
    """Read each map by the tool's local soft-argmax, whose temperature is for maps of height 1."""
    assert isinstance(module, AdaptiveHeatmaps)
    maps = (
        predict_maps(module.network, prepared.image, setup) / module.heights()[:, None, None, None]
    )
    indices = heatmap_to_coord(maps[None], method="local_soft_argmax", spatial_dims=3)[0]
    confidence = maps.amax(dim=(1, 2, 3)).clamp(0, 1)
    return prepared.grid.to_world(indices.double().numpy()), confidence.double().numpy()


PEER = Peer(
    name="landmarker",
    about=f"landmarker {version('landmarker')}: its 3D spatial configuration network with "
    f"{CHANNELS} channels and no dropout in place of 64 and 0.5, heatmaps that learn their widths, "
    f"its loss for them, its local soft-argmax, Adam at {RATE:g} in place of 1e-05, and MONAI's "
    "flips, turns and changes of grey levels; the adapter exchanges left and right in mirror "
    "images, which the tool does not.",
    multiple=8,
    build=build,
    optimizer=optimizer,
    draw=draw,
    loss=loss,
    locate=locate,
)

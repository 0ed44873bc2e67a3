"""A detector: a network, what it looks at, and what its channels show."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from fetusmap.anatomy import Channels
from fetusmap.detect.frame import CanonicalGrid, WholeGrid
from fetusmap.geometry import Grid
from fetusmap.heatmap import Heatmaps
from fetusmap.network import HeatmapNetwork
from fetusmap.network.device import has_fast_bfloat16, one_thread
from fetusmap.preprocess.preparation import equalize, sample, standardize
from fetusmap.volume import Volume


@dataclass(frozen=True, eq=False)
class Detector:
    """One pass: a volume on a grid in, a heatmap per channel out.

    Attributes:
        network: in evaluation mode.
        look: how grids for it are placed.
        channels: of its output.
        sigma_voxels: standard deviation of the Gaussians that it was trained on.
    """

    network: HeatmapNetwork
    look: WholeGrid | CanonicalGrid
    channels: Channels
    sigma_voxels: float = field(default=1.0, kw_only=True)

    @property
    def height(self) -> float:
        """Of a heatmap at a landmark that it shows without doubt."""
        return self.network.height(self.sigma_voxels)

    @property
    def multiple(self) -> int:
        """Each axis of a grid must be a multiple of this."""
        return self.network.multiple

    def detect(self, prepared: Volume, grid: Grid, *, half: bool | None = None) -> Heatmaps:
        """Heatmaps of a prepared volume on a grid.

        Args:
            prepared: see `prepare`.
            grid: each axis a multiple of the network's.
            half: compute in bfloat16; None where that is fast.

        Returns:
            Non-negative maps, on the grid or on its blocks where the network has a stride.
        """
        volume = self.input_of(prepared, grid)
        half = has_fast_bfloat16(volume.device) if half is None else half
        with (
            one_thread(),
            torch.inference_mode(),
            torch.autocast(volume.device.type, torch.bfloat16, half),
        ):
            output = self.network(volume)[0].float().cpu()
        return Heatmaps(self.network.heatmaps(output), grid.pool(self.network.stride))

    def input_of(self, prepared: Volume, grid: Grid) -> torch.Tensor:
        """(1, 1, I, J, K) what the network sees of a prepared volume on a grid, on its device."""
        ranks = equalize(sample(prepared, grid))
        volume = torch.from_numpy(standardize(ranks))[None, None]
        volume = volume.to(next(self.network.parameters()).device)
        return volume.contiguous(memory_format=torch.channels_last_3d)

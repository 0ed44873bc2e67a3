"""`Detector`: a network, the grid of its input, and the landmarks that its channels show."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field

import torch

from fetusmap.anatomy import Channels, Skeleton
from fetusmap.detect.frame import BodyFrameGrid, WholeVolumeGrid
from fetusmap.geometry import Grid
from fetusmap.heatmap import Heatmaps
from fetusmap.network import HeatmapNetwork, has_fast_bfloat16, one_thread
from fetusmap.preprocess import equalize, sample, standardize
from fetusmap.volume import Volume


@dataclass(frozen=True, eq=False)
class Detector:
    """A network with all that is needed to predict heatmaps from a prepared volume on a grid.

    Attributes:
        network: the network, in evaluation mode.
        input_grid: how grids for its input are placed.
        channels: the landmarks that its output channels show.
        sigma_voxels: standard deviation of the Gaussians that the network was trained on.
    """

    network: HeatmapNetwork
    input_grid: WholeVolumeGrid | BodyFrameGrid
    channels: Channels
    sigma_voxels: float = field(default=1.0, kw_only=True)

    @property
    def peak_height(self) -> float:
        """Height of a heatmap at a landmark that the network is certain of."""
        return self.network.height(self.sigma_voxels)

    @property
    def multiple(self) -> int:
        """The number of voxels along each axis of an input grid must be a multiple of this."""
        return self.network.multiple

    def predict(self, prepared: Volume, grid: Grid, *, half: bool | None = None) -> Heatmaps:
        """Predict the heatmaps of a prepared volume on a grid.

        Args:
            prepared: a prepared volume, see `fetusmap.preprocess.prepare`.
            grid: the input grid; each axis has a multiple of `multiple` voxels.
            half: compute in bfloat16; None does so where bfloat16 is fast.

        Returns:
            Non-negative heatmaps, on the grid itself or, for a network with a stride, on its
            blocks.
        """
        return self.predict_from(self.input_tensor(prepared, grid), grid, half=half)

    def predict_from(
        self, volume: torch.Tensor, grid: Grid, *, half: bool | None = None
    ) -> Heatmaps:
        """Predict the heatmaps of a (1, 1, I, J, K) input of the network; see `predict`."""
        half = has_fast_bfloat16(volume.device) if half is None else half
        with (
            nullcontext() if self.network.same_on_any_threads else one_thread(),
            torch.inference_mode(),
            torch.autocast(volume.device.type, torch.bfloat16, half),
        ):
            output = self.network(volume)[0].float().cpu()
        return Heatmaps(self.network.heatmaps(output), grid.pool(self.network.stride))

    def input_tensor(self, prepared: Volume, grid: Grid) -> torch.Tensor:
        """Return the (1, 1, I, J, K) input of the network for a volume on a grid, on its device."""
        ranks = equalize(sample(prepared, grid))
        volume = torch.from_numpy(standardize(ranks))[None, None]
        volume = volume.to(next(self.network.parameters()).device)
        return volume.contiguous(memory_format=torch.channels_last_3d)


def predict_on(
    detector: Detector,
    skeleton: Skeleton,
    prepared: Volume,
    grid: Grid,
    *,
    flip_average: bool,
    half: bool | None,
) -> Heatmaps:
    """Predict heatmaps with one channel per landmark on a grid.

    Args:
        detector: a detector with one channel per landmark.
        skeleton: names the channels.
        prepared: a prepared volume.
        grid: the input grid.
        flip_average: average with the heatmaps of the mirror image.
        half: compute in bfloat16; None does so where bfloat16 is fast.
    """
    volume = detector.input_tensor(prepared, grid)
    heatmaps = detector.predict_from(volume, grid, half=half)
    if not flip_average:
        return heatmaps
    return mean_heatmaps(heatmaps, predict_mirrored(detector, skeleton, volume, grid, half=half))


def predict_mirrored(
    detector: Detector, skeleton: Skeleton, volume: torch.Tensor, grid: Grid, *, half: bool | None
) -> Heatmaps:
    """Predict heatmaps from the mirror image, with the sides exchanged back, on the same grid.

    Args:
        detector: a detector with one channel per landmark.
        skeleton: names the channels.
        volume: (1, 1, I, J, K) input of the network on the grid, see `Detector.input_tensor`.
        grid: the input grid.
        half: compute in bfloat16; None does so where bfloat16 is fast.
    """
    # The mirror image has the same grey levels and ranks, so it is not sampled again.
    mirrored = detector.predict_from(volume.flip(2), grid.flip(0), half=half).array.flip(1)
    array = mirrored[skeleton.mirror_index.tolist()]
    return Heatmaps(array, grid.pool(detector.network.stride))


def mean_heatmaps(first: Heatmaps, second: Heatmaps) -> Heatmaps:
    """Average heatmaps on one grid."""
    return Heatmaps((first.array + second.array) / 2, first.grid)

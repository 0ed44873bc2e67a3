"""Validate a network on held-out cases: its loss, and its errors in millimetres."""

from __future__ import annotations

import numpy as np
import torch

from fetusmap.anatomy import Channels
from fetusmap.heatmap import Heatmaps, find_peaks
from fetusmap.network import HeatmapNetwork
from fetusmap.train.batches import batch_of
from fetusmap.train.config import TrainingConfig
from fetusmap.train.samples import SampleSource
from fetusmap.train.stages import Stage
from fetusmap.types import FloatArray

ERROR_WITHOUT_PEAK_MM = 99.0
"""Error of a landmark in view whose channel has no peak."""


@torch.no_grad()
def validate(
    network: HeatmapNetwork, source: SampleSource, stage: Stage, config: TrainingConfig
) -> dict[str, float]:
    """Compute the loss and the errors of a network over the first samples of a source.

    If a channel shows two landmarks, its two peaks are matched with them in the order that fits
    better: distinguishing the sides is not the network's task.

    Args:
        network: the network with averaged weights.
        source: samples of held-out cases.
        stage: channels, targets and loss.
        config: number of samples and width of the targets.
    """
    device = next(network.parameters()).device
    losses, errors = [], []
    for number in range(config.validation_cases):
        batch = batch_of(
            [source.sample(number)],
            stage.channels,
            config.sigma_voxels,
            network.stride,
            stage.height,
        )
        with torch.autocast(device.type, torch.bfloat16, config.precision == "bf16-mixed"):
            logits = network(batch.volumes.to(device)).float().cpu()
        losses.append(float(stage.loss(logits, batch.targets)))
        maps = Heatmaps(network.heatmaps(logits[0]), batch.grids[0])
        peaks = find_peaks(maps, count=2)
        errors.append(matched_errors(peaks.positions_mm, batch.positions_mm[0], stage.channels))
    found = np.array(errors)  # (V, N)
    return {
        "validation_loss": float(np.mean(losses)),
        "validation_mm": float(np.nanmean(found)),
        "validation_median_mm": float(np.nanmedian(found)),
        "validation_within_10_mm": float(np.mean(found[np.isfinite(found)] < 10)),
    }


def matched_errors(
    peaks_mm: FloatArray, positions_mm: FloatArray, channels: Channels
) -> FloatArray:
    """Compute the (N,) distances of landmarks from their channels' peaks, mm; NaN if not in view.

    Args:
        peaks_mm: (C, P, 3) peaks, highest first.
        positions_mm: (N, 3) true positions.
        channels: the landmarks of each channel.
    """
    errors = np.full(len(positions_mm), np.nan)
    for peaks, rows in zip(peaks_mm, channels.rows, strict=True):
        truth = positions_mm[list(rows)]
        known = np.isfinite(truth).all(axis=1)
        if known.sum() < 2:
            rows_known = np.array(rows)[known]
            errors[rows_known] = _or_far(np.linalg.norm(peaks[0] - truth[known], axis=1))
            continue
        straight, crossed = (
            np.linalg.norm(order - truth, axis=1) for order in (peaks[:2], peaks[1::-1])
        )
        errors[list(rows)] = min(_or_far(straight), _or_far(crossed), key=np.sum)
    return errors


def _or_far(errors_mm: FloatArray) -> FloatArray:
    """Replace the error of a landmark without a peak by a large one."""
    return np.nan_to_num(errors_mm, nan=ERROR_WITHOUT_PEAK_MM)

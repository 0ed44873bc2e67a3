"""Losses between a network's output and the landmarks as heatmaps."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def voxel_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy between each channel's distribution over voxels and its target's.

    A channel without any landmark in view takes no part. In contrast to squared errors this does
    not reward a network that predicts nothing anywhere.

    Args:
        logits: (B, C, I, J, K).
        target: (B, C, I, J, K), 0 or more.

    Returns:
        The mean over all channels with a landmark in view, in nats; 0 without any.
    """
    flat = target.flatten(2)
    mass = flat.sum(dim=2)
    seen = mass > 1e-3
    log_probability = F.log_softmax(logits.float().flatten(2), dim=2)
    each = -(log_probability * flat).sum(dim=2) / mass.clamp(min=1e-3)
    return (each * seen).sum() / seen.sum().clamp(min=1)


def scaled_squared_error(
    output: torch.Tensor, target: torch.Tensor, *, height: float = 1.0
) -> torch.Tensor:
    """The paper's L2 loss, summed over voxels and averaged over channels and cases.

    A mean over voxels instead would be some 1e-6 of it: nearly nothing on these sparse maps.

    Args:
        output: (B, C, I, J, K).
        target: (B, C, I, J, K).
        height: of the targets; the loss is that of targets of height 1.
    """
    # Not one call of mse_loss: behind its one number torch keeps a buffer as large as the maps.
    errors = F.mse_loss(output.float(), target, reduction="none")
    return errors.sum(dim=(2, 3, 4)).mean() / height**2

"""Losses between the output of a network and the target heatmaps of the landmarks."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def voxel_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Compute the cross-entropy between the distributions over voxels of outputs and targets.

    A channel without a landmark in view is left out. In contrast to squared errors, this loss does
    not reward a network that predicts 0 everywhere.

    Args:
        logits: (B, C, I, J, K).
        target: (B, C, I, J, K), 0 or more.

    Returns:
        The mean over all channels with a landmark in view, in nats; 0 if there is none.
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
    """Compute the paper's L2 loss, summed over voxels and averaged over channels and cases.

    A mean over voxels would be smaller by a factor of about 1e6, as the maps are sparse.

    Args:
        output: (B, C, I, J, K).
        target: (B, C, I, J, K).
        height: height of the targets; the loss is that for targets of height 1.
    """
    # With a reduction in mse_loss, torch would keep a buffer as large as the maps.
    errors = F.mse_loss(output.float(), target, reduction="none")
    return errors.sum(dim=(2, 3, 4)).mean() / height**2

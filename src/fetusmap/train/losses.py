"""Losses between the output of a network and the target heatmaps of the landmarks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

SIDE_SHARPNESS = 4.0
"""Logit of the side where one map of a pair has the height of a landmark and the other is 0."""


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


def side_cross_entropy(
    output: torch.Tensor,
    target: torch.Tensor,
    *,
    pairs: Sequence[tuple[int, int]],
    height: float = 1.0,
) -> torch.Tensor:
    """Compute the cross-entropy of left against right at the places of paired landmarks.

    L2 heatmaps hide a classification: each of two similar places must be the left or the right one.
    This loss makes it explicit, apart from the localisation. It follows the idea of the pair loss
    of FetusMapV2 (Chen et al., Medical Image Analysis 2024), not its formula. The difference of the
    two maps of a pair is the logit of the side; every voxel counts by the sum of the two targets.

    Args:
        output: (B, C, I, J, K).
        target: (B, C, I, J, K), 0 or more.
        pairs: channels of the left and the right landmark of each pair.
        height: height of the targets.

    Returns:
        The mean over all pairs, in nats: 0.69 for a network that does not distinguish sides; 0 if
        no paired landmark is in view.
    """
    left, right = (list(rows) for rows in zip(*pairs, strict=True))
    weight = (target[:, left] + target[:, right]) / height
    is_left = target[:, left] / (target[:, left] + target[:, right]).clamp(min=1e-6)
    logits = SIDE_SHARPNESS * (output[:, left].float() - output[:, right].float()) / height
    losses = F.binary_cross_entropy_with_logits(logits, is_left, weight, reduction="none")
    mass = weight.sum(dim=(2, 3, 4))
    seen = mass > 1e-3
    each = losses.sum(dim=(2, 3, 4)) / mass.clamp(min=1e-3)
    return (each * seen).sum() / seen.sum().clamp(min=1)


def squared_error_with_sides(
    output: torch.Tensor,
    target: torch.Tensor,
    *,
    pairs: Sequence[tuple[int, int]],
    weight: float,
    height: float = 1.0,
) -> torch.Tensor:
    """Compute the paper's L2 loss plus the weighted cross-entropy of the sides."""
    sides = side_cross_entropy(output, target, pairs=pairs, height=height)
    return scaled_squared_error(output, target, height=height) + weight * sides

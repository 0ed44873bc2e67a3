"""Random flips, turns and grey levels by MONAI's transforms, with left and right exchanged."""

from __future__ import annotations

import math

import torch
from monai.transforms import (
    Compose,
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
    RandRotate90d,
    RandScaleIntensityd,
)

from fetusmap.anatomy import Skeleton

IMAGE = "image"
PLANES = ((0, 1), (0, 2), (1, 2))


def random_changes(seed: int) -> Compose:
    """All flips and right-angle turns, as in the experiment's own training, and small changes."""
    changes = Compose(
        [
            *(RandFlipd(IMAGE, prob=0.5, spatial_axis=axis) for axis in range(3)),
            *(RandRotate90d(IMAGE, prob=0.75, spatial_axes=plane) for plane in PLANES),
            RandAffined(
                IMAGE,
                prob=0.5,
                rotate_range=(math.pi / 12,) * 3,
                translate_range=(2,) * 3,
                scale_range=(0.1,) * 3,
                padding_mode="zeros",
            ),
            RandScaleIntensityd(IMAGE, factors=0.25, prob=0.2),
            RandGaussianNoised(IMAGE, prob=0.2, std=0.1),
        ]
    )
    return changes.set_random_state(seed)


def name_sides(indices: torch.Tensor, affine: torch.Tensor, skeleton: Skeleton) -> torch.Tensor:
    """Exchange left and right landmarks where an image was mirrored, which no transform does.

    Args:
        indices: (N, 3) landmarks of the changed image.
        affine: (4, 4) between the voxels of the image before and after, in either direction.
        skeleton: names the rows.
    """
    mirrored = bool(torch.linalg.det(affine[:3, :3]) < 0)
    return indices[torch.from_numpy(skeleton.mirror_index)] if mirrored else indices

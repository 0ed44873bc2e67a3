"""The size of a body, and means over landmarks that may be absent."""

from __future__ import annotations

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.types import FloatArray, Points3


def body_sizes_mm(skeleton: Skeleton, positions_mm: Points3) -> FloatArray:
    """Compute the size of each body, the unit in which poses of different fetuses are compared.

    The size is the distance from sacrum to neck. For a skeleton without a trunk it is the
    root-mean-square distance of the landmarks from their centroid.

    Args:
        skeleton: names the rows.
        positions_mm: (..., N, 3) landmarks; NaN where absent.

    Returns:
        (...) sizes, mm; NaN where the trunk is absent.
    """
    if skeleton.trunk is not None:
        sacrum, _, neck = skeleton.indices(skeleton.trunk)
        return np.asarray(
            np.linalg.norm(positions_mm[..., neck, :] - positions_mm[..., sacrum, :], axis=-1)
        )
    center = mean_where_present(positions_mm, axis=-2)
    square = ((positions_mm - center[..., None, :]) ** 2).sum(axis=-1)
    return np.asarray(np.sqrt(mean_where_present(square[..., None], axis=-2)[..., 0]))


def mean_where_present(points: Points3, axis: int) -> FloatArray:
    """Compute the mean along an axis over the points that are present; NaN where none is.

    Args:
        points: (..., D) points; NaN where absent.
        axis: the axis over which the mean is taken, not the last one.
    """
    present = np.isfinite(points)
    count = present.sum(axis=axis)
    total = np.where(present, points, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)

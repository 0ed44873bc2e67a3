"""Gaussian smoothing by dense matrix products, which are faster than taps for a wide blur."""

from __future__ import annotations

import numpy as np

from fetusmap.types import Field


def smooth(field: Field, sds: tuple[float, float, float]) -> Field:
    """Blur a (R, T, P) field along each axis by a standard deviation in samples; 0 does nothing.

    The weights sum to one everywhere: at the borders only samples inside the lattice count.
    """
    for axis, sd in enumerate(sds):
        if sd > 0:
            weights = _weights(field.shape[axis], sd)
            if axis == 0:
                field = (weights @ field.reshape(len(field), -1)).reshape(field.shape)
            elif axis == 1:
                field = np.matmul(weights, field)
            else:
                field = field @ weights.T
    return field


def _weights(count: int, sd: float) -> Field:
    """Return (count, count) Gaussian weights whose rows sum to one."""
    apart = np.arange(count)[:, None] - np.arange(count)
    weights = np.exp(-0.5 * (apart / sd) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)

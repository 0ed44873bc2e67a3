"""Gaussian smoothing of lattices by dense products, which beat taps where the blur is wide."""

from __future__ import annotations

import numpy as np

from fetusmap.types import Field


def smooth(field: Field, sds: tuple[float, float, float]) -> Field:
    """(R, T, P) field blurred along each axis by a standard deviation in samples; 0 leaves it.

    Weights sum to one everywhere: at the borders what lies outside counts for nothing.
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
    apart = np.arange(count)[:, None] - np.arange(count)
    weights = np.exp(-0.5 * (apart / sd) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)

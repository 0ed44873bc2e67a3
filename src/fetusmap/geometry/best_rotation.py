"""The best rotation between point sets in closed form, for many covariance matrices at once.

The matrices are (3, 3, ...) arrays of either precision: the nine entries come first, so that each
operation works on contiguous memory. All sums are written out, because a general sum over an axis
of length 3 takes several times as long.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.floating[Any]]

MAX_NEWTON_STEPS = 20
"""Newton's method needs 4 steps where the best rotation is clear, and more where it hardly is."""

MAX_STEP_OVER_PRECISION = 50.0
"""Newton's method ends with a step that is smaller than this number of rounding errors."""

MIN_SLOPE_OVER_PRECISION = 4000.0
"""A slope smaller than this number of rounding errors is taken for that of a double root."""


class BestRotations(NamedTuple):
    """Rotations R that maximise trace(R^T cross), without reflections.

    Attributes:
        rotation: (3, 3, ...), determinant +1 within rounding errors over `conditioning`.
        trace: (...) the maximum.
        conditioning: (...) between 0, where the best rotation is not unique, and 0.4.
    """

    rotation: Real
    trace: Real
    conditioning: Real


def best_rotations(cross: Real) -> BestRotations:
    """Find the rotations that maximise trace(R^T cross) for (3, 3, ...) covariances.

    For B = cross of unit norm, the largest eigenvalue of Davenport's matrix is the largest root x
    of (x^2 - 1)^2 = 8 x det(B) + 4 |cof(B)|^2, and with kappa = (x^2 - 1) / 2
    R = ((kappa + 1) B + x cof(B) - B B^T B) / (kappa x - det B)   (Markley 1993, eq. 12 and 17).
    The denominator is (a + b)(b + c)(c + a) for signed singular values a >= b >= |c|: it is zero
    exactly when the best rotation is not unique.
    """
    norm = np.sqrt(sum_of_squares(cross.reshape(9, *cross.shape[2:])))
    b = cross / np.where(norm > 0, norm, 1)
    cofactor = np.empty_like(b)
    for q in range(3):
        for p in range(3):
            low, high = b[(q + 1) % 3], b[(q + 2) % 3]
            left, right = (p + 1) % 3, (p + 2) % 3
            cofactor[q, p] = low[left] * high[right] - low[right] * high[left]
    determinant = b[0, 0] * cofactor[0, 0] + b[0, 1] * cofactor[0, 1] + b[0, 2] * cofactor[0, 2]
    square = sum_of_squares(cofactor.reshape(9, *cofactor.shape[2:]))
    root = _largest_root(determinant, square)
    kappa = 0.5 * (root * root - 1)
    conditioning = kappa * root - determinant
    tiny = np.finfo(conditioning.dtype).tiny  # the inverse of anything smaller overflows
    divisor = 1 / np.where(conditioning > tiny, conditioning, 1)
    kappa += 1
    gram = {}
    for q in range(3):
        for r in range(q, 3):
            gram[q, r] = gram[r, q] = b[q, 0] * b[r, 0] + b[q, 1] * b[r, 1] + b[q, 2] * b[r, 2]
    rotation = np.empty_like(b)
    for q in range(3):
        for p in range(3):
            entry = kappa * b[q, p] + root * cofactor[q, p]
            for r in range(3):
                entry -= gram[q, r] * b[r, p]
            np.multiply(entry, divisor, out=rotation[q, p])
    return BestRotations(rotation, root * norm, conditioning)


def sum_of_squares(entries: Real) -> Real:
    """Sum the squares of (K, ...) entries over the first axis, one entry after the other."""
    total: Real = entries[0] * entries[0]
    for entry in entries[1:]:
        total += entry * entry
    return total


def _largest_root(determinant: Real, square: Real) -> Real:
    """Return the largest root of (x^2 - 1)^2 - 8 x determinant - 4 square, elementwise.

    The root lies in [1/sqrt(3), sqrt(3)] for any matrix of unit norm. It is a fixed point of
    x = sqrt(1 + 2 sqrt(square + 2 x determinant)), so one end of this interval on the right-hand
    side gives an upper bound. Newton's method starts there: the quartic is convex above its largest
    root, so every step comes closer and none overshoots.
    """
    precision = np.finfo(determinant.dtype).eps
    steepness, constant = 8 * determinant, 4 * square
    bound = np.where(
        determinant > 0, determinant.dtype.type(3**0.5), determinant.dtype.type(3**-0.5)
    )
    root: Real = np.sqrt(1 + 2 * np.sqrt(np.maximum(square + 2 * bound * determinant, 0)))
    for _ in range(MAX_NEWTON_STEPS):
        excess = root * root
        excess -= 1
        slope = root * excess
        slope *= 4
        slope -= steepness
        excess *= excess
        excess -= steepness * root
        excess -= constant
        # Near a double root, value and slope are no more than rounding errors.
        excess /= np.where(slope > MIN_SLOPE_OVER_PRECISION * precision, slope, np.inf)
        root -= excess
        if np.abs(excess).max(initial=0.0) < MAX_STEP_OVER_PRECISION * precision:
            break
    return root

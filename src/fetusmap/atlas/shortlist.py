"""Find the few atlases that can be among the best, before they are fitted in double precision.

Every atlas of a library is aligned to a pose, but only the best ten or twenty are used. So all of
them are compared in single precision first, with the atlases as the last axis of every array and
all sums over landmarks as matrix products. This takes a sixth of the time of an exact fit. The
shortlist is so much longer than the number of atlases that are used that rounding cannot keep one
of these out of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fetusmap.anatomy import Skeleton
from fetusmap.atlas.body_size import body_sizes_mm
from fetusmap.geometry import best_rotations
from fetusmap.types import BoolArray, FloatArray, IntArray

MAX_RESIDUAL = 0.5
"""Largest distance of a landmark that is counted, in body sizes. A larger distance counts as this
much, so that a single wrong peak does not decide the fit."""

SPARE = 48
"""Number of atlases of a shortlist beyond those that are used."""

MIN_CONDITIONING = 1e-2
"""An atlas whose best rotation is less well determined than this stays in the shortlist, because
single precision does not suffice for it."""

PAIRS_PER_BLOCK = 8192
"""Number of pairs of a pose and an atlas that are compared at once. With half or twice the number,
a search takes a tenth more time."""

Single = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CompactAtlases:
    """Complete atlases in single precision, laid out for matrix products.

    Attributes:
        points: (N, 3, A) landmarks around the centroid of their atlas, in body sizes; 0 in atlases
            that are not usable.
        squares: (N, A) squared distances of the landmarks from the centroid.
        usable: (A,) whether an atlas has all landmarks and a size.
    """

    points: Single
    squares: Single
    usable: BoolArray

    @classmethod
    def of(cls, skeleton: Skeleton, positions_mm: NDArray[np.float32]) -> CompactAtlases:
        """Convert (A, N, 3) positions; NaN where a landmark is absent."""
        sizes = body_sizes_mm(skeleton, positions_mm.astype(np.float64))
        usable: BoolArray = np.isfinite(positions_mm).all(axis=(1, 2)) & (sizes > 0)
        scale = np.where(usable, 1 / np.where(usable, sizes, 1.0), 0.0)
        points = np.where(usable[:, None, None], positions_mm, 0.0).transpose(1, 2, 0)
        points = np.ascontiguousarray((points - points.mean(axis=0)) * scale, dtype=np.float32)
        return cls(points, (points**2).sum(axis=1), usable)


def shortlist(
    atlases: CompactAtlases, targets_mm: FloatArray, weights: FloatArray, count: int
) -> list[IntArray]:
    """Return for each target the rows of all atlases that can be among the `count` best.

    Args:
        atlases: the atlases.
        targets_mm: (H, N, 3) poses; NaN where a landmark was not found.
        weights: (H, N) weights of their landmarks.
        count: number of best atlases that are used.
    """
    total = len(atlases.usable)
    if count + SPARE >= total:
        return [np.arange(total)] * len(targets_mm)
    scores, is_reliable = approximate_scores(atlases, targets_mm, weights)
    scores[~is_reliable] = -np.inf
    lengths = np.minimum((~is_reliable).sum(axis=1) + count + SPARE, total)
    return [
        np.sort(np.argpartition(row, length - 1)[:length])
        for row, length in zip(scores, lengths, strict=True)
    ]


def approximate_scores(
    atlases: CompactAtlases, targets_mm: FloatArray, weights: FloatArray
) -> tuple[Single, BoolArray]:
    """Compute the mean distances of all atlases from all targets, in body sizes.

    The distances are those after a similarity alignment, see `fetusmap.atlas.fit`, with about four
    correct digits.

    Args:
        atlases: the atlases.
        targets_mm: (H, N, 3) poses; NaN where a landmark was not found.
        weights: (H, N) weights of their landmarks.

    Returns:
        (H, A) scores, and (H, A) whether a score is reliable: the atlas is usable, and its best
        rotation is determined well enough for single precision.
    """
    found = np.isfinite(targets_mm[..., 0])
    share = np.where(found, weights, 0.0)
    share /= np.maximum(share.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    points = np.where((share > 0)[..., None], targets_mm, 0.0)
    points = np.where((share > 0)[..., None], points - share[:, None] @ points, 0.0)
    # In units of the target's own spread, single precision holds every product.
    spread = np.sqrt((share * (points**2).sum(axis=2)).sum(axis=1))
    points /= np.where(spread > 0, spread, 1.0)[:, None, None]
    ones = np.ones((*share.shape, 1))
    centered = np.concatenate([points, ones], axis=2).astype(np.float32)  # (H, N, 4)
    basis = (centered * share[..., None]).astype(np.float32)

    total = len(atlases.usable)
    scores = np.empty((len(targets_mm), total), dtype=np.float32)
    is_reliable = np.empty(scores.shape, dtype=bool)
    targets_per_block = max(1, PAIRS_PER_BLOCK // total)
    for first in range(0, len(targets_mm), targets_per_block):
        some = slice(first, first + targets_per_block)
        for start in range(0, total, PAIRS_PER_BLOCK):
            block = slice(start, start + PAIRS_PER_BLOCK)
            scores[some, block], conditioning = _scores_of_block(
                atlases.points[..., block], atlases.squares[:, block], centered[some], basis[some]
            )
            is_reliable[some, block] = conditioning > MIN_CONDITIONING
    return scores, is_reliable & atlases.usable


def _scores_of_block(
    points: Single, squares: Single, centered: Single, basis: Single
) -> tuple[Single, Single]:
    """Compare a block of atlases with a block of targets.

    Args:
        points: (N, 3, A), see `CompactAtlases`.
        squares: (N, A), see `CompactAtlases`.
        centered: (H, N, 4) targets around their weighted centroid, in units of their spread, and 1.
        basis: (H, N, 4) the same times the shares of the landmarks, which sum to 1.
    """
    landmarks, _, count = points.shape
    targets = len(basis)
    flat = points.reshape(landmarks, 3 * count)
    sums = basis.transpose(0, 2, 1) @ flat  # (H, 4, 3 A): three axes of the target, then the mean
    sums = sums.reshape(targets, 4, 3, count)
    mean = sums[:, 3]
    variance = basis[:, :, 3] @ squares  # (H, A)
    variance -= mean[:, 0] ** 2 + mean[:, 1] ** 2 + mean[:, 2] ** 2
    best = best_rotations(np.ascontiguousarray(sums[:, :3].transpose(1, 2, 0, 3)))
    # A landmark of the target lies at R^T y * variance / trace in the atlas's own frame, around the
    # atlas's weighted mean: one matrix product maps all of them, and the atlas need not be moved.
    scale = variance / np.where(best.trace > 0, best.trace, np.inf)
    np.multiply(best.rotation, scale, out=sums[:, :3].transpose(1, 2, 0, 3))
    mapped = centered @ sums.reshape(targets, 4, 3 * count)  # (H, N, 3 A)
    mapped -= flat
    mapped *= mapped
    distance = mapped.reshape(targets, landmarks, 3, count)
    distance = distance[:, :, 0] + distance[:, :, 1] + distance[:, :, 2]
    np.sqrt(distance, out=distance)
    np.minimum(distance, np.float32(MAX_RESIDUAL), out=distance)
    return (basis[:, None, :, 3] @ distance)[:, 0], best.conditioning

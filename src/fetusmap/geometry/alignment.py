"""Rigid and similarity alignment of point sets, batched over many sources at once.

A search in a pose library aligns every atlas to one prediction, so a batch of 100,000 sources must
take a fraction of a second. All sums over landmarks are computed as one matrix product. The
rotation follows in closed form from the largest root of a quartic (FOAM, Markley 1993), which needs
operations on whole arrays instead of 100,000 small decompositions. The few sources for which this
formula would lose digits are aligned by a singular value decomposition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fetusmap.errors import BadInput, DegenerateAlignment
from fetusmap.geometry.affine import affine_from
from fetusmap.geometry.best_rotation import best_rotations
from fetusmap.types import (
    Affine,
    ArrayLike,
    BoolArray,
    FloatArray,
    IntArray,
    Points3,
    RotationMatrix,
)

SOURCES_PER_BLOCK = 2048
"""Number of sources that are aligned at once; their arrays fit into the second-level cache of a
core. With 1 MiB of cache, 1,024 to 8,192 take the same time, and 16,384 takes twice the time."""

MIN_CLOSED_FORM_CONDITIONING = 1e-2
"""Below this conditioning the closed form starts to lose digits, and the SVD is used instead."""

MAX_AMBIGUOUS_CONDITIONING = 1e-7
"""Up to this conditioning the best rotation is not unique within rounding errors."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """Maps `target_from_source`, one per source: x -> scale * rotation @ x + translation.

    Attributes:
        rotation: (..., 3, 3), determinant +1.
        translation: (..., 3) mm.
        scale: (...) positive; exactly 1 for a rigid alignment.
        residuals_mm: (..., N) distance of each mapped landmark from its target; NaN if the source
            or the target lacks the landmark. Landmarks of weight 0 have a residual, too.
    """

    rotation: RotationMatrix
    translation: FloatArray
    scale: FloatArray
    residuals_mm: FloatArray

    def apply(self, points: ArrayLike) -> Points3:
        """Map (..., M, 3) points of each source into the frame of the target."""
        points = np.asarray(points, dtype=np.float64)
        turned = points @ np.swapaxes(self.rotation, -2, -1)
        return np.asarray(self.scale[..., None, None] * turned + self.translation[..., None, :])

    @property
    def target_from_source(self) -> Affine:
        """The (4, 4) map of a single alignment (no leading axes)."""
        return affine_from(self.scale * self.rotation, self.translation)


def align_rigid(
    sources: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None
) -> Alignment:
    """Find the rotation and translation that carry each source onto the target.

    Weighted least squares after Kabsch (1976); reflections are excluded, so a left-handed atlas
    never fits a right-handed fetus.

    Args:
        sources: (..., N, 3) points, mm. A row with NaN is ignored in its own source.
        target: (N, 3) points to reach, mm. A row with NaN is ignored.
        weights: (N,) non-negative; 0 leaves a landmark out of the fit. None gives all the same
            weight.

    Returns:
        One map per source, with residuals of all landmarks.

    Raises:
        DegenerateAlignment: there are fewer than three usable landmarks, or they do not determine
            the rotation (they are collinear, or a mirror image with an axis of symmetry).
        BadInput: the shapes do not match, or a weight is negative or not finite.
    """
    return _align(sources, target, weights, with_scale=False)


def align_similarity(
    sources: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None
) -> Alignment:
    """Find the rotation, translation and scale that carry each source onto the target.

    As `align_rigid`, with the least-squares scale of Umeyama (1991, eq. 42).
    """
    return _align(sources, target, weights, with_scale=True)


def _align(
    sources: ArrayLike, target: ArrayLike, weights: ArrayLike | None, *, with_scale: bool
) -> Alignment:
    sources = np.asarray(sources, dtype=np.float64)
    target = np.asarray(target, dtype=np.float64)
    weights = _check_shapes(sources, target, weights)
    present = np.isfinite(target).all(axis=-1)
    used = np.where(present, weights, 0.0)
    _check_enough(present & (used > 0))

    leading = sources.shape[:-2]
    flat = np.ascontiguousarray(sources).reshape(-1, *sources.shape[-2:])
    count, landmarks = flat.shape[:2]
    result = Alignment(
        rotation=np.empty((count, 3, 3)),
        translation=np.empty((count, 3)),
        scale=np.ones(count),
        residuals_mm=np.empty((count, landmarks)),
    )
    for start in range(0, count, SOURCES_PER_BLOCK):
        _align_block(
            flat, target, used, with_scale, result, slice(start, start + SOURCES_PER_BLOCK)
        )
    return Alignment(
        rotation=result.rotation.reshape(*leading, 3, 3),
        translation=result.translation.reshape(*leading, 3),
        scale=result.scale.reshape(leading),
        residuals_mm=result.residuals_mm.reshape(*leading, landmarks),
    )


def _align_block(
    sources: Points3,
    target: Points3,
    weights: FloatArray,
    with_scale: bool,
    result: Alignment,
    block: slice,
) -> None:
    """Align one block of (A, N, 3) sources, and write its maps and residuals into `result`.

    Inside a block, the sources are the last axis of every array, so that each operation accesses
    contiguous memory: (3, N, A) points, (3, 3, A) rotations.
    """
    points = np.ascontiguousarray(sources[block].transpose(2, 1, 0))
    known = None if np.isfinite(points.sum()) else np.asarray(np.isfinite(points).all(axis=0))
    if known is not None:
        points = np.where(known, points, 0.0)
    weighed = weights[:, None] > 0
    center = weights @ np.where(weighed, target, 0.0) / weights.sum()
    centered = np.where(weighed, target - center, 0.0)

    moments = _weighted_moments(points, known, centered, weights)
    rotation = _best_rotations(moments.cross, block.start)
    scale = _best_scales(points, known, weights, moments, rotation) if with_scale else None
    scaled = rotation if scale is None else scale * rotation
    translation = moments.target_mean - np.einsum("qpa,pa->qa", scaled, moments.source_mean)
    translation += center[:, None]

    difference = np.einsum("qpa,pna->qna", scaled, points)
    difference += translation[:, None, :] - target.T[:, :, None]
    distance = np.sqrt(np.einsum("qna,qna->na", difference, difference))
    result.rotation[block] = rotation.transpose(2, 0, 1)
    result.translation[block] = translation.T
    result.residuals_mm[block] = (
        distance if known is None else np.where(known, distance, np.nan)
    ).T
    if scale is not None:
        result.scale[block] = scale


class _Moments(NamedTuple):
    """Weighted sums over the landmarks that each source and the target share."""

    source_mean: FloatArray  # (3, A)
    target_mean: FloatArray  # (3, A), of the centered target
    cross: FloatArray  # (3, 3, A) covariance [target, source]


def _weighted_moments(
    points: Points3, known: BoolArray | None, centered: Points3, weights: FloatArray
) -> _Moments:
    """Compute the sums over the landmarks of all sources as one matrix product."""
    landmarks, count = points.shape[1:]
    basis = weights[:, None] * np.c_[np.ones(landmarks), centered]
    sums = basis.T @ points  # (3, 4, A): for each source axis the mass, then the target axes
    if known is None:
        total = np.full(count, weights.sum())
        target_mean = np.zeros((3, count))
    else:
        masses = basis.T @ known
        total = np.where(masses[0] > 0, masses[0], 1.0)
        target_mean = masses[1:] / total
    source_sum = sums[:, 0]
    cross = sums[:, 1:].swapaxes(0, 1) - target_mean[:, None] * source_sum[None]
    return _Moments(source_sum / total, target_mean, np.ascontiguousarray(cross))


def _best_rotations(cross: FloatArray, first: int) -> RotationMatrix:
    """Return the (3, 3, A) rotations R that maximise the sum of R * cross."""
    best = best_rotations(cross)
    rotation = best.rotation
    doubtful = np.flatnonzero(~(best.conditioning > MIN_CLOSED_FORM_CONDITIONING))
    if doubtful.size:
        exact = _rotations_by_svd(cross[..., doubtful].transpose(2, 0, 1), first + doubtful)
        rotation[..., doubtful] = exact.transpose(1, 2, 0)
    return np.asarray(rotation)


def _rotations_by_svd(cross: FloatArray, positions: IntArray) -> RotationMatrix:
    """Return the best (A, 3, 3) rotations by Kabsch's decomposition, which is slower but exact."""
    u, sigma, vt = np.linalg.svd(cross)
    handedness = np.sign(np.linalg.det(u @ vt))
    ambiguous = sigma[:, 1] + handedness * sigma[:, 2] <= MAX_AMBIGUOUS_CONDITIONING * sigma[:, 0]
    if ambiguous.any():
        raise DegenerateAlignment(
            f"alignment of source {positions[np.argmax(ambiguous)]}",
            expected="landmarks that determine one best rotation",
            found="collinear, coinciding or ambiguously mirrored landmarks",
            remedy="leave this source out or use more landmarks",
        )
    u[:, :, 2] *= handedness[:, None]
    return np.asarray(u @ vt)


def _best_scales(
    points: Points3,
    known: BoolArray | None,
    weights: FloatArray,
    moments: _Moments,
    rotation: RotationMatrix,
) -> FloatArray:
    """Return the (A,) scales of least squares (Umeyama 1991, eq. 42).

    They are trace(R^T cross) / weighted variance of the source.
    """
    spread = points - moments.source_mean[:, None]
    mass = weights[:, None] if known is None else weights[:, None] * known
    variance = np.einsum("na,pna,pna->a", np.broadcast_to(mass, spread.shape[1:]), spread, spread)
    return np.asarray(np.einsum("qpa,qpa->a", rotation, moments.cross) / variance)


def _check_shapes(sources: Points3, target: Points3, weights: ArrayLike | None) -> FloatArray:
    remedy = "give (..., N, 3) sources, an (N, 3) target and N weights"
    if target.ndim != 2 or target.shape[1] != 3 or sources.shape[-2:] != target.shape:
        found = f"sources {sources.shape} and target {target.shape}"
        raise BadInput("alignment", expected="matching landmarks", found=found, remedy=remedy)
    if weights is None:
        return np.ones(len(target))
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (len(target),) or not np.isfinite(weights).all() or (weights < 0).any():
        found = f"shape {weights.shape}, values {np.array2string(weights, threshold=8)}"
        raise BadInput(
            "alignment weights",
            expected=f"{len(target)} finite numbers of 0 or more",
            found=found,
            remedy=remedy,
        )
    return weights


def _check_enough(used: BoolArray) -> None:
    if used.sum() < 3:
        raise DegenerateAlignment(
            "alignment",
            expected="at least 3 landmarks with a position and a weight",
            found=f"{int(used.sum())}",
            remedy="use more landmarks",
        )

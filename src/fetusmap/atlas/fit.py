"""Measure how well landmark positions fit a pose library.

Positions may be fitted under several namings. A naming decides, for each mirror pair, which of two
positions is left and which is right. It is stored as an order: for each position, the row of the
landmark that it is taken for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.atlas.library import PoseLibrary
from fetusmap.geometry import align_similarity
from fetusmap.types import FloatArray, IntArray, Points3

SUPPORT = 10
"""The residual of a pose is the mean residual of this number of best atlases."""

MAX_RESIDUAL = 0.5
"""Largest distance of a landmark that is counted, in body sizes. A larger distance counts as this
much, so that a single wrong peak does not decide the fit."""

MIN_ALIGNMENT_WEIGHT = 1e-3
"""Added to every weight in an alignment, so that uncertain landmarks still take part."""

MAX_COORDINATES = 2**24
"""Largest number of coordinates that are aligned at once, 128 MB in double precision."""


@dataclass(frozen=True, eq=False)
class LibraryFit:
    """How well positions fit a pose library.

    Attributes:
        positions_mm: (N, 3) the positions, each in the row of the landmark that it is taken for.
        weights: (N,) weight of each position in the alignment.
        support_mm: (N, 3) mean of the best atlases, aligned to the positions.
        residual: mean distance of the best atlases from the positions, in body sizes.
    """

    positions_mm: Points3
    weights: FloatArray
    support_mm: Points3
    residual: float


def fit_library(positions_mm: Points3, masses: FloatArray, library: PoseLibrary) -> LibraryFit:
    """Fit a library to landmarks whose sides are named.

    Args:
        positions_mm: (N, 3) landmarks; NaN for a landmark that was not found.
        masses: (N,) peak masses, the weights of the landmarks.
        library: pose library of the same skeleton.

    Raises:
        DegenerateAlignment: fewer than three landmarks were found, or all of them lie on a line.
    """
    order = np.arange(len(positions_mm))
    weights = masses + MIN_ALIGNMENT_WEIGHT
    scores, supports = fit_orders(positions_mm, weights, library, order[None])
    return LibraryFit(positions_mm, weights, supports[0], float(scores[0]))


def fit_orders(
    positions_mm: Points3, weights: FloatArray, library: PoseLibrary, orders: IntArray
) -> tuple[FloatArray, Points3]:
    """Score several namings of the same positions by how well a library fits them.

    Args:
        positions_mm: (N, 3) positions; NaN where there is none.
        weights: (N,) weights of the positions in the alignment.
        library: pose library of the same skeleton.
        orders: (H, N) for each naming, the row of the landmark that each position is taken for.
            Each naming is its own inverse.

    Returns:
        (H,) mean distances of the best atlases, in body sizes, and (H, N, 3) means of these
        atlases.

    Raises:
        DegenerateAlignment: fewer than three positions, or all of them lie on a line.
    """
    block = max(1, MAX_COORDINATES // library.positions_mm.size)
    parts = [
        _fit_block(positions_mm, weights, library, orders[start : start + block])
        for start in range(0, len(orders), block)
    ]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _fit_block(
    positions_mm: Points3, weights: FloatArray, library: PoseLibrary, orders: IntArray
) -> tuple[FloatArray, Points3]:
    # Renaming the positions is the same as renaming the landmarks of the atlases.
    atlases = library.positions_mm.astype(np.float64)
    sources = atlases[:, orders].transpose(1, 0, 2, 3)  # (H, A, N, 3)
    aligned = align_similarity(sources, positions_mm, weights)
    size = aligned.scale * body_sizes_mm(library.skeleton, atlases)  # (H, A)
    known = np.isfinite(positions_mm[:, 0])
    share = np.where(known, weights, 0.0)
    # A landmark that an atlas lacks, or an atlas without a size, counts like a wrong peak.
    distances = np.minimum(aligned.residuals_mm / size[..., None], MAX_RESIDUAL)
    distances = np.where(known, np.nan_to_num(distances, nan=MAX_RESIDUAL), 0.0)
    scores = distances @ (share / share.sum())  # (H, A)
    count = min(SUPPORT, len(atlases))
    best = np.argpartition(scores, count - 1, axis=1)[:, :count]
    rows = np.arange(len(orders))[:, None]
    chosen = replace(
        aligned,
        rotation=aligned.rotation[rows, best],
        translation=aligned.translation[rows, best],
        scale=aligned.scale[rows, best],
    )
    supports = mean_where_present(chosen.apply(sources[rows, best]), axis=1)
    return scores[rows, best].mean(axis=1), supports


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


def distances_to_atlas_mean(
    positions_mm: Points3, fit: LibraryFit, skeleton: Skeleton
) -> FloatArray:
    """Compute the (N,) distances of landmarks from the mean of the best atlases, in body sizes."""
    size = body_sizes_mm(skeleton, fit.support_mm)
    return np.asarray(np.linalg.norm(positions_mm - fit.support_mm, axis=1) / size)


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

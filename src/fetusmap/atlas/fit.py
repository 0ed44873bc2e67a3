"""Measure how well landmark positions fit a pose library.

Positions may be fitted under several namings. A naming decides, for each mirror pair, which of two
positions is left and which is right. It is stored as an order: for each position, the row of the
landmark that it is taken for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.atlas.body_size import body_sizes_mm, mean_where_present
from fetusmap.atlas.library import PoseLibrary
from fetusmap.atlas.shortlist import MAX_RESIDUAL, approximate_scores, shortlist
from fetusmap.geometry import align_similarity
from fetusmap.types import FloatArray, IntArray, Points3

SUPPORT = 10
"""The residual of a pose is the mean residual of this number of best atlases."""

MIN_ALIGNMENT_WEIGHT = 1e-3
"""Added to every weight in an alignment, so that uncertain landmarks still take part."""

MANY_ATLASES = 2000
"""Number of atlases that decide between namings, before the best ones are compared with all. Of 60
poses with noise and wrong peaks, 55 were named correctly with 250 atlases, 56 with 2,000, and 54
with 20,000."""

MIN_RELIABLE = 0.9
"""Least part of the pairs of pose and atlas for which single precision must suffice."""

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
    # An order is its own inverse: the position of landmark n is that in row order[n].
    rows = shortlist(library.compact, positions_mm[orders], weights[orders], SUPPORT)
    longest = max(map(len, rows))
    block = max(1, MAX_COORDINATES // (longest * positions_mm.size))
    parts = [
        _fit_block(positions_mm, weights, library, orders[start : start + block], some)
        for start in range(0, len(orders), block)
        if (some := rows[start : start + block])
    ]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def approximate_residuals(
    positions_mm: Points3, weights: FloatArray, library: PoseLibrary, orders: IntArray
) -> FloatArray:
    """Return the scores of `fit_orders` with about four correct digits, where that is possible.

    It takes a tenth of the time, and serves to choose the namings that are worth an exact fit.

    Raises:
        DegenerateAlignment: see `fit_orders`.
    """
    count = min(SUPPORT, len(library))
    scores, is_reliable = approximate_scores(library.compact, positions_mm[orders], weights[orders])
    if is_reliable.mean() < MIN_RELIABLE:
        return fit_orders(positions_mm, weights, library, orders)[0]
    best = np.partition(scores, count - 1, axis=1)[:, :count]
    return np.asarray(best.mean(axis=1), dtype=np.float64)


def _fit_block(
    positions_mm: Points3,
    weights: FloatArray,
    library: PoseLibrary,
    orders: IntArray,
    rows: list[IntArray],
) -> tuple[FloatArray, Points3]:
    """Fit the given atlases of each order in double precision."""
    # Renaming the positions is the same as renaming the landmarks of the atlases.
    ends = np.cumsum([len(some) for some in rows])
    atlases = library.positions_mm[np.concatenate(rows)].astype(np.float64)
    sizes = body_sizes_mm(library.skeleton, atlases)
    naming = np.repeat(orders, [len(some) for some in rows], axis=0)
    sources = np.take_along_axis(atlases, naming[..., None], axis=1)
    aligned = align_similarity(sources, positions_mm, weights)
    size = aligned.scale * sizes
    known = np.isfinite(positions_mm[:, 0])
    share = np.where(known, weights, 0.0)
    # A landmark that an atlas lacks, or an atlas without a size, counts like a wrong peak.
    distances = np.minimum(aligned.residuals_mm / size[:, None], MAX_RESIDUAL)
    distances = np.where(known, np.nan_to_num(distances, nan=MAX_RESIDUAL), 0.0)
    every_score = distances @ (share / share.sum())
    scores, supports = [], []
    for some in np.split(np.arange(len(sources)), ends[:-1]):
        count = min(SUPPORT, len(some))
        best = some[np.argpartition(every_score[some], count - 1)[:count]]
        chosen = replace(
            aligned,
            rotation=aligned.rotation[best],
            translation=aligned.translation[best],
            scale=aligned.scale[best],
        )
        scores.append(every_score[best].mean())
        supports.append(mean_where_present(chosen.apply(sources[best]), axis=0))
    return np.array(scores), np.stack(supports)


def distances_to_atlas_mean(
    positions_mm: Points3, fit: LibraryFit, skeleton: Skeleton
) -> FloatArray:
    """Compute the (N,) distances of landmarks from the mean of the best atlases, in body sizes."""
    size = body_sizes_mm(skeleton, fit.support_mm)
    return np.asarray(np.linalg.norm(positions_mm - fit.support_mm, axis=1) / size)

"""Decide which of two peaks is left and which is right, by comparison with a pose library.

A network that does not distinguish the sides gives two positions for each mirror pair. Anatomy is
chiral (knees and elbows bend in one direction only), so one naming of the sides fits real poses
better than the others. Each naming is compared with the atlases, and the one whose best atlases lie
closest is the most likely.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from fetusmap.anatomy import Channels, Skeleton
from fetusmap.atlas.fit import (
    MANY_ATLASES,
    LibraryFit,
    approximate_residuals,
    fit_orders,
)
from fetusmap.atlas.library import PoseLibrary
from fetusmap.errors import DegenerateAlignment
from fetusmap.types import FloatArray, IntArray, Points3

if TYPE_CHECKING:  # heatmaps need torch, a pose library does not
    from fetusmap.heatmap import Peaks

MAX_ORDERS = 256
"""Largest number of namings that are scored at once. Eight mirror pairs have as many."""

MAX_LIMB_PAIRS = 4
"""Largest number of pairs that are named together if there are too many namings."""

PROMISING = 16
"""Number of namings that are fitted: those that a few atlases fit best."""

FEW_ATLASES = 250
"""Number of atlases with which all namings are scored."""


def name_sides(
    positions_mm: Points3, weights: FloatArray, channels: Channels, library: PoseLibrary
) -> list[LibraryFit]:
    """Find the most likely namings of the sides, best first.

    Each naming is scored by the mean distance of its ten best atlases after a similarity alignment,
    so the size of the fetus does not matter. All namings are scored with a few atlases, and then
    the most promising ones are fitted with more of them. If there are more namings than can be
    scored, they are built up limb by limb, and only the best ones so far are continued.

    Args:
        positions_mm: (N, 3) the two peaks of a pair in either order; NaN where there is none.
        weights: (N,) weights of the positions in the alignment.
        channels: the pairs of rows that share a channel may be exchanged.
        library: pose library of the same skeleton.

    Raises:
        DegenerateAlignment: fewer than three landmarks have a position.
    """
    few = library.thinned(FEW_ATLASES)
    pairs = [(rows[0], rows[1]) for rows in channels.rows if len(rows) == 2]
    orders = _candidate_orders(positions_mm, weights, pairs, few)
    if len(orders) > PROMISING:
        scores = approximate_residuals(positions_mm, weights, few, orders)
        orders = orders[np.argsort(scores)[:PROMISING]]
    many = library.thinned(MANY_ATLASES)
    scores, supports = fit_orders(positions_mm, weights, many, orders)
    return [
        # An order is its own inverse.
        LibraryFit(positions_mm[order], weights[order], support[order], float(score))
        for score, order, support in sorted(
            zip(scores, orders, supports, strict=True), key=lambda scored: scored[0]
        )
    ]


def name_peaks(
    peaks: Peaks, strengths: FloatArray, channels: Channels, library: PoseLibrary
) -> list[LibraryFit]:
    """Find the most likely namings of the highest peaks of channels that show both sides.

    Args:
        peaks: at least as many peaks of each channel as it shows landmarks.
        strengths: (C, P) weight of each peak.
        channels: the landmarks that each channel shows.
        library: pose library of the same skeleton.

    Raises:
        DegenerateAlignment: see `name_sides`.
    """
    positions = np.full((len(library.skeleton), 3), np.nan)
    weights = np.zeros(len(library.skeleton))
    for channel, rows in enumerate(channels.rows):
        for peak, row in enumerate(rows):
            positions[row] = peaks.positions_mm[channel, peak]
            weights[row] = strengths[channel, peak]
    return name_sides(positions, weights, channels, library)


def _candidate_orders(
    positions_mm: Points3, weights: FloatArray, pairs: list[tuple[int, int]], few: PoseLibrary
) -> IntArray:
    """Return the (H, N) namings to score: all, or the best ones if there are over `MAX_ORDERS`."""
    count = len(positions_mm)
    start = np.arange(count)[None]
    if 2 ** min(len(pairs), MAX_ORDERS) <= MAX_ORDERS:
        return _with_exchanges(start, pairs)
    undecided = np.zeros(count, dtype=bool)
    undecided[[row for pair in pairs for row in pair]] = True
    orders = start
    for group in _groups(few.skeleton, pairs):
        orders = _with_exchanges(orders, group)
        undecided[[row for pair in group for row in pair]] = False
        decided_mm = np.where(undecided[:, None], np.nan, positions_mm)
        try:
            scores = approximate_residuals(decided_mm, weights, few, orders)
        except DegenerateAlignment:  # too few landmarks so far: none can be ruled out
            scores = np.zeros(len(orders))
        beam = MAX_ORDERS // 2**MAX_LIMB_PAIRS
        orders = orders[np.argsort(scores, kind="stable")[:beam]]
    return orders


def _with_exchanges(orders: IntArray, pairs: list[tuple[int, int]]) -> IntArray:
    """Return (H * 2^P, N): each order combined with each choice of exchanged pairs."""
    choices = list(product((False, True), repeat=len(pairs)))
    extended = np.repeat(orders, len(choices), axis=0)
    for order, exchanged in zip(extended, choices * len(orders), strict=True):
        for (left, right), is_exchanged in zip(pairs, exchanged, strict=True):
            if is_exchanged:
                order[[left, right]] = order[[right, left]]
    return extended


def _groups(skeleton: Skeleton, pairs: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Return the pairs limb by limb, in groups that are small enough to be named together."""
    open_pairs = {min(pair): pair for pair in pairs}
    groups: list[list[tuple[int, int]]] = []
    for limb in skeleton.limb_index:
        own = [
            open_pairs.pop(key)
            for row in limb
            if (key := min(row, int(skeleton.mirror_index[row]))) in open_pairs
        ]
        groups += [own[i : i + MAX_LIMB_PAIRS] for i in range(0, len(own), MAX_LIMB_PAIRS)]
    return groups + [[pair] for pair in open_pairs.values()]

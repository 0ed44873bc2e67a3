"""The pose library tells left from right.

A network that does not tell the sides apart leaves two positions for each mirror pair. Anatomy is
chiral (knees and elbows bend one way), so of all ways to name the sides one fits real poses: each
is compared with every atlas, and the one whose best atlases lie closest wins.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from fetusmap.anatomy import Channels, channel_per_landmark
from fetusmap.atlas.library import PoseLibrary
from fetusmap.geometry import align_similarity
from fetusmap.types import FloatArray, IntArray, Points3

if TYPE_CHECKING:  # heatmaps need torch, a library does not
    from fetusmap.heatmap import Peaks

SUPPORT = 10
"""Atlases whose mean residual scores a way of naming the sides."""

PROMISING = 16
FEW_ATLASES = 250

FARTHEST = 0.5
"""A residual counts up to this many trunk lengths: one stray peak must not decide."""


@dataclass(frozen=True, eq=False)
class SideHypothesis:
    """One way of naming the sides.

    Attributes:
        positions_mm: (N, 3) the detected positions under their names.
        weights: (N,) how much each of them counts.
        support_mm: (N, 3) mean of the best atlases, aligned to them.
        residual: mean distance of the best atlases, trunk lengths of the support.
    """

    positions_mm: Points3
    weights: FloatArray
    support_mm: Points3
    residual: float


def name_sides(
    positions_mm: Points3, weights: FloatArray, channels: Channels, library: PoseLibrary
) -> list[SideHypothesis]:
    """The best ways of naming the sides, best first.

    Each is scored by the mean distance of its ten best atlases after a similarity alignment, which
    leaves the size of the fetus open. All ways are scored with a few atlases, the most promising
    ones with all of them.

    Args:
        positions_mm: (N, 3), a pair's two peaks in either order; NaN where there is none.
        weights: (N,) of the landmarks in the alignment.
        channels: whose pairs may be exchanged.
        library: of the skeleton.

    Raises:
        DegenerateAlignment: fewer than three landmarks with a position.
    """
    orders = _orders(channels, len(positions_mm))
    if len(orders) > PROMISING:
        few = library.select(np.arange(0, len(library), max(1, len(library) // FEW_ATLASES)))
        scores, _ = fit_orders(positions_mm, weights, few, orders)
        orders = orders[np.argsort(scores)[:PROMISING]]
    scores, supports = fit_orders(positions_mm, weights, library, orders)
    return [
        # An order is its own inverse.
        SideHypothesis(positions_mm[order], weights[order], support[order], float(score))
        for score, order, support in sorted(
            zip(scores, orders, supports, strict=True), key=lambda found: found[0]
        )
    ]


def name_peaks(
    peaks: Peaks, strengths: FloatArray, channels: Channels, library: PoseLibrary
) -> list[SideHypothesis]:
    """The best ways of naming the highest peaks of channels that do not tell the sides apart.

    Args:
        peaks: as many of each channel as it shows landmarks, or more.
        strengths: (C, P) how much each counts.
        channels: that the peaks are of.
        library: of the skeleton.

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


def fit_orders(
    positions_mm: Points3, weights: FloatArray, library: PoseLibrary, orders: IntArray
) -> tuple[FloatArray, Points3]:
    """How well positions fit a library under other names.

    Args:
        positions_mm: (N, 3); NaN where there is none.
        weights: (N,) of the landmarks in the alignment.
        library: of the skeleton.
        orders: (H, N) row of the landmark that each one is to be called; each its own inverse.

    Returns:
        (H,) mean distance of the best atlases, trunk lengths, and (H, N, 3) their mean.

    Raises:
        DegenerateAlignment: fewer than three landmarks with a position.
    """
    # Naming the sides of the positions anew is naming those of the atlases anew.
    atlases, skeleton = library.positions_mm.astype(np.float64), library.skeleton
    sources = atlases[:, orders].transpose(1, 0, 2, 3)  # (H, A, N, 3)
    aligned = align_similarity(sources, positions_mm, weights)
    sacrum, _, neck = skeleton.indices(skeleton.trunk or ())
    trunk = aligned.scale * np.linalg.norm(atlases[:, neck] - atlases[:, sacrum], axis=1)  # (H, A)
    known = np.isfinite(positions_mm[:, 0])
    share = np.where(known, weights, 0.0)
    # A landmark that an atlas lacks, or an atlas without trunk, is as bad as a stray one.
    near = np.minimum(aligned.residuals_mm / trunk[..., None], FARTHEST)
    near = np.where(known, np.nan_to_num(near, nan=FARTHEST), 0.0)
    scores = near @ (share / share.sum())  # (H, A)
    count = min(SUPPORT, len(atlases))
    best = np.argpartition(scores, count - 1, axis=1)[:, :count]
    every = np.arange(len(orders))[:, None]
    chosen = replace(
        aligned,
        rotation=aligned.rotation[every, best],
        translation=aligned.translation[every, best],
        scale=aligned.scale[every, best],
    )
    supports = _mean_where_present(chosen.apply(sources[every, best]))
    return scores[every, best].mean(axis=1), np.asarray(supports)


def _mean_where_present(poses: Points3) -> Points3:
    """(H, N, 3) mean of (H, K, N, 3) poses that have the landmark; NaN where none has."""
    present = np.isfinite(poses)
    count = present.sum(axis=1)
    total = np.where(present, poses, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _orders(channels: Channels, count: int) -> IntArray:
    """(H, N) rows of the landmark that each slot holds, for every choice of exchanged pairs."""
    pairs = [rows for rows in channels.rows if len(rows) == 2]
    orders = np.tile(np.arange(count), (2 ** len(pairs), 1))
    for order, exchanged in zip(orders, product((False, True), repeat=len(pairs)), strict=True):
        for (left, right), swap in zip(pairs, exchanged, strict=True):
            if swap:
                order[[left, right]] = right, left
    return orders


LEAST_WEIGHT = 1e-3


def fit_library(positions_mm: Points3, masses: FloatArray, library: PoseLibrary) -> SideHypothesis:
    """The best atlases for landmarks whose sides are named.

    Raises:
        DegenerateAlignment: fewer than three landmarks, or all of them on a line.
    """
    channels = channel_per_landmark(library.skeleton)
    (fit,) = name_sides(positions_mm, masses + LEAST_WEIGHT, channels, library)
    return fit


def stray_from(positions_mm: Points3, fit: SideHypothesis, trunk_mm: float) -> FloatArray:
    """(N,) distances from the mean of the best atlases, trunk lengths."""
    return np.asarray(np.linalg.norm(positions_mm - fit.support_mm, axis=1) / trunk_mm)

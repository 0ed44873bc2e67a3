"""Heatmaps combined with a prior: how likely a landmark is at a point, and its likeliest place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.geometry import Grid
from fetusmap.heatmap.gaussian import Heatmaps
from fetusmap.types import BoolArray, FloatArray, IntArray, Points3

BACKGROUND_HEIGHT = 0.02
"""Added to every height before the logarithm: a landmark may be hidden where a map is empty."""

MIN_HEIGHT = 1e-6
"""Smallest height in the computation of a position. It matters only where a map shows nothing."""

SEARCH_SD = 3.0
"""A landmark is searched within this number of standard deviations of the prior."""

MIN_PROBABILITY_RATIO = 1e-3
"""Voxels with less than this part of the highest probability are left out of a median."""

MIN_PAIR_DISTANCE = 2
"""The landmarks of a pair are more than this number of voxels apart along some axis, because a
peak extends over as many."""

MEDIAN_STEPS = 12
"""Number of Weiszfeld steps towards a geometric median."""

EXCLUDED = -1e9
"""Logarithm of the probability of a voxel that belongs to another peak."""


@dataclass(frozen=True, eq=False)
class LandmarkMaps:
    """One map per landmark.

    Attributes:
        heights: (N, I, J, K) non-negative; about 1 at a landmark that the network is certain of.
        grid: grid of the voxels, LPS mm, with right angles between its axes.
    """

    heights: FloatArray
    grid: Grid

    @classmethod
    def of_both_sides(
        cls, heatmaps: Heatmaps, skeleton: Skeleton, height: float, own: float
    ) -> LandmarkMaps:
        """Mix the map of each landmark with that of its partner on the other side.

        Args:
            heatmaps: heatmaps with one channel per landmark.
            skeleton: names the mirror pairs.
            height: height of the heatmaps at a landmark that the network is certain of.
            own: share of the landmark's own map, 0.5 to 1; the rest is that of its partner.
        """
        maps = heatmaps.array.numpy() / np.float32(height)
        mixed = np.float32(own) * maps + np.float32(1 - own) * maps[skeleton.mirror_index]
        return cls(mixed, heatmaps.grid)

    def mean_log_at(self, positions_mm: Points3) -> FloatArray:
        """Return the (...) mean logarithms of the landmarks' heights at (..., N, 3) points.

        The height is that of the nearest voxel, because the maps are smooth. Points that are
        absent or outside the grid have the height 0.
        """
        index = self.grid.to_index(positions_mm)
        shape = np.array(self.grid.shape)
        with np.errstate(invalid="ignore"):
            whole = np.rint(index)
            inside = np.asarray(((whole >= 0) & (whole < shape)).all(axis=-1))
        i, j, k = np.moveaxis(np.where(inside[..., None], whole, 0).astype(np.intp), -1, 0)
        heights = self.heights[np.arange(len(self.heights)), i, j, k]
        logs = np.log(np.where(inside, heights, 0) + np.float32(BACKGROUND_HEIGHT))
        return np.asarray(logs.mean(axis=-1, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Place:
    """A possible place of a landmark.

    Attributes:
        index: (3,) its most probable voxel.
        position_mm: (3,) geometric median of the probability around it: the point with the least
            expected distance.
        height: height of the map at that voxel.
        score: logarithm of its probability, up to a constant.
    """

    index: IntArray
    position_mm: FloatArray
    height: float
    score: float


def find_places(
    maps: LandmarkMaps,
    skeleton: Skeleton,
    cloud_mm: Points3,
    blur_mm: float,
    weight: float,
    wanted: BoolArray | None = None,
) -> list[Place | None]:
    """Find the most probable place of each landmark, given its heatmap and a cloud of positions.

    The probability is the height times a Gaussian with the mean and the covariance of the cloud.
    The two landmarks of a pair never share a peak: of all combinations of their places, the most
    probable one is chosen.

    Args:
        maps: maps of the fetus.
        skeleton: names the mirror pairs.
        cloud_mm: (K, N, 3) likely positions of each landmark; NaN where unknown.
        blur_mm: standard deviation that is added to the Gaussians, because a fetus differs from
            every atlas.
        weight: weight of the Gaussian's logarithm.
        wanted: (N,) landmarks whose places are wanted; None for all.

    Returns:
        N places; None for a landmark whose cloud is empty or outside the maps. Landmarks that are
        not wanted, and whose partners are not, have None as well.
    """
    needed = np.ones(len(skeleton), bool) if wanted is None else wanted
    needed = needed | needed[skeleton.mirror_index]  # the two of a pair are placed together
    options = [
        list(_peaks(maps.heights[row], maps.grid, cloud_mm[:, row], blur_mm, weight))
        if needed[row]
        else []
        for row in range(len(maps.heights))
    ]
    chosen = [found[0] if found else None for found in options]
    for row, partner in enumerate(skeleton.mirror_index):
        if row < partner and options[row] and options[partner]:
            pairs = [
                (one, other)
                for one in options[row]
                for other in options[partner]
                if np.abs(one.index - other.index).max() > MIN_PAIR_DISTANCE
            ]
            if pairs:
                chosen[row], chosen[partner] = max(pairs, key=lambda p: p[0].score + p[1].score)
    return [None if peak is None else peak.place(maps.grid) for peak in chosen]


@dataclass(frozen=True, eq=False)
class _Peak:
    """One of the most probable places of a landmark, before its median is computed.

    Attributes:
        probability: (I, J, K) of the voxels of a box.
        low: (3,) index of the first voxel of the box.
        top: (3,) the most probable voxel, in the box.
        taken: the part of the box that belongs to a more probable peak.
        height: height of the map at the most probable voxel.
        score: logarithm of its probability, up to a constant.
    """

    probability: FloatArray
    low: IntArray
    top: IntArray
    taken: tuple[slice, ...] | None
    height: float
    score: float

    @property
    def index(self) -> IntArray:
        """(3,) index of the most probable voxel."""
        return self.low + self.top

    def place(self, grid: Grid) -> Place:
        """Compute the median of the probability around the peak."""
        probability = self.probability
        if self.taken is not None:
            probability = probability.copy()
            probability[self.taken] = 0.0
        median = _median_of_peak(probability, self.top, grid.spacing_mm)
        return Place(self.index, grid.to_world(self.low + median), self.height, self.score)


def _peaks(
    heights: FloatArray, grid: Grid, cloud_mm: Points3, blur_mm: float, weight: float
) -> Iterator[_Peak]:
    """Return the two most probable places of one landmark."""
    known = cloud_mm[np.isfinite(cloud_mm).all(axis=1)]
    if len(known) < 2:
        return
    # Work in the grid's own axes, where the voxels are products of three ranges.
    turned = known @ grid.direction
    precision = np.linalg.inv(np.cov(turned.T) + blur_mm**2 * np.eye(3))
    sd = np.sqrt(np.diag(np.linalg.inv(precision)))
    center = grid.to_index(known.mean(axis=0))
    reach = SEARCH_SD * sd / grid.spacing_mm
    low = np.maximum(np.floor(center - reach), 0).astype(int)
    high = np.minimum(np.ceil(center + reach) + 1, grid.shape).astype(int)
    if (low >= high).any():
        return
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    offsets = np.ix_(*[(np.arange(a, b) - c) * s for a, b, c, s in
                       zip(low, high, center, grid.spacing_mm, strict=True)])  # fmt: skip
    square = sum(precision[p, q] * offsets[p] * offsets[q] for p in range(3) for q in range(3))
    prior = -0.5 * weight * square
    logs = np.log(heights[box].astype(np.float64) + BACKGROUND_HEIGHT) + prior
    # The floor would pull the median to the centre of a wide cloud, so it is left out here.
    probability = np.maximum(heights[box], MIN_HEIGHT) * np.exp(prior - prior.max())
    taken = None
    for _ in range(2):
        top = np.array(np.unravel_index(logs.argmax(), logs.shape))
        score = float(logs[tuple(top)])
        if score <= EXCLUDED:
            return
        yield _Peak(probability, low, top, taken, float(heights[tuple(low + top)]), score)
        taken = tuple(slice(max(t - MIN_PAIR_DISTANCE, 0), t + MIN_PAIR_DISTANCE + 1) for t in top)
        logs[taken] = EXCLUDED


def _median_of_peak(probability: FloatArray, top: IntArray, spacing_mm: FloatArray) -> FloatArray:
    """Return the (3,) index of the geometric median, by Weiszfeld's steps from the top voxel."""
    voxels = np.nonzero(probability > MIN_PROBABILITY_RATIO * probability[tuple(top)])
    weights = probability[voxels]
    points = np.stack(voxels) * spacing_mm[:, None]  # (3, V)
    median = top * spacing_mm
    nearest = 0.25 * spacing_mm.min()
    for _ in range(MEDIAN_STEPS):
        i, j, k = points - median[:, None]
        pull = weights / np.maximum(np.sqrt(i * i + j * j + k * k), nearest)
        median = points @ pull / pull.sum()
    return np.asarray(median / spacing_mm)

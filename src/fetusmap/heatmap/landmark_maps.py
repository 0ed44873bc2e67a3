"""Heatmaps as evidence: what speaks for a landmark at a point, and where it lies if it is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.geometry import Grid
from fetusmap.heatmap.gaussian import Heatmaps
from fetusmap.types import FloatArray, IntArray, Points3

FLOOR = 0.02
"""Height that counts where a map shows nothing: a landmark may be hidden anywhere."""

NOTHING = 1e-6
"""Height that counts for the position: only where the map shows nothing at all."""

NEAR_SD = 3.0
"""Standard deviations of the prior within which a landmark is looked for."""

LEAST_PART = 1e-3
"""Voxels of less than this part of the highest probability are left out."""

APART = 2
"""Voxels between two landmarks of a pair along some axis, more than this: peaks reach as far."""

MEDIAN_STEPS = 12
ALONE = -1e9


@dataclass(frozen=True, eq=False)
class LandmarkMaps:
    """One map per landmark.

    Attributes:
        heights: (N, I, J, K) about 1 at a landmark that is shown without doubt, 0 or more.
        grid: where the voxels are, LPS mm; right angles between its axes.
    """

    heights: FloatArray
    grid: Grid

    @classmethod
    def of_both_sides(
        cls, heatmaps: Heatmaps, skeleton: Skeleton, height: float, own: float
    ) -> LandmarkMaps:
        """Maps in which a landmark may also lie where its partner of the other side was seen.

        Args:
            heatmaps: one channel per landmark.
            skeleton: names the mirror pairs.
            height: of the heatmaps at a landmark that they show without doubt.
            own: share of the landmark's own map, 0.5 to 1; the rest is its partner's.
        """
        maps = heatmaps.array.numpy() / np.float32(height)
        mixed = np.float32(own) * maps + np.float32(1 - own) * maps[skeleton.mirror_index]
        return cls(mixed, heatmaps.grid)

    def mean_log_at(self, positions_mm: Points3) -> FloatArray:
        """(...) mean over the landmarks of the logarithm of their heights at (..., N, 3) points.

        The nearest voxel counts: the maps are smooth. What is absent or outside has the floor.
        """
        index = self.grid.to_index(positions_mm)
        shape = np.array(self.grid.shape)
        with np.errstate(invalid="ignore"):
            whole = np.rint(index)
            inside = np.asarray(((whole >= 0) & (whole < shape)).all(axis=-1))
        i, j, k = np.moveaxis(np.where(inside[..., None], whole, 0).astype(np.intp), -1, 0)
        heights = self.heights[np.arange(len(self.heights)), i, j, k]
        logs = np.log(np.where(inside, heights, 0) + np.float32(FLOOR))
        return np.asarray(logs.mean(axis=-1, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Place:
    """A place where a landmark may be.

    Attributes:
        index: (3,) its most probable voxel.
        position_mm: (3,) geometric median of the probability around it: the point with the least
            expected distance.
        height: of the map at that voxel.
        score: logarithm of its probability, up to a constant.
    """

    index: IntArray
    position_mm: FloatArray
    height: float
    score: float


def find_places(
    maps: LandmarkMaps, skeleton: Skeleton, cloud_mm: Points3, blur_mm: float, weight: float
) -> list[Place | None]:
    """Where each landmark is, by its heatmap and a cloud of likely positions.

    Probability is height times a Gaussian that has the mean and the covariance of the cloud. The
    two of a pair never share a peak: of all ways to place both, the most probable one counts.

    Args:
        maps: of the fetus.
        skeleton: names the mirror pairs.
        cloud_mm: (K, N, 3) likely positions of each landmark; NaN where unknown.
        blur_mm: added to the Gaussians: how far a real fetus is from any atlas.
        weight: of the Gaussian's logarithm.

    Returns:
        N places; None for a landmark of which no position is known, or outside the maps.
    """
    options = [
        list(_peaks(maps.heights[row], maps.grid, cloud_mm[:, row], blur_mm, weight))
        for row in range(len(maps.heights))
    ]
    places: list[Place | None] = [found[0] if found else None for found in options]
    for row, partner in enumerate(skeleton.mirror_index):
        if row < partner and options[row] and options[partner]:
            pairs = [
                (one, other)
                for one in options[row]
                for other in options[partner]
                if np.abs(one.index - other.index).max() > APART
            ]
            if pairs:
                places[row], places[partner] = max(pairs, key=lambda p: p[0].score + p[1].score)
    return places


def _peaks(
    heights: FloatArray, grid: Grid, cloud_mm: Points3, blur_mm: float, weight: float
) -> Iterator[Place]:
    """The two most probable places of one landmark."""
    known = cloud_mm[np.isfinite(cloud_mm).all(axis=1)]
    if len(known) < 2:
        return
    # In the grid's own axes, where voxels are products of three ranges.
    turned = known @ grid.direction
    precision = np.linalg.inv(np.cov(turned.T) + blur_mm**2 * np.eye(3))
    sd = np.sqrt(np.diag(np.linalg.inv(precision)))
    center = grid.to_index(known.mean(axis=0))
    reach = NEAR_SD * sd / grid.spacing_mm
    low = np.maximum(np.floor(center - reach), 0).astype(int)
    high = np.minimum(np.ceil(center + reach) + 1, grid.shape).astype(int)
    if (low >= high).any():
        return
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    offsets = np.ix_(*[(np.arange(a, b) - c) * s for a, b, c, s in
                       zip(low, high, center, grid.spacing_mm, strict=True)])  # fmt: skip
    square = sum(precision[p, q] * offsets[p] * offsets[q] for p in range(3) for q in range(3))
    prior = -0.5 * weight * square
    logs = np.log(heights[box].astype(np.float64) + FLOOR) + prior
    # The floor would draw the median into the middle of the cloud wherever that is wide.
    probability = np.maximum(heights[box], NOTHING) * np.exp(prior - prior.max())
    for _ in range(2):
        top = np.array(np.unravel_index(logs.argmax(), logs.shape))
        if logs[tuple(top)] <= ALONE:
            return
        median = _median_of_peak(probability, top, grid.spacing_mm)
        yield Place(
            low + top,
            grid.to_world(low + median),
            float(heights[tuple(low + top)]),
            float(logs[tuple(top)]),
        )
        taken = tuple(slice(max(t - APART, 0), t + APART + 1) for t in top)
        logs[taken], probability[taken] = ALONE, 0.0


def _median_of_peak(probability: FloatArray, top: IntArray, spacing_mm: FloatArray) -> FloatArray:
    """(3,) voxel index of the geometric median, by Weiszfeld's steps from the most likely voxel."""
    voxels = np.argwhere(probability > LEAST_PART * probability[tuple(top)])
    weights = probability[tuple(voxels.T)]
    points = voxels * spacing_mm
    median = top * spacing_mm
    for _ in range(MEDIAN_STEPS):
        distance = np.linalg.norm(points - median, axis=1)
        pull = weights / np.maximum(distance, 0.25 * spacing_mm.min())
        median = pull @ points / pull.sum()
    return np.asarray(median / spacing_mm)

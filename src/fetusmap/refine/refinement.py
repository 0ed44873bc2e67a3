"""What a refinement returns: the final detection and everything that led to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fetusmap.atlas import fit_library
from fetusmap.atlas.retrieval import SupportSet
from fetusmap.detect import Detection, Pipeline
from fetusmap.geometry import Grid
from fetusmap.heatmap import Heatmaps
from fetusmap.types import Affine, FloatArray, Points3

FITS_WORSE = "the refined pose would have fitted the pose library worse"
TOO_FEW = "too few landmarks to align an atlas with"
NO_MEMORY = "not enough memory to refine"


@dataclass(frozen=True, eq=False)
class Iteration:
    """One turn of the loop.

    Attributes:
        positions_mm: (N, 3) the pose.
        heatmaps: from which it was read.
        support: the atlases that fit it best.
        loss: between the heatmaps and the label proxy of the support set; NaN where nothing is
            learnt.
        proxy: the label proxy; None where nothing is learnt.
    """

    positions_mm: Points3
    heatmaps: Heatmaps
    support: SupportSet
    loss: float
    proxy: Heatmaps | None = None

    @property
    def residuals_mm(self) -> FloatArray:
        """(K, N) distances of the atlases of the support set from the pose."""
        return np.asarray(np.linalg.norm(self.support.positions_mm - self.positions_mm, axis=2))

    def moved(self, target_from_source: Affine) -> Iteration:
        """The same in another frame of the world; (4, 4), a rotation and a translation."""
        turn, shift = target_from_source[:3, :3], target_from_source[:3, 3]
        grid = Grid(self.heatmaps.grid.shape, target_from_source @ self.heatmaps.grid.affine)
        atlases = self.support.positions_mm @ turn.T + shift
        return replace(
            self,
            positions_mm=self.positions_mm @ turn.T + shift,
            heatmaps=Heatmaps(self.heatmaps.array, grid),
            proxy=self.proxy and Heatmaps(self.proxy.array, grid),
            support=replace(self.support, positions_mm=atlases),
        )


@dataclass(frozen=True, eq=False)
class Refinement:
    """A refined detection.

    Attributes:
        detection: the final one.
        before: the one that was refined; it is the final one, too, where it was kept.
        iterations: in their order.
        changes: what was changed, in words; empty where nothing was.
        kept: why the unrefined detection was kept, in words; empty where it was not.
    """

    detection: Detection
    before: Detection
    iterations: tuple[Iteration, ...]
    changes: tuple[str, ...] = ()
    kept: str = ""

    def moved(self, target_from_source: Affine) -> Refinement:
        """The same in another frame of the world; (4, 4), a rotation and a translation."""
        return replace(
            self,
            detection=self.detection.moved(target_from_source),
            before=self.before.moved(target_from_source),
            iterations=tuple(turn.moved(target_from_source) for turn in self.iterations),
        )


def fits_worse(pipeline: Pipeline, refined: Detection, before: Detection) -> bool:
    """Whether a refined pose lies farther from its best atlases, all landmarks counting alike.

    The atlases are those of the pipeline. That the heatmaps have lower values at the refined
    landmarks says nothing: they fall as much where the pose becomes better (40 cases, twice).
    """
    residuals = [
        fit_library(
            found.positions_mm, np.isfinite(found.positions_mm[:, 0]) * 1.0, pipeline.library
        ).residual
        for found in (refined, before)
    ]
    return residuals[0] > residuals[1]

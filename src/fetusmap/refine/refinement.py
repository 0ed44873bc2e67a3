"""The result of a refinement: the final detection and every iteration that led to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from fetusmap.atlas import PoseLibrary, SupportSet, fit_library
from fetusmap.detect import Detection, transformed_grid
from fetusmap.errors import BadInput
from fetusmap.heatmap import Heatmaps
from fetusmap.types import Affine, FloatArray, Points3

Refine = Literal["none", "fast", "test-time-training"]
REFINEMENTS: tuple[Refine, ...] = get_args(Refine)

ALIASES: dict[str, Refine] = {"paper": "test-time-training"}
"""Earlier names, which are still accepted."""

FITS_WORSE = "the refined pose would fit the pose library worse"
TOO_FEW = "too few landmarks to align an atlas with"
NO_MEMORY = "not enough memory to refine"


def refinement_named(name: str) -> Refine:
    """Return the canonical name of a refinement.

    Raises:
        BadInput: there is no refinement of this name.
    """
    canonical = ALIASES.get(name, name)
    for known in REFINEMENTS:
        if canonical == known:
            return known
    raise BadInput(
        "refine", expected=", ".join(REFINEMENTS), found=repr(name), remedy="choose one of them"
    )


@dataclass(frozen=True, eq=False)
class Iteration:
    """One iteration of a refinement.

    Attributes:
        positions_mm: (N, 3) the pose.
        heatmaps: the heatmaps from which the pose was read.
        support: the atlases that fit the pose best.
        loss: distance of the heatmaps from the label proxy of the support set; NaN where no network
            is trained.
        proxy: the label proxy; None where no network is trained.
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

    def transformed(self, target_from_source: Affine) -> Iteration:
        """Map the iteration by a (4, 4) rigid map."""
        turn, shift = target_from_source[:3, :3], target_from_source[:3, 3]
        grid = transformed_grid(self.heatmaps.grid, target_from_source)
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
        detection: the final detection.
        before: the unrefined detection; the same as `detection` if the refined one was rejected.
        iterations: the iterations, in order.
        changes: what the refinement changed, in words; empty if nothing.
        rejected_because: why the refined detection was rejected, in words; empty if it was
            accepted.
    """

    detection: Detection
    before: Detection
    iterations: tuple[Iteration, ...]
    changes: tuple[str, ...] = ()
    rejected_because: str = ""

    def transformed(self, target_from_source: Affine) -> Refinement:
        """Map the refinement by a (4, 4) rigid map."""
        return replace(
            self,
            detection=self.detection.transformed(target_from_source),
            before=self.before.transformed(target_from_source),
            iterations=tuple(one.transformed(target_from_source) for one in self.iterations),
        )


def fits_worse(library: PoseLibrary, refined: Detection, before: Detection) -> bool:
    """Whether a refined pose lies farther from its best atlases than before, with equal weights.

    The values of the heatmaps at the refined landmarks are no criterion, because they also fall if
    the pose becomes better (measured on two cohorts of 40 cases).
    """
    residuals = [
        fit_library(
            found.positions_mm, np.isfinite(found.positions_mm[:, 0]) * 1.0, library
        ).residual
        for found in (refined, before)
    ]
    return residuals[0] > residuals[1]

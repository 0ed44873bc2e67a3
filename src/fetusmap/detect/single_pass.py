"""One pass over the whole volume with a channel per landmark, as the paper does it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fetusmap.anatomy import PoseLibrary, Skeleton
from fetusmap.detect.detection import (
    Detection,
    fit_library,
    highest_peaks,
    look_mirrored,
    mean_of,
    stray_from,
)
from fetusmap.detect.detector import Detector
from fetusmap.detect.frame import WholeGrid, frame_of
from fetusmap.errors import DegenerateAlignment
from fetusmap.volume import Volume


@dataclass(frozen=True, eq=False)
class SinglePass:
    """A plain detector. The library only judges what it found.

    Attributes:
        skeleton: of the poses.
        plain: one channel per landmark, over the whole volume.
        library: poses of the skeleton.
    """

    skeleton: Skeleton
    plain: Detector
    library: PoseLibrary

    @property
    def detectors(self) -> dict[str, Detector]:
        """The one pass."""
        return {"plain": self.plain}

    def detect(
        self,
        prepared: Volume,
        *,
        flip_average: bool = True,
        coarsen: float = 1.0,
        half: bool | None = None,
    ) -> list[Detection]:
        """The highest peak of each channel; see `Pipeline.detect`."""
        whole = self.plain.look
        assert isinstance(whole, WholeGrid)  # noqa: S101 - the model file says so
        whole = replace(whole, spacing_mm=whole.spacing_mm * coarsen)
        grid = whole.around(prepared.grid, self.plain.multiple)
        heatmaps = self.plain.detect(prepared, grid, half=half)
        if flip_average:
            mirrored = look_mirrored(self.plain, self.skeleton, prepared, grid, half=half)
            heatmaps = mean_of(heatmaps, mirrored)
        positions, masses = highest_peaks(heatmaps)
        try:
            fit = fit_library(positions, masses, self.library)
        except DegenerateAlignment:  # nothing but coinciding peaks: no body there
            return []
        body = frame_of(self.skeleton, fit.support_mm)
        if body is None:
            return []
        stray = stray_from(positions, fit, body.trunk_mm)
        return [Detection(positions, masses, fit.residual, stray, None, heatmaps)]

"""One pass over the whole volume with a channel per landmark, as the paper does it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fetusmap.anatomy import Skeleton
from fetusmap.atlas import PoseLibrary
from fetusmap.atlas.sides import fit_library, stray_from
from fetusmap.detect.detection import Detection, highest_peaks, look
from fetusmap.detect.detector import Detector
from fetusmap.detect.frame import WholeGrid, frame_of
from fetusmap.errors import DegenerateAlignment
from fetusmap.geometry import Grid
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

    @property
    def last(self) -> Detector:
        """The one pass."""
        return self.plain

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
        try:
            found = self._look(self.plain, prepared, grid, flip_average=flip_average, half=half)
        except DegenerateAlignment:  # nothing but coinciding peaks: no body there
            return []
        return [found]

    def last_grid(self, prepared: Volume, detection: Detection) -> Grid:
        """The one grid; see `Pipeline.last_grid`."""
        whole = self.plain.look
        assert isinstance(whole, WholeGrid)  # noqa: S101
        voxel_mm = float(detection.heatmaps.grid.spacing_mm.mean()) / self.plain.network.stride
        return replace(whole, spacing_mm=voxel_mm).around(prepared.grid, self.plain.multiple)

    def look_again(
        self,
        detector: Detector,
        prepared: Volume,
        detection: Detection,
        *,
        flip_average: bool = True,
        half: bool | None = None,
    ) -> Detection:
        """See `Pipeline.look_again`."""
        grid = self.last_grid(prepared, detection)
        return self._look(detector, prepared, grid, flip_average=flip_average, half=half)

    def _look(
        self,
        detector: Detector,
        prepared: Volume,
        grid: Grid,
        *,
        flip_average: bool,
        half: bool | None,
    ) -> Detection:
        """Raises DegenerateAlignment where there is no body."""
        heatmaps = look(
            detector, self.skeleton, prepared, grid, flip_average=flip_average, half=half
        )
        positions, masses = highest_peaks(heatmaps)
        fit = fit_library(positions, masses, self.library)
        body = frame_of(self.skeleton, fit.support_mm)
        if body is None:
            raise DegenerateAlignment(
                "detection",
                expected="a pose with a trunk and a lateral pair",
                found="one without",
                remedy="look at another volume",
            )
        stray = stray_from(positions, fit, body.trunk_mm)
        return Detection(positions, masses, fit.residual, stray, None, heatmaps)

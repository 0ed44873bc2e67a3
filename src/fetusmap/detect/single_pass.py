"""One pass over the whole volume with a channel per landmark, as in the paper."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fetusmap.anatomy import Skeleton
from fetusmap.atlas import PoseLibrary
from fetusmap.detect.detection import Detection, detection_from_heatmaps
from fetusmap.detect.detector import Detector, predict_on
from fetusmap.detect.frame import WholeVolumeGrid
from fetusmap.errors import DegenerateAlignment
from fetusmap.volume import Volume


@dataclass(frozen=True, eq=False)
class SinglePass:
    """One detector that predicts all landmarks from the whole volume at once.

    The pose library contributes only to the assessment of the result.

    Attributes:
        skeleton: skeleton whose landmarks this pipeline predicts.
        plain: the detector, with one channel per landmark, over the whole volume.
        library: poses of this skeleton.
    """

    skeleton: Skeleton
    plain: Detector
    library: PoseLibrary

    @property
    def detectors(self) -> dict[str, Detector]:
        """The only pass."""
        return {"plain": self.plain}

    @property
    def last(self) -> Detector:
        """The only pass."""
        return self.plain

    def detect(
        self,
        prepared: Volume,
        *,
        flip_average: bool = True,
        coarsen: float = 1.0,
        half: bool | None = None,
    ) -> list[Detection]:
        """Find the highest peak of each channel; see `Pipeline.detect`."""
        whole = self.plain.input_grid
        assert isinstance(whole, WholeVolumeGrid)  # noqa: S101 - the model card guarantees it
        whole = replace(whole, spacing_mm=whole.spacing_mm * coarsen)
        grid = whole.around(prepared.grid, self.plain.multiple)
        heatmaps = predict_on(
            self.plain, self.skeleton, prepared, grid, flip_average=flip_average, half=half
        )
        try:
            return [detection_from_heatmaps(heatmaps, grid, self.library)]
        except DegenerateAlignment:  # the peaks coincide: there is no body
            return []

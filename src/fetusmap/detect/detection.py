"""What a pipeline found, and what the pose library thinks of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from fetusmap.anatomy import Skeleton
from fetusmap.atlas import PoseLibrary
from fetusmap.detect.detector import Detector
from fetusmap.detect.frame import BodyFrame
from fetusmap.geometry import Grid
from fetusmap.heatmap import Heatmaps, find_peaks
from fetusmap.types import Affine, FloatArray, Points3
from fetusmap.volume import Volume


@dataclass(frozen=True, eq=False)
class Detection:
    """What was found in a volume, from one body frame or from none.

    Attributes:
        positions_mm: (N, 3) landmarks.
        masses: (N,) share of each landmark's heatmap that lies in its peak, 0 to 1.
        residual: mean distance from the best atlases, trunk lengths.
        stray: (N,) distance of each landmark from the mean of the best atlases, trunk lengths.
        frame: in which the landmarks were found; None where the whole volume was looked at.
        heatmaps: of the last pass.
    """

    positions_mm: Points3
    masses: FloatArray
    residual: float
    stray: FloatArray
    frame: BodyFrame | None
    heatmaps: Heatmaps

    @property
    def score(self) -> float:
        """How well sure peaks and a likely pose go together; larger is better."""
        return float(self.masses.mean() - self.residual)

    def moved(self, target_from_source: Affine) -> Detection:
        """The same in another frame of the world; (4, 4), a rotation and a translation."""
        turn, shift = target_from_source[:3, :3], target_from_source[:3, 3]
        grid = self.heatmaps.grid
        frame = self.frame and BodyFrame(
            turn @ self.frame.sacrum_mm + shift, turn @ self.frame.axes, self.frame.trunk_mm
        )
        return replace(
            self,
            positions_mm=self.positions_mm @ turn.T + shift,
            frame=frame,
            heatmaps=Heatmaps(
                self.heatmaps.array, Grid(grid.shape, target_from_source @ grid.affine)
            ),
        )


class Pipeline(Protocol):
    """From a prepared volume to detections."""

    @property
    def skeleton(self) -> Skeleton:
        """Of the poses."""

    @property
    def library(self) -> PoseLibrary:
        """Poses of the skeleton."""

    @property
    def detectors(self) -> dict[str, Detector]:
        """The passes by name."""

    @property
    def last(self) -> Detector:
        """The pass that made the heatmaps of a detection; it has a channel per landmark."""

    def detect(
        self,
        prepared: Volume,
        *,
        flip_average: bool = True,
        coarsen: float = 1.0,
        half: bool | None = None,
    ) -> list[Detection]:
        """Everything that the volume may show, best first; nothing where no body was found.

        Args:
            prepared: see `prepare`.
            flip_average: look at the mirror image as well, sides exchanged, and average.
            coarsen: voxels of a pass over the whole volume are this many times larger; saves
                memory.
            half: compute in bfloat16; None where that is fast.
        """

    def last_grid(self, prepared: Volume, detection: Detection) -> Grid:
        """On which the last pass looked at a volume when it made a detection."""

    def look_again(
        self,
        detector: Detector,
        prepared: Volume,
        detection: Detection,
        *,
        flip_average: bool = True,
        half: bool | None = None,
    ) -> Detection:
        """What another detector, in place of the last pass, finds where a detection was made.

        Raises:
            DegenerateAlignment: nothing but coinciding peaks.
        """


def look_mirrored(
    detector: Detector, skeleton: Skeleton, prepared: Volume, grid: Grid, *, half: bool | None
) -> Heatmaps:
    """Heatmaps, on the same grid, of a detector that is shown the mirror image.

    The sides are exchanged back. The detector has a channel per landmark.
    """
    mirrored = detector.detect(prepared, grid.flip(0), half=half).array.flip(1)
    array = mirrored[skeleton.mirror_index.tolist()]
    return Heatmaps(array, grid.pool(detector.network.stride))


def look(
    detector: Detector,
    skeleton: Skeleton,
    prepared: Volume,
    grid: Grid,
    *,
    flip_average: bool,
    half: bool | None,
) -> Heatmaps:
    """Heatmaps of a detector with a channel per landmark; with the mirror image's, if wanted."""
    heatmaps = detector.detect(prepared, grid, half=half)
    if not flip_average:
        return heatmaps
    return mean_of(heatmaps, look_mirrored(detector, skeleton, prepared, grid, half=half))


def mean_of(first: Heatmaps, second: Heatmaps) -> Heatmaps:
    """The mean of heatmaps on one grid."""
    return Heatmaps((first.array + second.array) / 2, first.grid)


def highest_peaks(heatmaps: Heatmaps) -> tuple[Points3, FloatArray]:
    """(N, 3) positions, mm, and (N,) masses of the highest peak of each channel."""
    peaks = find_peaks(heatmaps)
    return peaks.positions_mm[:, 0], peaks.masses[:, 0]

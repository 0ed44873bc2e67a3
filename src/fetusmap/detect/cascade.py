"""Two passes over a volume: find the body, then look at it in its own frame.

    whole volume --coarse, sides not told apart--> two peaks per pair
    peaks        --pose library--> named sides, a few possible body frames
    each frame   --canonical pass, until the frame stays--> 16 landmarks
    landmarks    --how sure, how like a fetus--> the best frame

The first pass only has to find the body; what is exact comes from the second, for which every
fetus lies straight, upright and equally large.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.atlas import PoseLibrary
from fetusmap.atlas.sides import LEAST_WEIGHT, SideHypothesis, fit_library, name_peaks, stray_from
from fetusmap.detect.detection import Detection, highest_peaks, look, look_mirrored, mean_of
from fetusmap.detect.detector import Detector
from fetusmap.detect.frame import BodyFrame, CanonicalGrid, WholeGrid, frame_of
from fetusmap.errors import DegenerateAlignment
from fetusmap.geometry import Grid, angle_between_rotations
from fetusmap.heatmap import Heatmaps, find_peaks
from fetusmap.types import Points3
from fetusmap.volume import Volume

LEAST_PASSES = 2
MOST_PASSES = 5
"""In the body's frame; after the second it is enough when the frame hardly changes any more."""

HOPELESS = 0.35
"""Where the peaks are so blurred on average there is no body, and more passes find none."""

MOST_GROWTH = 1.6
FRAMES = 3
SURE = 0.7
"""A detection of a higher score is taken; below it all other frames are tried, too."""


class Apart(NamedTuple):
    """Two frames that differ by more than one of these are not the same."""

    degrees: float
    trunks: float


DISTINCT = Apart(35.0, 0.4)
SETTLED = Apart(8.0, 0.1)


@dataclass(frozen=True, eq=False)
class Cascade:
    """Both detectors and the library between them.

    Attributes:
        skeleton: of the poses.
        coarse: one channel per mirror pair, over the whole volume.
        canonical: one channel per landmark, in the body's frame.
        library: poses of the skeleton.
    """

    skeleton: Skeleton
    coarse: Detector
    canonical: Detector
    library: PoseLibrary

    @property
    def detectors(self) -> dict[str, Detector]:
        """Both passes."""
        return {"coarse": self.coarse, "canonical": self.canonical}

    @property
    def last(self) -> Detector:
        """The second pass."""
        return self.canonical

    def detect(
        self,
        prepared: Volume,
        *,
        flip_average: bool = True,
        coarsen: float = 1.0,
        half: bool | None = None,
    ) -> list[Detection]:
        """The best body frames, each looked at; see `Pipeline.detect`."""
        frames = self.find_frames(prepared, coarsen=coarsen, half=half)
        detections: list[Detection] = []
        for frame in [*frames, *map(turn_around, frames[:1])]:
            try:
                found = self.refine_frame(prepared, frame, flip_average=flip_average, half=half)
            except DegenerateAlignment:  # nothing but coinciding peaks: no body there
                continue
            detections.append(found)
            if found.score > SURE:
                break
        return sorted(detections, key=lambda found: -found.score)

    def find_frames(
        self, prepared: Volume, *, coarsen: float = 1.0, half: bool | None = None
    ) -> list[BodyFrame]:
        """The body frames that fit the coarse peaks best, each unlike the others."""
        whole = self.coarse.look
        assert isinstance(whole, WholeGrid)  # noqa: S101 - the model file says so
        whole = replace(whole, spacing_mm=whole.spacing_mm * coarsen)
        grid = whole.around(prepared.grid, self.coarse.multiple)
        peaks = find_peaks(self.coarse.detect(prepared, grid, half=half), count=2)
        strengths = np.sqrt(peaks.masses) + LEAST_WEIGHT
        try:
            hypotheses = name_peaks(peaks, strengths, self.coarse.channels, self.library)
        except DegenerateAlignment:
            return []
        return self._distinct_frames(hypotheses)

    def refine_frame(
        self,
        prepared: Volume,
        frame: BodyFrame,
        *,
        flip_average: bool = True,
        half: bool | None = None,
    ) -> Detection:
        """Look in a body frame, and again in the better frames that this gives."""
        upright = self.canonical.look
        assert isinstance(upright, CanonicalGrid)  # noqa: S101
        for done in range(1, MOST_PASSES + 1):
            grid = upright.of_frame(frame)
            heatmaps = self.canonical.detect(prepared, grid, half=half)
            positions, masses = highest_peaks(heatmaps)
            before, frame = frame, self._better_frame(positions, frame)
            hopeless = masses.mean() < HOPELESS
            if done >= LEAST_PASSES and (hopeless or not _are_apart(before, frame, SETTLED)):
                break
        if flip_average:  # only here: on the way it was measured to change nothing
            mirrored = look_mirrored(self.canonical, self.skeleton, prepared, grid, half=half)
            heatmaps = mean_of(heatmaps, mirrored)
        return self._detection(heatmaps, before)

    def last_grid(self, prepared: Volume, detection: Detection) -> Grid:  # noqa: ARG002
        """That of the detection's body frame; see `Pipeline.last_grid`."""
        upright = self.canonical.look
        assert isinstance(upright, CanonicalGrid)  # noqa: S101
        assert detection.frame is not None  # noqa: S101 - a cascade's has one
        return upright.of_frame(detection.frame)

    def look_again(
        self,
        detector: Detector,
        prepared: Volume,
        detection: Detection,
        *,
        flip_average: bool = True,
        half: bool | None = None,
    ) -> Detection:
        """In the same body frame; see `Pipeline.look_again`."""
        assert detection.frame is not None  # noqa: S101
        grid = self.last_grid(prepared, detection)
        heatmaps = look(
            detector, self.skeleton, prepared, grid, flip_average=flip_average, half=half
        )
        return self._detection(heatmaps, detection.frame)

    def _detection(self, heatmaps: Heatmaps, frame: BodyFrame) -> Detection:
        positions, masses = highest_peaks(heatmaps)
        fit = fit_library(positions, masses, self.library)
        stray = stray_from(positions, fit, frame.trunk_mm)
        return Detection(positions, masses, fit.residual, stray, frame, heatmaps)

    def _better_frame(self, positions_mm: Points3, frame: BodyFrame) -> BodyFrame:
        """The frame of the landmarks; where they make none of that size, the frame they came from.

        Going on from the mean of the best atlases instead was measured to take more passes.
        """
        better = frame_of(self.skeleton, positions_mm)
        if better is None or not 1 / MOST_GROWTH < better.trunk_mm / frame.trunk_mm < MOST_GROWTH:
            return frame
        return better

    def _distinct_frames(self, hypotheses: list[SideHypothesis]) -> list[BodyFrame]:
        chosen: list[BodyFrame] = []
        for hypothesis in hypotheses:
            frame = frame_of(self.skeleton, hypothesis.support_mm)
            if frame is not None and all(_are_apart(frame, other, DISTINCT) for other in chosen):
                chosen.append(frame)
            if len(chosen) == FRAMES:
                break
        return chosen


def turn_around(frame: BodyFrame) -> BodyFrame:
    """The frame of a body in the same place that looks the other way.

    That is how the first pass errs on a curled fetus, which has much the same outline from both
    sides. Upside down never won (200 cases).
    """
    return replace(frame, axes=frame.axes * [-1, -1, 1])


def _are_apart(first: BodyFrame, second: BodyFrame, limit: Apart) -> bool:
    turned = np.degrees(angle_between_rotations(first.axes, second.axes))
    moved = np.linalg.norm(first.sacrum_mm - second.sacrum_mm) / second.trunk_mm
    return bool(turned > limit.degrees or moved > limit.trunks)

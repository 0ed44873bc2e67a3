"""`Cascade`: finds the body in a volume, then predicts its landmarks in the body's own frame.

    whole volume --first pass, sides not distinguished--> two peaks per mirror pair
    peaks        --pose library--> named sides, a few possible body frames
    each frame   --second pass, repeated until the frame is stable--> landmarks
    landmarks    --peak masses, distance from the library--> the best frame

The first pass only has to find the body. The precision comes from the second pass: in its frame,
every fetus is upright and has the same orientation and size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fetusmap.anatomy import Channels, Skeleton
from fetusmap.atlas import MIN_ALIGNMENT_WEIGHT, LibraryFit, PoseLibrary, name_peaks
from fetusmap.detect.detection import Detection, detection_from_heatmaps, highest_peaks
from fetusmap.detect.detector import Detector, mean_heatmaps, predict_mirrored
from fetusmap.detect.frame import BodyFrame, BodyFrameGrid, WholeVolumeGrid, body_frame_of
from fetusmap.errors import DegenerateAlignment
from fetusmap.geometry import angle_between_rotations
from fetusmap.heatmap import Peaks, find_peaks
from fetusmap.types import FloatArray, Points3
from fetusmap.volume import Volume

MIN_PASSES = 2
MAX_PASSES = 5
"""Smallest and largest number of passes in the body's frame. From the second pass on, the
repetition ends when the frame is stable."""

MIN_MEAN_PEAK_MASS = 0.35
"""Below this mean peak mass the volume shows no body there, and further passes find none."""

MAX_GROWTH = 1.6
"""A pass must not change the size of the frame by more than this factor."""

MAX_FRAMES = 3
"""Number of body frames of the first pass that are tried."""

MIN_SCORE_TO_ACCEPT = 0.7
"""A detection with a higher score is accepted; below it the remaining frames are tried as well."""


class FrameDistance(NamedTuple):
    """Limits of the difference between two body frames; above either of them the frames differ.

    Attributes:
        degrees: angle between the axes.
        trunks: distance between the origins, in trunk lengths.
    """

    degrees: float
    trunks: float


DISTINCT = FrameDistance(35.0, 0.4)
"""A further frame of the first pass is tried only if it differs by more than this."""

STABLE = FrameDistance(8.0, 0.1)
"""A frame is stable if the last pass changed it by no more than this."""


@dataclass(frozen=True, eq=False)
class Cascade:
    """Two detectors, and the pose library between them.

    Attributes:
        skeleton: skeleton whose landmarks this pipeline predicts.
        coarse: first pass over the whole volume, one channel per mirror pair.
        canonical: second pass in the body's frame, one channel per landmark.
        library: poses of this skeleton.
    """

    skeleton: Skeleton
    coarse: Detector
    canonical: Detector
    library: PoseLibrary

    @property
    def detectors(self) -> dict[str, Detector]:
        """Both passes by name."""
        return {"coarse": self.coarse, "canonical": self.canonical}

    @property
    def last(self) -> Detector:
        """The second pass."""
        return self.canonical

    @property
    def body_grid(self) -> BodyFrameGrid:
        """The input grid of the second pass."""
        grid = self.canonical.input_grid
        assert isinstance(grid, BodyFrameGrid)  # noqa: S101 - the model card guarantees it
        return grid

    def detect(
        self,
        prepared: Volume,
        *,
        flip_average: bool = True,
        coarsen: float = 1.0,
        half: bool | None = None,
    ) -> list[Detection]:
        """Predict in the best body frames; see `Pipeline.detect`."""
        peaks = self.find_first_peaks(prepared, coarsen=coarsen, half=half)
        frames = self.frames_of(peaks)
        first_pass_mm = _peaks_per_landmark(peaks, self.coarse.channels)
        detections: list[Detection] = []
        for frame in [*frames, *map(back_to_front, frames[:1])]:
            try:
                found = self.detect_in_frame(prepared, frame, flip_average=flip_average, half=half)
            except DegenerateAlignment:  # the peaks coincide: there is no body in this frame
                continue
            detections.append(replace(found, first_pass_mm=first_pass_mm))
            if found.score > MIN_SCORE_TO_ACCEPT:
                break
        return sorted(detections, key=lambda found: -found.score)

    def find_frames(
        self, prepared: Volume, *, coarsen: float = 1.0, half: bool | None = None
    ) -> list[BodyFrame]:
        """Find the body frames of a volume; see `frames_of`."""
        return self.frames_of(self.find_first_peaks(prepared, coarsen=coarsen, half=half))

    def find_first_peaks(
        self, prepared: Volume, *, coarsen: float = 1.0, half: bool | None = None
    ) -> Peaks:
        """Find the two highest peaks of each heatmap of the first pass."""
        return peaks_in_volume(self.coarse, prepared, coarsen=coarsen, half=half)

    def frames_of(self, peaks: Peaks) -> list[BodyFrame]:
        """Find the body frames that fit the peaks of the first pass best, at most `MAX_FRAMES`.

        The most likely frame comes first, and no two of them are similar.
        """
        strengths = np.sqrt(peaks.masses) + MIN_ALIGNMENT_WEIGHT
        try:
            hypotheses = name_peaks(peaks, strengths, self.coarse.channels, self.library)
        except DegenerateAlignment:
            return []
        return self._distinct_frames(hypotheses)

    def detect_in_frame(
        self,
        prepared: Volume,
        frame: BodyFrame,
        *,
        flip_average: bool = True,
        half: bool | None = None,
    ) -> Detection:
        """Predict the landmarks in a body frame, and repeat this in the frame of the new landmarks.

        Raises:
            DegenerateAlignment: the peaks coincide: there is no body in this frame.
        """
        for done in range(1, MAX_PASSES + 1):
            grid = self.body_grid.of_frame(frame)
            volume = self.canonical.input_tensor(prepared, grid)
            heatmaps = self.canonical.predict_from(volume, grid, half=half)
            positions, masses = highest_peaks(heatmaps)
            before, frame = frame, self._better_frame(positions, frame)
            shows_no_body = masses.mean() < MIN_MEAN_PEAK_MASS
            is_stable = not _differ(before, frame, STABLE)
            if done >= MIN_PASSES and (shows_no_body or is_stable):
                break
        # Only in the last pass: averaging in the earlier ones changed almost nothing.
        if flip_average:
            mirrored = predict_mirrored(self.canonical, self.skeleton, volume, grid, half=half)
            heatmaps = mean_heatmaps(heatmaps, mirrored)
        return detection_from_heatmaps(heatmaps, grid, self.library, before)

    def _better_frame(self, positions_mm: Points3, frame: BodyFrame) -> BodyFrame:
        """Return the body frame of new landmarks, or the old frame if the new one is not plausible.

        The new frame must exist, and its size must be similar to that of the old one. Taking the
        frame of the mean of the best atlases instead was measured to need more passes.
        """
        better = body_frame_of(self.skeleton, positions_mm)
        if better is None or not 1 / MAX_GROWTH < better.trunk_mm / frame.trunk_mm < MAX_GROWTH:
            return frame
        return better

    def _distinct_frames(self, hypotheses: list[LibraryFit]) -> list[BodyFrame]:
        chosen: list[BodyFrame] = []
        for hypothesis in hypotheses:
            frame = body_frame_of(self.skeleton, hypothesis.support_mm)
            if frame is not None and all(_differ(frame, other, DISTINCT) for other in chosen):
                chosen.append(frame)
            if len(chosen) == MAX_FRAMES:
                break
        return chosen


def peaks_in_volume(
    detector: Detector, prepared: Volume, *, coarsen: float = 1.0, half: bool | None = None
) -> Peaks:
    """Find the two highest peaks of each heatmap of a detector over the whole volume.

    Args:
        detector: a detector whose channels may show both landmarks of a pair.
        prepared: the prepared volume.
        coarsen: factor on the spacing of the input.
        half: compute in bfloat16; None does so where bfloat16 is fast.
    """
    whole = detector.input_grid
    assert isinstance(whole, WholeVolumeGrid)  # noqa: S101 - the model card guarantees it
    whole = replace(whole, spacing_mm=whole.spacing_mm * coarsen)
    grid = whole.around(prepared.grid, detector.multiple)
    return find_peaks(detector.predict(prepared, grid, half=half), count=2)


def back_to_front(frame: BodyFrame) -> BodyFrame:
    """Turn a frame by 180 degrees about its long axis, so that it faces the other way.

    This is the typical error of the first pass on a curled fetus, because its outline is similar
    from both sides. Turning the frame upside down was tried as well; in 200 cases the result never
    had the best score.
    """
    return replace(frame, axes=frame.axes * [-1, -1, 1])


def _peaks_per_landmark(peaks: Peaks, channels: Channels) -> FloatArray:
    """Return the (N, 2, 3) peaks of each landmark; a channel of one landmark has one, then NaN."""
    count = sum(len(rows) for rows in channels.rows)
    positions = np.full((count, 2, 3), np.nan)
    for channel, rows in zip(peaks.positions_mm, channels.rows, strict=True):
        positions[list(rows), : len(rows)] = channel[: len(rows)]
    return positions


def _differ(first: BodyFrame, second: BodyFrame, limit: FrameDistance) -> bool:
    degrees = np.degrees(angle_between_rotations(first.axes, second.axes))
    trunks = np.linalg.norm(first.sacrum_mm - second.sacrum_mm) / second.trunk_mm
    return bool(degrees > limit.degrees or trunks > limit.trunks)

"""`FramePlan`: which two-dimensional frames of which DICOM instances make up a volume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

PlannedFrame = tuple[int, int, float, float]
"""Number of the instance, number of the frame in it, slope and intercept of its values."""


@dataclass(frozen=True)
class FramePlan:
    """Which frames of which instances make up the volumes of a source, in order.

    Attributes:
        instances: start and length of each instance in the data file.
        volumes: the frames of each volume, along its third axis.
        slices: frames that are stored as one (QLAB), else 1.
        scaled: whether each frame has a slope and an intercept of its own; then the decoder
            applies them.
        dtype: type of the decoded voxels.
    """

    instances: tuple[tuple[int, int], ...]
    volumes: tuple[tuple[PlannedFrame, ...], ...]
    slices: int
    scaled: bool
    dtype: str

    def of_volume(self, number: int) -> FramePlan:
        """Return the plan of one volume of a sequence."""
        return replace(self, volumes=(self.volumes[number],))

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the decoding process, for the first volume."""
        frames = [frame if self.scaled else (frame[0], frame[1], 1, 0) for frame in self.volumes[0]]
        return {
            "instances": self.instances,
            "frames": frames,
            "slices": self.slices,
            "scaled": self.scaled,
            "dtype": self.dtype,
        }

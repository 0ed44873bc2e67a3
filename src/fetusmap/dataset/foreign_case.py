"""`ForeignCase`: an annotated volume in the layout of another program."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from fetusmap.anatomy import Pose, Skeleton
from fetusmap.geometry import Grid
from fetusmap.io import AS_STORED, DEFAULT_LIMITS, Conversion, ReadLimits, load_volume
from fetusmap.types import Triple
from fetusmap.volume import Volume


@dataclass(frozen=True)
class ForeignCase:
    """An annotated volume in the layout of another program.

    Attributes:
        name: safe as a file name.
        volume_path: path of the volume.
        read_pose: function that reads the pose, given the volume's grid and the skeleton.
        read_names: function that reads the names of the annotated landmarks.
        split: split that the other program puts the case into, or "".
    """

    name: str
    volume_path: Path
    read_pose: Callable[[Grid, Skeleton], Pose]
    read_names: Callable[[], Iterable[str]]
    split: str = ""

    def load(
        self,
        skeleton: Skeleton,
        *,
        spacing_mm: Triple | None = None,
        conversion: Conversion = AS_STORED,
        limits: ReadLimits = DEFAULT_LIMITS,
    ) -> tuple[Volume, Pose]:
        """Read volume and pose.

        Raises:
            BadInput: one of them cannot be read.
        """
        volume = load_volume(
            self.volume_path, spacing_mm=spacing_mm, conversion=conversion, limits=limits
        )
        return replace(volume, name=self.name), self.read_pose(volume.grid, skeleton)

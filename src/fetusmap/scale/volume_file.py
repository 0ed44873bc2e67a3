"""`VolumeFile`: a case to predict."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from fetusmap.io import RawLayout
from fetusmap.types import Triple


@dataclass(frozen=True)
class VolumeFile:
    """A case to predict.

    Attributes:
        case: its name, which is unique in the run.
        path: its file.
        frame: number of the volume in a 4D file, from 0; None for a file with one volume.
        layout: how to read a file of raw voxels; None for a file that states it itself.
        spacing_mm: spacing that a table states for this file; None if it states none.
        problem: why the case cannot be predicted, as its table shows; "" if it may be tried.
        is_named: whether a table names the case, instead of its file.
    """

    case: str
    path: Path
    frame: int | None = None
    layout: RawLayout | None = None
    spacing_mm: Triple | None = None
    problem: str = ""
    is_named: bool = field(default=False, compare=False)

    @property
    def source(self) -> str:
        """The file as records of a case name it: its absolute path."""
        return os.path.abspath(self.path)  # noqa: PTH100 - unlike absolute() it resolves `..`

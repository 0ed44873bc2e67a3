"""`Interleaving`: how the voxels of several volumes alternate in a file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interleaving:
    """How the voxels of several volumes alternate in a file.

    Attributes:
        group_bytes: bytes of one volume that follow each other; then come as many of the next one.
        count: number of volumes.
        number: the volume that is read, from 0.
    """

    group_bytes: int
    count: int
    number: int = 0

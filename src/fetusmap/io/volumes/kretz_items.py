"""The items of a GE Kretz file: where each one lies, and its value, never beyond the file."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fetusmap.errors import UnreadableFile
from fetusmap.types import FloatArray

MAGIC = b"KRETZFILE 1.0   "
END_GROUP = 0xFFFF
MAX_ITEMS = 65536
MAX_ANGLES = 2048
MAX_SPAN_DEG = 175.0

Tag = tuple[int, int]
"""Group and element of an item."""

ReadAt = Callable[[int, int], bytes]
"""Returns the bytes of the file at a place: how many there are wanted, or fewer at its end."""

DIMENSIONS: tuple[Tag, Tag, Tag] = ((0xC000, 1), (0xC000, 2), (0xC000, 3))
RESOLUTION: Tag = (0xC100, 1)
OFFSETS: tuple[Tag, Tag] = ((0xC200, 1), (0xC200, 2))
SWEEP_ANGLES: Tag = (0xC300, 1)
LATERAL_ANGLES: Tag = (0xC300, 2)
VOXEL_SIZE: Tag = (0x0010, 0x22)
VOXELS: Tag = (0xD000, 1)
SEQUENCE: Tag = (0xD600, 1)

GEOMETRY = (
    *DIMENSIONS, RESOLUTION, *OFFSETS, SWEEP_ANGLES, LATERAL_ANGLES, VOXEL_SIZE, VOXELS, SEQUENCE,
)  # fmt: skip
"""All items that are read."""


def list_items(read_at: ReadAt, size: int, subject: object) -> dict[Tag, tuple[int, int]]:
    """Return place and number of bytes of each item; of items that are repeated, the first one."""
    found: dict[Tag, tuple[int, int]] = {}
    place = len(MAGIC)
    for _ in range(MAX_ITEMS):
        head = read_at(place, 8)
        # A DICOM element of odd length is filled with a zero.
        if len(head) < 8 or head == bytes(8):
            return found
        group, element, length = struct.unpack("<HHI", head)
        if group == END_GROUP:
            return found
        place += 8
        if length > size - place:
            raise UnreadableFile(
                subject,
                expected=f"{length} bytes of item ({group:04X},{element:04X})",
                found=f"{size - place} (the file is cut short)",
                remedy="copy or export it again",
            )
        found.setdefault((group, element), (place, length))
        place += length
    raise UnreadableFile(
        subject,
        expected=f"at most {MAX_ITEMS} items",
        found="more",
        remedy="copy or export it again",
    )


@dataclass(frozen=True)
class KretzItems:
    """The items of a file, and their values."""

    found: Mapping[Tag, tuple[int, int]]
    read_at: ReadAt
    subject: object

    def integer(self, tag: Tag, name: str) -> int:
        """Return a dimension of the volume."""
        (value,) = struct.unpack("<H", self._bytes(tag, 2, f"the number of voxels along {name}"))
        return int(value)

    def number(self, tag: Tag, name: str) -> float:
        """Return a finite number."""
        (value,) = struct.unpack("<d", self._bytes(tag, 8, name))
        if not np.isfinite(value):
            raise self.bad(name, f"{value}", "a finite number for")
        return float(value)

    def angles(self, tag: Tag, count: int, name: str) -> FloatArray:
        """Return (count,) angles in radians that increase or decrease, about their middle."""
        if not 2 <= count <= MAX_ANGLES:
            raise self.bad(name, f"{count}", f"2 to {MAX_ANGLES}")
        values = np.frombuffer(self._bytes(tag, 8 * count, name), dtype="<f8").astype(np.float64)
        if not np.isfinite(values).all():
            raise self.bad(name, "NaN or infinity", "finite")
        steps = np.diff(values)
        if not ((steps > 0).all() or (steps < 0).all()):
            raise self.bad(name, "angles in no order", "increasing")
        span = float(np.degrees(abs(values[-1] - values[0])))
        if span > MAX_SPAN_DEG or np.abs(values).max() > 100:
            raise self.bad(name, f"{span:.4g} degrees", f"at most {MAX_SPAN_DEG:g} degrees of")
        return values

    def bad(self, name: str, found: str, expected: str) -> UnreadableFile:
        """Return the error about a value."""
        return UnreadableFile(
            self.subject,
            expected=f"{expected} {name}",
            found=found,
            remedy="copy or export it again",
        )

    def _bytes(self, tag: Tag, count: int, name: str) -> bytes:
        place, length = self.found.get(tag, (0, 0))
        if length != count:
            found = f"{length} bytes" if tag in self.found else "none"
            raise self.bad(name, found, f"{count} bytes of")
        return self.read_at(place, count)

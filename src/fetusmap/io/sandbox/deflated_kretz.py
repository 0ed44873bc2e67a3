"""Items of a Kretz volume inside of a deflated DICOM instance, read in the decoding process."""

from __future__ import annotations

from typing import Any

from fetusmap.errors import UnreadableFile
from fetusmap.io.sandbox.dicom_elements import Damaged
from fetusmap.io.volumes.kretz_items import GEOMETRY, MAGIC, MAX_ANGLES, list_items

MAX_VALUE_BYTES = 8 * MAX_ANGLES
"""Largest value that passes on; the largest of the geometry are arrays of angles."""


def geometry_items(source: Any, start: int, length: int) -> list[list[Any]]:
    """Return group, element, place, length and value (hexadecimal) of the items of the geometry.

    Args:
        source: the instance, unpacked.
        start: place of the volume in it.
        length: bytes of the volume.

    Raises:
        Damaged: the volume is no Kretz file, or its items are damaged.
    """

    def read_at(place: int, count: int) -> bytes:
        source.seek(start + min(place, length))
        data: bytes = source.read(min(count, max(0, length - place)))
        return data

    if read_at(0, len(MAGIC)) != MAGIC:
        raise Damaged("a private element of a GE scanner that holds no Kretz volume")
    try:
        found = list_items(read_at, length, "")
    except UnreadableFile as error:
        raise Damaged(f"a Kretz volume with {error.found} instead of {error.expected}") from error
    return [
        [*tag, place, size, read_at(place, size).hex() if size <= MAX_VALUE_BYTES else ""]
        for tag, (place, size) in found.items()
        if tag in GEOMETRY
    ]

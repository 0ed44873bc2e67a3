"""Elements of a DICOM instance, read in the decoding process: bounded, and only the allowed ones.

`ALLOWED` lists the values that may leave the process. No length in an instance is followed beyond
the end of the instance.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.tag import BaseTag

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
LONG_TYPES = (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"UN", b"UT", b"SQ", b"UC", b"UR")
"""Types of elements whose length takes 4 bytes."""

MAX_INFLATED = 1 << 28
GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
ALLOWED = (
    "SOPClassUID", "Modality", "Manufacturer", "ManufacturerModelName",
    "InstanceNumber", "TemporalPositionIdentifier", "ImagePositionPatient",
    "ImageOrientationPatient", "ImagePositionVolume", "ImageOrientationVolume", "PixelSpacing",
    "SpacingBetweenSlices", "Rows", "Columns", "NumberOfFrames",
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "BitsAllocated",
    "BitsStored", "PixelRepresentation", "RescaleSlope", "RescaleIntercept",
    "BurnedInAnnotation", "LossyImageCompression", "FrameTime", "PhysicalDeltaX",
    "PhysicalDeltaY", "PhysicalUnitsXDirection", "PhysicalUnitsYDirection",
    "InStackPositionNumber", "TemporalPositionIndex", "TemporalPositionTimeOffset", "DataType",
)  # fmt: skip
"""Keywords whose values may leave this process; none of them describes a person."""

NESTED = (
    "PixelMeasuresSequence", "PlanePositionVolumeSequence", "PlaneOrientationVolumeSequence",
    "PlanePositionSequence", "PlaneOrientationSequence", "FrameContentSequence",
    "PixelValueTransformationSequence", "TemporalPositionSequence", "ImageDataTypeSequence",
)  # fmt: skip
ALLOWED_TAGS, NESTED_TAGS = (
    {int(tag): word for word in words if (tag := tag_for_keyword(word)) is not None}
    for words in (ALLOWED, NESTED)
)
QLAB_SLICES, QLAB_DELTA_Z = 0x30011001, 0x30011003
REGIONS, OFFSETS = "SequenceOfUltrasoundRegions", 0x7FE00001
PIXELS, ITEM, END_OF_ITEMS = 0x7FE00010, 0xFFFEE000, 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF
MAX_TEXT = 64
MAX_FRAMES = 1 << 14
AGE = ("LastMenstrualDate", "StudyDate")
"""Keywords that are read only if the caller asks for the age of gestation."""


class Damaged(Exception):
    """An instance cannot be read; the text says why, without any value of it."""


class Instance(io.RawIOBase):
    """One instance inside a larger file, which refuses to be read beyond its end."""

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        self.file, self.start, self.length, self.place = file, start, length, 0

    def read(self, count: int = -1) -> bytes:
        """Read bytes; only a request for the next few, as at the end, may be cut short."""
        left = max(0, self.length - self.place)
        if count > 16 and count > left:
            raise Damaged(f"an element of {count} bytes, but only {left} bytes follow")
        self.file.seek(self.start + self.place)
        data = self.file.read(left if count < 0 else min(count, left))
        self.place += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move inside the instance."""
        place = offset + {0: 0, 1: self.place, 2: self.length}[whence]
        if not 0 <= place <= self.length:
            raise Damaged(f"an element that ends {place - self.length} bytes after the file")
        self.place = place
        return place

    def tell(self) -> int:
        """Return the position inside the instance."""
        return self.place


def syntax_of(source: Instance) -> str:
    """Read the file meta information, if there is any, and return the transfer syntax.

    Without a stated syntax it is explicit if a plausible type follows the first tag.
    """
    source.seek(0)
    start = 132 if source.length > 132 and source.read(132)[128:] == b"DICM" else 0
    syntax = ""
    while True:
        source.seek(start)
        head = source.read(8)
        if len(head) < 8 or head[:2] != b"\2\0":
            break
        long = head[4:6] in LONG_TYPES
        length = (
            struct.unpack("<L", source.read(4))[0] if long else struct.unpack("<H", head[6:])[0]
        )
        value = source.read(length) if length <= 1024 else b""
        if head[2:4] == b"\x10\0":
            syntax = value.strip(b" \0").decode("ascii", "replace")
        start += 8 + 4 * long + length
    source.seek(start)
    return syntax or (EXPLICIT if head[4:6].isalpha() and head[4:6].isupper() else IMPLICIT)


def inflated(source: Any) -> Instance:
    """Return the data set that follows in deflated form, unpacked within a limit."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    parts, size = [], 0
    while not unpacker.eof:
        left = source.length - source.tell()
        packed = unpacker.unconsumed_tail or source.read(min(1 << 16, left))
        if not packed:
            raise Damaged("a deflated data set that ends too early")
        parts.append(unpacker.decompress(packed, 1 << 20))
        size += len(parts[-1])
        if size > MAX_INFLATED:
            raise Damaged(f"a deflated data set of more than {MAX_INFLATED} bytes")
    return Instance(io.BytesIO(b"".join(parts)), 0, size)


def tags_of(words: Iterable[str]) -> list[BaseTag | int]:
    """Return the tags of keywords."""
    tags = (tag_for_keyword(word) for word in words)
    return [tag for tag in tags if tag is not None]


def plain(data: Any, word: str | int) -> Any:
    """Return the value of an element as numbers or short texts; a value of a wrong kind as text."""
    try:
        value = data[word].value
    except Exception:
        return "damaged"
    values = list(value) if isinstance(value, (list, tuple, pydicom.multival.MultiValue)) else value
    if isinstance(values, list):
        return [simple(v) for v in values[:16]]
    return simple(values)


def simple(value: Any) -> Any:
    """Return a number, a short text, or None for an empty value."""
    if value is None or value == "":
        return None
    if isinstance(value, (int, float, pydicom.valuerep.DSdecimal)):
        return float(value)
    return str(value)[:MAX_TEXT]


def number_of(data: Any, tag: int) -> float | str:
    """Return the number in a private element, whose type the file may not state."""
    value = data[tag].value
    if isinstance(value, bytes):  # without a known type: few bytes are an integer, 8 a float
        code = {2: "<H", 4: "<l", 8: "<d"}.get(len(value))
        return float(struct.unpack(code, value)[0]) if code else "damaged"
    try:
        return float(value)
    except (TypeError, ValueError):
        return "damaged"


def sequence(data: Any, word: str) -> list[Any]:
    """Return the items of a sequence; none if it is missing or empty.

    Raises:
        Damaged: the element is no sequence.
    """
    value = data[word].value if word in data else None
    if value is None or value == "":
        return []
    if not isinstance(value, pydicom.sequence.Sequence):
        raise Damaged(f"{word} that is no sequence")
    return list(value)


def stated(data: Any, words: Mapping[int, str] = ALLOWED_TAGS) -> dict[str, Any]:
    """Return the values of those elements whose keywords are listed."""
    return {words[tag]: plain(data, tag) for tag in data.keys() & words.keys()}


def flat(item: Any) -> dict[str, Any]:
    """Return the allowed values of a group of functional groups, and of the groups in it."""
    values = stated(item)
    for name in (word for tag, word in NESTED_TAGS.items() if tag in item):
        for inner in sequence(item, name)[:1]:
            values.update(stated(inner))
    return values

"""The decoding process for DICOM: it describes instances, or decodes their frames.

`fetusmap.io.sandbox.dicom` runs it. Its standard input is one file that holds one DICOM
instance or several, one after the other. Only the values of `ALLOWED` and voxels leave this
process, so no patient data can, except by the task of `dicom_study`. No length in an instance is
followed beyond the instance's end.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TextIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filereader import read_dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from fetusmap.io.sandbox.deflated_kretz import geometry_items
from fetusmap.io.sandbox.dicom_elements import (
    AGE,
    ALLOWED,
    BIG_ENDIAN,
    DEFLATED,
    END_OF_ITEMS,
    EXPLICIT,
    GROUPS,
    IMPLICIT,
    ITEM,
    LONG_TYPES,
    MAX_FRAMES,
    OFFSETS,
    PIXELS,
    QLAB_DELTA_Z,
    QLAB_SLICES,
    REGIONS,
    UNDEFINED,
    Damaged,
    Instance,
    flat,
    inflated,
    number_of,
    plain,
    sequence,
    stated,
    syntax_of,
    tags_of,
)
from fetusmap.io.sandbox.dicom_study import refer
from fetusmap.io.sandbox.dicom_survey import list_files, survey

JPEG = "1.2.840.10008.1.2.4."
PLUGINS = {
    f"{JPEG}50": "pillow", f"{JPEG}51": "gdcm", f"{JPEG}57": "gdcm", f"{JPEG}70": "gdcm",
    f"{JPEG}80": "pyjpegls", f"{JPEG}81": "pyjpegls", f"{JPEG}90": "pylibjpeg",
    f"{JPEG}91": "pylibjpeg", f"{JPEG}201": "pylibjpeg", f"{JPEG}202": "pylibjpeg",
    f"{JPEG}203": "pylibjpeg", "1.2.840.10008.1.2.5": "pylibjpeg",
}  # fmt: skip
NATIVE = {IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED}
PIXEL_MODULE = (
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration",
    "BitsAllocated", "BitsStored", "PixelRepresentation",
)  # fmt: skip
MAX_COLOUR = 24
"""Largest difference of two colour channels that still counts as grey."""

MAX_COLOURED_PART = 0.01
"""Largest part of a frame that may be coloured."""


def main(arguments: list[str]) -> None:
    """Run one task; arguments: task, its parameters as packed JSON, bytes of memory."""
    task, packed, memory = arguments[0], arguments[1], int(arguments[2])
    cap_memory(memory)
    parameters = json.loads(zlib.decompress(base64.b64decode(packed)))
    logging.disable(logging.CRITICAL)
    with quiet_libraries() as complaints:
        with open(sys.stdin.fileno(), "rb", buffering=1 << 16, closefd=False) as file:
            complaint = perform(task, file, sys.stdout.buffer, parameters)
        complaints.write(complaint[:300])
    sys.exit(3 if complaint else 0)


@contextmanager
def quiet_libraries() -> Iterator[TextIO]:
    """Yield a stream to the standard error of this process, and hide what libraries write there.

    What they write about damaged frames is for nobody, and a crash of one of them should be
    reported as such.
    """
    with os.fdopen(os.dup(2), "w", encoding="utf-8") as complaints:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 2)
        os.close(nothing)
        yield complaints


def perform(task: str, file: BinaryIO, out: BinaryIO, parameters: dict[str, Any]) -> str:
    """Run one task on an open file, and return why it failed, or "" if it did not."""
    pydicom.config.convert_wrong_length_to_UN = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            TASKS[task](file, out, parameters)
    except Damaged as error:
        return str(error)
    except MemoryError:
        return "more memory needed than allowed"
    except RecursionError:
        return "sequences nested too deeply"
    except zlib.error:
        return "a deflated data set that cannot be unpacked"
    except Exception as error:  # whatever the libraries raise for a damaged file
        return f"data that cannot be read ({type(error).__name__})"
    return ""


def cap_memory(limit: int) -> None:
    """Ask the system to refuse memory beyond `limit` bytes, if it can."""
    try:
        import resource
    except ImportError:
        return
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
    except (ValueError, OSError):
        return


def describe(file: BinaryIO, out: BinaryIO, parameters: dict[str, Any]) -> None:
    """Write what each instance states, as a JSON list."""
    age = AGE if parameters.get("age") else ()
    described = [
        Opened(file, start, length).description(age) for start, length in parameters["instances"]
    ]
    out.write(json.dumps(described).encode())


def decode(file: BinaryIO, out: BinaryIO, parameters: dict[str, Any]) -> None:
    """Write the voxels of the listed frames, little endian, frame after frame."""
    opened: dict[int, Opened] = {}
    for number, frame, slope, intercept in parameters["frames"]:
        if number not in opened:
            opened = {number: Opened(file, *parameters["instances"][number])}
        voxels = opened[number].frame(frame, parameters["slices"])
        if parameters["scaled"]:
            voxels = voxels.astype(np.float64) * slope + intercept
        out.write(voxels.astype(parameters["dtype"], copy=False).tobytes())


class Opened:
    """An instance whose elements before the voxels are parsed, and whose frames are located."""

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        self.source: Any = Instance(file, start, length)
        self.syntax = syntax_of(self.source)
        self.deflated_at: int | None = None
        if self.syntax == DEFLATED:
            self.deflated_at = start + self.source.tell()
            self.source = inflated(self.source)
        self.implicit, self.little = self.syntax == IMPLICIT, self.syntax != BIG_ENDIAN
        words = [*ALLOWED, *AGE, *GROUPS, REGIONS]
        tags = [*tags_of(words), OFFSETS, QLAB_SLICES, QLAB_DELTA_Z]
        self.data = read_dataset(
            self.source,
            self.implicit,
            self.little,
            stop_when=lambda tag, *_: tag >= 0x7FE00008,
            specific_tags=tags,
        )
        self.pixels: tuple[int, int] | None = None
        self.fragments: list[tuple[int, int]] = []
        self.kretz: tuple[int, int] | None = None
        self._locate()

    def _locate(self) -> None:
        """Find the voxels and a Kretz volume among the elements from group 7FE0 on."""
        creators: dict[int, int] = {}
        order = "<" if self.little else ">"
        while len(head := self.source.read(8)) == 8:
            tag, length = self._element(head, order)
            if tag == PIXELS and length == UNDEFINED:
                self._walk_fragments(order)
            elif length == UNDEFINED:
                return  # nothing that is needed follows
            else:
                place = self.source.tell()
                if tag == PIXELS:
                    self.pixels = (place, min(length, self.source.length - place))
                elif tag >> 16 == 0x7FE1 and 0x10 <= tag & 0xFFFF <= 0xFF and length <= 64:
                    if self.source.read(length).strip(b" \0") == b"KRETZ_US":
                        creators[tag & 0xFF] = place
                elif tag >> 16 == 0x7FE1 and tag & 0xFF == 1 and (tag >> 8) & 0xFF in creators:
                    self.kretz = (place, length)
                if tag == PIXELS and place + length > self.source.length:
                    return  # cut short; the number of bytes tells
                self.source.seek(place + length)

    def _element(self, head: bytes, order: str) -> tuple[int, int]:
        group, element = struct.unpack(order + "HH", head[:4])
        tag = group << 16 | element
        if self.implicit:
            return tag, struct.unpack(order + "L", head[4:])[0]
        if head[4:6] in LONG_TYPES:
            return tag, struct.unpack(order + "L", self.source.read(4).ljust(4, b"\0"))[0]
        return tag, struct.unpack(order + "H", head[6:])[0]

    def _walk_fragments(self, order: str) -> None:
        """Locate the items of encapsulated voxels; the first is the table of offsets."""
        while len(head := self.source.read(8)) == 8:
            group, element, length = struct.unpack(order + "HHL", head)
            tag = group << 16 | element
            if tag == END_OF_ITEMS:
                return
            if tag != ITEM or length == UNDEFINED:
                raise Damaged("no item where a compressed frame should begin")
            place = self.source.tell()
            self.fragments.append((place, length))
            self.source.seek(place + length)
            if len(self.fragments) > MAX_FRAMES:
                raise Damaged(f"more than {MAX_FRAMES} pieces of compressed frames")

    def description(self, age: tuple[str, ...]) -> dict[str, Any]:
        """Return what the instance states, by keyword; only the listed keywords."""
        tags = {**stated(self.data), **{w: plain(self.data, w) for w in age if w in self.data}}
        for name, tag in (("slices", QLAB_SLICES), ("delta z", QLAB_DELTA_Z)):
            if tag in self.data:
                tags[name] = number_of(self.data, tag)
        regions = sequence(self.data, REGIONS)
        if len(regions) == 1:
            tags = {**flat(regions[0]), **tags}
        shared, frames = (sequence(self.data, name) for name in GROUPS)
        return {
            "syntax": self.syntax,
            "tags": tags,
            "shared": flat(shared[0]) if shared else {},
            "has groups": bool(shared or frames),
            "frames": [flat(item) for item in frames[:MAX_FRAMES]],
            "native bytes": None if self.pixels is None else self.pixels[1],
            "fragments": max(0, len(self.fragments) - 1),
            "has pixels": self.pixels is not None or bool(self.fragments),
            "kretz": None if self.kretz is None else self._kretz(*self.kretz),
        }

    def _kretz(self, place: int, length: int) -> dict[str, Any]:
        """Return where a Kretz volume lies; of a deflated one also its items, and their values.

        The reader can look into a file at a place, but not into a deflated one.
        """
        if self.deflated_at is None:
            return {"place": place, "length": length}
        at = self.deflated_at
        items = geometry_items(self.source, place, length)
        return {"place": place, "length": length, "deflated at": at, "items": items}

    def frame(self, index: int, slices: int) -> Any:
        """Return the (rows, columns) grey values of one frame."""
        data, meta = Dataset(), FileMetaDataset()
        meta.TransferSyntaxUID = UID(self.syntax if self.syntax != DEFLATED else EXPLICIT)
        for word in PIXEL_MODULE:
            if word in self.data:
                setattr(data, word, self.data[word].value)
        data.file_meta, data.NumberOfFrames = meta, 1
        data.SamplesPerPixel = data.get("SamplesPerPixel") or 1
        data.PixelRepresentation = data.get("PixelRepresentation") or 0
        data.HighBit = data.BitsStored - 1
        size = data.Rows * data.Columns * data.SamplesPerPixel * (data.BitsAllocated // 8)
        total = int(self.data.get("NumberOfFrames") or 1) * slices
        native = self.syntax in NATIVE
        data.PixelData = self._bytes(index, size) if native else self._packed(index, total)
        data["PixelData"].VR = "OW" if native and data.BitsAllocated > 8 else "OB"
        data["PixelData"].is_undefined_length = not native
        plugin = PLUGINS.get(self.syntax, "")
        decoder = get_decoder(meta.TransferSyntaxUID)
        voxels, _ = decoder.as_array(data, index=0, decoding_plugin=plugin, raw=False)
        if voxels.ndim == 3:
            return grey(voxels)
        unused = data.BitsAllocated - data.BitsStored
        # The bits above the stored ones may hold anything; a signed value is extended into them.
        return (voxels << unused) >> unused if unused else voxels

    def _bytes(self, index: int, size: int) -> bytes:
        if self.pixels is None or (index + 1) * size > self.pixels[1]:
            raise Damaged(f"the bytes of frame {index} are missing")
        self.source.seek(self.pixels[0] + index * size)
        data: bytes = self.source.read(size)
        return data + b"\0" * (len(data) % 2)

    def _packed(self, index: int, total: int) -> bytes:
        """Return frame `index` of encapsulated voxels as the only frame of an own element."""
        if len(self.fragments) < 2:
            raise Damaged("no compressed frames")
        table, pieces = self.fragments[0], self.fragments[1:]
        starts = [place - pieces[0][0] for place, _ in pieces]
        self.source.seek(table[0])
        offsets = np.frombuffer(self.source.read(table[1]), "<u4").tolist()
        if OFFSETS in self.data:
            offsets = np.frombuffer(self.data[OFFSETS].value, "<u8").tolist()
        if len(pieces) == total:
            mine = [pieces[index]]
        elif len(offsets) == total:
            end = offsets[index + 1] if index + 1 < total else float("inf")
            mine = [p for p, at in zip(pieces, starts, strict=True) if offsets[index] <= at < end]
        elif total == 1:
            mine = pieces
        else:
            raise Damaged(f"{len(pieces)} pieces of compressed voxels for {total} frames")
        if not mine:
            raise Damaged(f"no compressed voxels of frame {index}")
        parts = []
        for place, length in mine:
            self.source.seek(place)
            parts.append(self.source.read(length))
        return bytes(encapsulate([b"".join(parts)]))


def grey(colours: Any) -> Any:
    """Return the brightness of (rows, columns, 3) colours that are nearly grey."""
    spread = colours.max(axis=2).astype(np.int64) - colours.min(axis=2)
    if np.mean(spread > MAX_COLOUR) > MAX_COLOURED_PART:
        raise Damaged("coloured voxels (grey values are needed: export without colour)")
    weights = np.array([0.299, 0.587, 0.114])
    return np.rint(colours @ weights).astype(colours.dtype)


TASKS = {
    "describe": describe,
    "survey": survey,
    "list": list_files,
    "decode": decode,
    "refer": refer,
}

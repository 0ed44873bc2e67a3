"""The tasks that read little: what tells series of a folder apart, and what a DICOMDIR lists."""

from __future__ import annotations

import io
import json
import zlib
from typing import Any, BinaryIO

from pydicom.filereader import read_dataset

from fetusmap.io.sandbox.dicom_elements import (
    BIG_ENDIAN,
    DEFLATED,
    IMPLICIT,
    Instance,
    plain,
    sequence,
    syntax_of,
    tags_of,
)

RECORDS, FILE_ID = "DirectoryRecordSequence", "ReferencedFileID"
MAX_RECORDS = 1 << 16
MAX_INFLATED_BEGINNING = 1 << 16
LAST_TAG = 0x00280011
"""Columns, the last of the elements that tell series apart."""


def survey(file: BinaryIO, out: BinaryIO, parameters: dict[str, Any]) -> None:
    """Write what tells series apart, of the beginnings of instances; null if it is not there."""
    keywords = ("SOPClassUID", "SeriesInstanceUID", "Rows", "Columns", "NumberOfFrames")
    found: list[dict[str, Any] | None] = []
    for start, length in parameters["instances"]:
        try:
            part: Any = Instance(file, start, length)
            syntax = syntax_of(part)
            if syntax == DEFLATED:
                part = inflated_beginning(part)
            data = read_dataset(
                part,
                syntax == IMPLICIT,
                syntax != BIG_ENDIAN,
                stop_when=lambda tag, *_: tag > LAST_TAG,
                specific_tags=tags_of(keywords),
            )
            found.append({word: plain(data, word) for word in keywords if word in data})
        except Exception:
            found.append(None)
    out.write(json.dumps(found).encode())


def inflated_beginning(part: Instance) -> Instance:
    """Return the first bytes of a deflated data set whose end may be missing."""
    packed = part.read(part.length - part.tell())
    data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, MAX_INFLATED_BEGINNING)
    return Instance(io.BytesIO(data), 0, len(data))


def list_files(file: BinaryIO, out: BinaryIO, parameters: dict[str, Any]) -> None:
    """Write the files that DICOMDIRs list, each as its folders and its name, as a JSON list."""
    found: list[list[list[str]]] = []
    for start, length in parameters["instances"]:
        source: Any = Instance(file, start, length)
        syntax = syntax_of(source)
        data = read_dataset(
            source, syntax == IMPLICIT, syntax != BIG_ENDIAN, specific_tags=tags_of([RECORDS])
        )
        names = [
            plain(record, FILE_ID)
            for record in sequence(data, RECORDS)[:MAX_RECORDS]
            if FILE_ID in record
        ]
        found.append(
            [
                [str(part) for part in (name if isinstance(name, list) else [name])]
                for name in names
                if name
            ]
        )
    out.write(json.dumps(found).encode())

"""The task that reads which study DICOM instances belong to, for a report about them.

This is the only task that passes on who the patient is, because a report must belong to the
patient of its images. It runs only if somebody asks for such a report.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, BinaryIO

from pydicom.filereader import read_dataset

from fetusmap.io.sandbox.dicom_elements import (
    BIG_ENDIAN,
    DEFLATED,
    IMPLICIT,
    Instance,
    inflated,
    syntax_of,
    tags_of,
)

REFERENCE = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID",
    "FrameOfReferenceUID", "VolumeFrameOfReferenceUID",
)  # fmt: skip
"""What a report states about each image that it refers to."""

SUBJECT = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
    "ReferringPhysicianName",
)  # fmt: skip
"""What all instances of a study share, of its modules Patient and General Study."""

LAST_TAG = 0x00209312  # VolumeFrameOfReferenceUID
MAX_TEXT = 1024


def refer(file: BinaryIO, out: BinaryIO, parameters: dict[str, Any]) -> None:
    """Write a JSON list with the references to each instance; only the first has the subject."""
    described: list[dict[str, dict[str, str]]] = []
    for start, length in parameters["instances"]:
        source: Any = Instance(file, start, length)
        syntax = syntax_of(source)
        if syntax == DEFLATED:
            source = inflated(source)
        data = read_dataset(
            source,
            syntax == IMPLICIT,
            syntax != BIG_ENDIAN,
            stop_when=lambda tag, *_: tag > LAST_TAG,
            specific_tags=tags_of((*REFERENCE, *SUBJECT)),
        )
        subject = () if described else SUBJECT
        described.append({"image": texts(data, REFERENCE), "subject": texts(data, subject)})
    out.write(json.dumps(described).encode())


def texts(data: Any, words: Iterable[str]) -> dict[str, str]:
    """Return the elements that are there and not empty, as texts."""
    found = {word: str(data[word].value) for word in words if data.get(word)}
    return {word: text[:MAX_TEXT].strip() for word, text in found.items()}

"""The package's own pose file, `pose.json`: strict, versioned, with a published JSON Schema.

Version 2 holds the definition of its skeleton and can be read without any other file. Version 1
holds only the name of its skeleton, and its quality and provenance had no fixed fields.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field, JsonValue

from fetusmap.anatomy import (
    Pose,
    Provenance,
    Quality,
    Review,
    Skeleton,
    built_in_skeleton,
    plain_from_skeleton,
    skeleton_from_entry,
)
from fetusmap.anatomy.skeleton_file import SkeletonDocument
from fetusmap.errors import BadInput, errors_about
from fetusmap.files.documents import (
    MAX_JSON_BYTES,
    Document,
    Number,
    Position,
    Version1,
    parse_document,
    refuse_newer,
)
from fetusmap.files.writing import write_text

VERSION = 2
SCHEMA_FOLDER = Path(__file__).with_name("schemas")

Confidence = Annotated[Number, Field(ge=0, le=1)]
RecordT = TypeVar("RecordT", Quality, Provenance)


class LandmarkPosition(Document):
    """One landmark; its position is null if the landmark is absent.

    A review says what a person did to the landmark.
    """

    name: str
    position: Position | None
    confidence: Confidence
    review: Review = "machine"


class SegmentLength(Document):
    """Length of one segment, computed from the landmarks; null if an end is absent."""

    name: str
    length_mm: Number | None


class _PoseBase(Document):
    """The fields that all versions of `pose.json` share."""

    format: Literal["fetusmap-pose"]
    coordinate_system: Literal["LPS"]
    unit: Literal["mm"]
    landmarks: tuple[LandmarkPosition, ...]
    segments: tuple[SegmentLength, ...] = ()


class Version1PoseDocument(_PoseBase):
    """Version 1 of `pose.json`: its skeleton is only named."""

    model_config = ConfigDict(title="PoseDocument")

    version: Version1
    skeleton: str
    quality: dict[str, JsonValue] = Field(default_factory=dict)
    provenance: dict[str, JsonValue] = Field(default_factory=dict)


def _record(kind: type[RecordT]) -> BeforeValidator:
    """Return a validator that moves fields of other programs and later versions into the notes."""
    return BeforeValidator(
        lambda value: kind.with_notes(value) if isinstance(value, Mapping) else value
    )


class PoseDocument(_PoseBase):
    """A pose in world coordinates (left-posterior-superior, millimetres) with its skeleton."""

    version: Literal[2]
    quality: Annotated[Quality, _record(Quality)] = Field(default_factory=Quality)
    provenance: Annotated[Provenance, _record(Provenance)] = Field(default_factory=Provenance)
    skeleton: SkeletonDocument


def plain_from_pose(pose: Pose) -> dict[str, Any]:
    """Return the plain data of a `pose.json`, version 2, ready for JSON.

    Raises:
        BadInput: JSON cannot hold the quality or the provenance of the pose.
    """
    plain = {
        "format": "fetusmap-pose",
        "version": VERSION,
        "coordinate_system": "LPS",
        "unit": "mm",
        "landmarks": [
            {
                "name": landmark.name,
                "position": landmark.position_mm.tolist() if landmark.is_present else None,
                "confidence": landmark.confidence,
                **({} if landmark.review == "machine" else {"review": landmark.review}),
            }
            for landmark in pose
        ],
        "segments": [
            {"name": name, "length_mm": length if np.isfinite(length) else None}
            for name, length in pose.lengths_mm().items()
        ],
        "quality": pose.quality.plain(),
        "provenance": pose.provenance.plain(),
        "skeleton": plain_from_skeleton(pose.skeleton),
    }
    parse_document(PoseDocument, plain, "pose")
    return plain


def pose_from_plain(
    data: object, skeleton: Skeleton | None = None, subject: object = "pose"
) -> Pose:
    """Build a pose from the plain data of a `pose.json` of any version.

    Args:
        data: plain data, as `plain_from_pose` returns it.
        skeleton: skeleton that the pose must have. It is needed only for version 1, and only if
            the skeleton is not built in.
        subject: names the data in errors.

    Raises:
        BadInput: the data is not a pose, its version is newer than this package, or its skeleton
            is not the given one.
    """
    refuse_newer(data, VERSION, subject)
    if isinstance(data, dict) and data.get("version") != 1:
        document = parse_document(PoseDocument, data, subject)
        own = skeleton_from_entry(document.skeleton, subject)
        skeleton = _agreed(own, skeleton, subject)
        return _pose(document, skeleton, document.quality, document.provenance, subject)
    first = parse_document(Version1PoseDocument, data, subject)
    skeleton = skeleton or built_in_skeleton(first.skeleton, subject)
    if first.skeleton != skeleton.name:
        raise _other_skeleton(skeleton, first.skeleton, subject)
    quality = Quality.from_plain(first.quality)
    return _pose(first, skeleton, quality, Provenance.from_plain(first.provenance), subject)


def _agreed(own: Skeleton, given: Skeleton | None, subject: object) -> Skeleton:
    """Return the given skeleton if positions mean the same in it as in the file's own one.

    The rest of a definition, such as angles and colours, is taken from the given skeleton.
    """
    if given is None:
        return own
    if own.name != given.name:
        raise _other_skeleton(given, own.name, subject)
    sides = [(set(s.landmarks), set(s.mirror_pairs), set(s.segments)) for s in (own, given)]
    if sides[0] != sides[1]:
        raise _other_skeleton(given, f"another definition of {own.name}", subject)
    return given


def _other_skeleton(expected: Skeleton, found: str, subject: object) -> BadInput:
    return BadInput(
        subject,
        expected=f"a pose of the skeleton {expected.name}",
        found=f"a pose of {found}",
        remedy="load it with its own skeleton, or without naming one",
    )


def _pose(
    document: _PoseBase,
    skeleton: Skeleton,
    quality: Quality,
    provenance: Provenance,
    subject: object,
) -> Pose:
    names = [entry.name for entry in document.landmarks]
    if sorted(names) != sorted(skeleton.landmarks):
        wrong = sorted(set(names) ^ set(skeleton.landmarks))
        raise BadInput(
            subject,
            expected=f"each landmark of {skeleton.name} once",
            found=f"{wrong[0]!r}, missing or unknown" if wrong else "a landmark twice",
            remedy="give an absent landmark the position null",
        )
    by_name = {entry.name: entry for entry in document.landmarks}
    entries = [by_name[name] for name in skeleton.landmarks]
    with errors_about(subject):
        return Pose(
            skeleton,
            np.array([e.position or (np.nan,) * 3 for e in entries], dtype=np.float64),
            np.array([e.confidence for e in entries]),
            quality=quality,
            provenance=provenance,
            review=tuple(e.review for e in entries),
        )


def write_pose_json(pose: Pose, path: Path, *, overwrite: bool = True) -> None:
    """Write a `pose.json` atomically; numbers read back equal to the last bit.

    The definition of the skeleton is written in one line, the last one, so that the landmarks come
    first for a person who reads the file.
    """
    plain = plain_from_pose(pose)
    skeleton = json.dumps(plain.pop("skeleton"), allow_nan=False)
    text = json.dumps(plain, indent=2, allow_nan=False)
    text = text.removesuffix("\n}") + f',\n  "skeleton": {skeleton}\n}}\n'
    write_text(path, text, overwrite=overwrite, max_bytes=MAX_JSON_BYTES)


def pose_schema(version: Literal[1, 2] = 2) -> dict[str, Any]:
    """Return the published JSON Schema of a version of `pose.json`."""
    path = SCHEMA_FOLDER / f"fetusmap-pose-{version}.schema.json"
    schema: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return schema


def schema_from_model() -> dict[str, Any]:
    """Return the JSON Schema that the current version's model implies."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"fetusmap-pose-{VERSION}",
        **PoseDocument.model_json_schema(),
    }

"""Our own pose file, `pose.json`: strict, versioned, with a published JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, JsonValue

from fetusmap.anatomy import Pose, Provenance, Quality, Skeleton, built_in_skeleton
from fetusmap.errors import BadInput, errors_about
from fetusmap.files.documents import (
    MAX_JSON_BYTES,
    Document,
    Number,
    Position,
    Version1,
    parse_document,
    read_json,
)
from fetusmap.files.writing import write_text

SCHEMA_PATH = Path(__file__).with_name("schemas") / "fetusmap-pose-1.schema.json"

Confidence = Annotated[Number, Field(ge=0, le=1)]


class LandmarkEntry(Document):
    """One landmark; position null when it is absent."""

    name: str
    position: Position | None
    confidence: Confidence


class SegmentEntry(Document):
    """One segment's length, derived from the landmarks; null when an end is absent."""

    name: str
    length_mm: Number | None


class PoseDocument(Document):
    """A pose in world coordinates, left-posterior-superior, millimetres."""

    format: Literal["fetusmap-pose"]
    version: Version1
    skeleton: str
    coordinate_system: Literal["LPS"]
    unit: Literal["mm"]
    landmarks: tuple[LandmarkEntry, ...]
    segments: tuple[SegmentEntry, ...] = ()
    quality: dict[str, JsonValue] = Field(default_factory=dict)
    provenance: dict[str, JsonValue] = Field(default_factory=dict)


def plain_from_pose(pose: Pose) -> dict[str, Any]:
    """The plain data of a pose file, ready for JSON.

    Raises:
        BadInput: a quality or provenance that JSON cannot hold.
    """
    plain = {
        "format": "fetusmap-pose",
        "version": 1,
        "skeleton": pose.skeleton.name,
        "coordinate_system": "LPS",
        "unit": "mm",
        "landmarks": [
            {
                "name": landmark.name,
                "position": landmark.position_mm.tolist() if landmark.is_present else None,
                "confidence": landmark.confidence,
            }
            for landmark in pose
        ],
        "segments": [
            {"name": name, "length_mm": length if np.isfinite(length) else None}
            for name, length in pose.lengths_mm().items()
        ],
        "quality": pose.quality.plain(),
        "provenance": pose.provenance.plain(),
    }
    return parse_document(PoseDocument, plain, "pose").model_dump(mode="json")


def pose_from_plain(
    data: object, skeleton: Skeleton | None = None, subject: object = "pose"
) -> Pose:
    """Build a pose from the plain data of a pose file.

    Args:
        data: as `plain_from_pose` gives it.
        skeleton: needed when the file's skeleton is not built in.
        subject: names the data in errors.

    Raises:
        BadInput: data that is no pose, or a pose of another skeleton.
    """
    document = parse_document(PoseDocument, data, subject)
    skeleton = skeleton or built_in_skeleton(document.skeleton, subject)
    if document.skeleton != skeleton.name:
        raise BadInput(
            subject,
            expected=f"a pose of {skeleton.name}",
            found=f"one of {document.skeleton}",
            remedy="load it with its own skeleton",
        )
    names = [entry.name for entry in document.landmarks]
    if sorted(names) != sorted(skeleton.landmarks):
        odd = sorted(set(names) ^ set(skeleton.landmarks)) or ["one of them twice"]
        raise BadInput(
            subject,
            expected=f"each landmark of {skeleton.name} once",
            found=f"not so: {odd[0]}",
            remedy="give an absent landmark the position null",
        )
    by_name = {entry.name: entry for entry in document.landmarks}
    entries = [by_name[name] for name in skeleton.landmarks]
    with errors_about(subject):
        return Pose(
            skeleton,
            np.array([e.position or (np.nan,) * 3 for e in entries], dtype=np.float64),
            np.array([e.confidence for e in entries]),
            quality=Quality.from_plain(document.quality),
            provenance=Provenance.from_plain(document.provenance),
        )


def read_pose_json(path: Path, skeleton: Skeleton | None = None) -> Pose:
    """Read a `pose.json`."""
    return pose_from_plain(read_json(path), skeleton, path)


def write_pose_json(pose: Pose, path: Path, *, overwrite: bool = True) -> None:
    """Write a `pose.json`, atomically; numbers read back equal to the last bit."""
    text = json.dumps(plain_from_pose(pose), indent=2, allow_nan=False) + "\n"
    write_text(path, text, overwrite=overwrite, max_bytes=MAX_JSON_BYTES)


def pose_schema() -> dict[str, Any]:
    """The JSON Schema of `pose.json`, as published in the package."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "fetusmap-pose-1",
        **PoseDocument.model_json_schema(),
    }

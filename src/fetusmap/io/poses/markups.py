"""3D Slicer markups, `.mrk.json`, schema 1.0.3: one list of points and one line per segment.

The list holds the landmarks, and only the list is read back: points that were dragged in Slicer are
read as annotations. The lines are for display. The description of a point holds its confidence,
its position when it was written, and its review. A point that lies elsewhere when it is read was
moved by a person; one that was written without a position was placed; one that was written with a
position and has none any more was marked as absent.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from fetusmap.anatomy import Pose, PosedLandmark, Review, Skeleton, built_in_skeleton_for
from fetusmap.anatomy.pose import REVIEWS
from fetusmap.anatomy.skeleton import Segment, Side
from fetusmap.errors import BadInput
from fetusmap.files.documents import Position, parse_document, read_json
from fetusmap.files.writing import write_text
from fetusmap.geometry import LPS_FROM_RAS, apply_affine
from fetusmap.types import FloatArray

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
    "Resources/Schema/markups-schema-v1.0.3.json#"
)
MAX_ENTRIES = 10_000
"""Markups of a file, and points of a markup; far more than an annotation has."""

MAX_ROUNDING_MM = 1e-3
"""Distance up to which a point counts as not moved by a person."""

MM_PER_UNIT = {"mm": 1.0, "um": 0.001}

NOWHERE = "nan nan nan"
DESCRIPTION = re.compile(r"confidence ([0-9.e+-]+) at (.*?)(?:, review ([a-z]+))?")
"""How this package describes a point: confidence, position when it was written, and review."""


class _SlicerPart(BaseModel):
    """Base of the models. Slicer writes many more keys than are used here; they are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class ControlPoint(_SlicerPart):
    """One point of a markup."""

    label: str = ""
    description: str = ""
    position: Position | None = None
    positionStatus: str = "defined"  # noqa: N815


class Markup(_SlicerPart):
    """One markup of a file."""

    type: str
    coordinateSystem: Literal["LPS", "RAS"] = "LPS"  # noqa: N815
    coordinateUnits: str | tuple[str, str, str] = "mm"  # noqa: N815
    controlPoints: Annotated[  # noqa: N815
        tuple[ControlPoint, ...], Field(max_length=MAX_ENTRIES, fail_fast=True)
    ] = ()


class MarkupsDocument(_SlicerPart):
    """A Slicer markups file."""

    markups: Annotated[tuple[Markup, ...], Field(max_length=MAX_ENTRIES, fail_fast=True)]

    @property
    def point_lists(self) -> tuple[Markup, ...]:
        """The markups that hold landmarks."""
        return tuple(markup for markup in self.markups if markup.type == "Fiducial")


def read_markups(path: Path, skeleton: Skeleton | None = None) -> Pose:
    """Read the landmarks of a markups file.

    Points are found by their labels in the file's point lists; a landmark without a point, or with
    an undefined one, is absent. Lines and other markups are ignored. Without a skeleton,
    it is the built-in one that has the landmarks of the file.

    Raises:
        BadInput: there is no point list, a label is not a landmark or appears twice, or the unit is
            neither mm nor um.
    """
    return pose_from_markups(read_json(path), skeleton, path)


def read_labels(path: Path) -> list[str]:
    """Read the labels of all points in the point lists of a markups file."""
    return _labels(parse_document(MarkupsDocument, read_json(path), path))


def write_markups(pose: Pose, path: Path, *, overwrite: bool = True) -> None:
    """Write a markups file for 3D Slicer atomically; the pose reads back equal."""
    text = json.dumps(markups_from_pose(pose), indent=1, allow_nan=False)
    write_text(path, text + "\n", overwrite=overwrite)


def pose_from_markups(
    data: object, skeleton: Skeleton | None = None, subject: object = "markups"
) -> Pose:
    """Build a pose from the plain data of a markups file."""
    document = parse_document(MarkupsDocument, data, subject)
    skeleton = skeleton or built_in_skeleton_for(_labels(document))
    positions = np.full((len(skeleton), 3), np.nan)
    confidence = np.zeros(len(skeleton))
    review: list[Review] = ["machine"] * len(skeleton)
    seen: set[str] = set()
    for markup in document.point_lists:
        for point in markup.controlPoints:
            _check_label(point.label, skeleton, seen, subject)
            seen.add(point.label)
            row = skeleton.index(point.label)
            if point.positionStatus == "defined" and point.position is not None:
                positions[row] = _world_position(markup, point.position, subject)
            confidence[row], review[row] = _described(point.description, positions[row])
    if not seen:
        raise BadInput(
            subject,
            expected="a point list (type Fiducial) with landmark labels",
            found="none",
            remedy=f"label the points with the landmarks of {skeleton.name}",
        )
    return Pose(skeleton, positions, confidence, review=tuple(review))


def _labels(document: MarkupsDocument) -> list[str]:
    return [point.label for markup in document.point_lists for point in markup.controlPoints]


def markups_from_pose(pose: Pose) -> dict[str, Any]:
    """Return the plain data of a markups file, ready for JSON."""
    skeleton = pose.skeleton
    points = {
        "type": "Fiducial",
        "name": skeleton.name,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "fixedNumberOfControlPoints": True,
        "labelFormat": "%N-%d",
        "controlPoints": [_control_point(n, landmark) for n, landmark in enumerate(pose, 1)],
        "display": _display(skeleton, "midline"),
    }
    return {"@schema": SCHEMA, "markups": [points, *(_line(pose, s) for s in skeleton.segments)]}


def _line(pose: Pose, segment: Segment) -> dict[str, Any]:
    """Return one segment as a Slicer line in the colour of its side."""
    ends = [pose[segment.start], pose[segment.end]]
    return {
        "type": "Line",
        "name": segment.name,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": True,
        "fixedNumberOfControlPoints": True,
        "labelFormat": "%N-%d",
        "controlPoints": [_control_point(n, end) for n, end in enumerate(ends, 1)],
        "display": _display(pose.skeleton, pose.skeleton.segment_side(segment)),
    }


def _control_point(number: int, landmark: PosedLandmark) -> dict[str, Any]:
    position = landmark.position_mm.tolist() if landmark.is_present else [0.0, 0.0, 0.0]
    where = _text(position) if landmark.is_present else NOWHERE
    review = "" if landmark.review == "machine" else f", review {landmark.review}"
    return {
        "id": str(number),
        "label": landmark.name,
        "description": f"confidence {landmark.confidence!r} at {where}{review}",
        "associatedNodeID": "",
        "position": position,
        "orientation": [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0],
        "selected": True,
        "locked": False,
        "visibility": True,
        "positionStatus": "defined" if landmark.is_present else "undefined",
    }


def _display(skeleton: Skeleton, side: Side) -> dict[str, Any]:
    color = skeleton.color(side)
    rgb = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    return {
        "visibility": True,
        "opacity": 1.0,
        "color": rgb,
        "selectedColor": rgb,
        "activeColor": [0.4, 1.0, 0.0],
        "propertiesLabelVisibility": False,
        "pointLabelsVisibility": side == "midline",
        "textScale": 2.0,
        "glyphType": "Sphere3D",
        "glyphScale": 1.5,
        "useGlyphScale": True,
    }


def _check_label(label: str, skeleton: Skeleton, seen: set[str], subject: object) -> None:
    if label in skeleton.landmarks and label not in seen:
        return
    raise BadInput(
        subject,
        expected=f"each label once, and a landmark of {skeleton.name}",
        found=f"{label!r}" + (" twice" if label in seen else ""),
        remedy="rename the point in Slicer, or give your own skeleton file",
    )


def _world_position(
    markup: Markup, position: tuple[float, float, float], subject: object
) -> FloatArray:
    units = markup.coordinateUnits
    # The long form is (code, scheme, meaning), such as ("mm", "UCUM", "millimeter").
    named = {units} if isinstance(units, str) else {units[0], *(set(units) & set(MM_PER_UNIT))}
    if len(named) > 1 or not named <= set(MM_PER_UNIT):
        raise BadInput(
            subject,
            expected="coordinates in mm or um",
            found=repr(units),
            remedy="save the markups again with Slicer's default unit",
        )
    point = np.array(position) * MM_PER_UNIT[named.pop()]
    return apply_affine(LPS_FROM_RAS, point) if markup.coordinateSystem == "RAS" else point


def _described(description: str, position_mm: FloatArray) -> tuple[float, Review]:
    """Return confidence and review of a point from its description and its present position."""
    is_present = bool(np.isfinite(position_mm).all())
    match = DESCRIPTION.fullmatch(description.strip())
    try:
        value, *place = map(float, f"{match[1]} {match[2]}".split()) if match else (-1.0,)
    except ValueError:
        value, place = -1.0, []
    if match is None or not 0 <= value <= 1 or len(place) != 3:
        return float(is_present), "machine"  # the description is not ours
    was_present = bool(np.isfinite(place).all())
    known: dict[str, Review] = {word: word for word in REVIEWS}
    review = known.get(match[3], "machine")
    if not is_present:
        # Earlier versions wrote an absent landmark as one at the origin, with confidence 0.
        return 0.0, "absent" if was_present and value > 0 else review
    if not was_present:
        return 1.0, "placed"
    if not np.allclose(place, position_mm, rtol=0, atol=MAX_ROUNDING_MM):
        return 1.0, "placed" if review == "placed" else "moved"
    return value, review


def _text(position: list[float]) -> str:
    return " ".join(repr(v) for v in position)

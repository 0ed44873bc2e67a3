"""3D Slicer markups, `.mrk.json`, schema 1.0.3: one list of points and one line per segment.

The list holds the landmarks, and only the list is read back: points that were dragged in Slicer are
read as annotations. The lines are for display.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from fetusmap.anatomy import Pose, PosedLandmark, Skeleton
from fetusmap.anatomy.skeleton import Segment, Side
from fetusmap.errors import BadInput
from fetusmap.files.documents import OptionalPosition, parse_document, read_json
from fetusmap.files.writing import write_text
from fetusmap.geometry import LPS_FROM_RAS, apply_affine
from fetusmap.io.poses.named_points import NamedPoint, describe, pose_of_points
from fetusmap.types import FloatArray

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
    "Resources/Schema/markups-schema-v1.0.3.json#"
)
MAX_ENTRIES = 10_000
"""Markups of a file, and points of a markup; far more than an annotation has."""

MM_PER_UNIT = {"mm": 1.0, "um": 0.001}


class _SlicerPart(BaseModel):
    """Base of the models. Slicer writes many more keys than are used here; they are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class ControlPoint(_SlicerPart):
    """One point of a markup."""

    label: str = ""
    description: str = ""
    position: OptionalPosition = None
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
    """Read the landmarks of a markups file, see `pose_from_markups`."""
    return pose_from_markups(read_json(path), skeleton, path)


def write_markups(pose: Pose, path: Path, *, overwrite: bool = True) -> None:
    """Write a markups file for 3D Slicer atomically; the pose reads back equal."""
    text = json.dumps(markups_from_pose(pose), indent=1, allow_nan=False)
    write_text(path, text + "\n", overwrite=overwrite)


def pose_from_markups(
    data: object,
    skeleton: Skeleton | None = None,
    subject: object = "markups",
    landmarks: Sequence[str] | None = None,
) -> Pose:
    """Build a pose from the plain data of a markups file.

    Lines and other markups are ignored, and so is a point that is not defined.

    Args:
        data: the plain data.
        skeleton: skeleton of the pose, see `pose_of_points`.
        subject: the file, for errors.
        landmarks: names of the points in their order, see `pose_of_points`.

    Raises:
        BadInput: there is no point list, the unit is neither mm nor um, or see `pose_of_points`.
    """
    return pose_of_points(points_of_markups(data, subject), skeleton, subject, landmarks)


def points_of_markups(data: object, subject: object) -> list[NamedPoint]:
    """Return the points of all point lists in the plain data of a markups file."""
    document = parse_document(MarkupsDocument, data, subject)
    return [
        NamedPoint(
            point.label,
            _world_position(markup, point.position, subject)
            if point.positionStatus == "defined" and point.position is not None
            else None,
            point.description,
        )
        for markup in document.point_lists
        for point in markup.controlPoints
    ]


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
    return {
        "id": str(number),
        "label": landmark.name,
        "description": describe(landmark),
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

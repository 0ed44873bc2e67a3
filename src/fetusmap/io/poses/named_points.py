"""Points of 3D Slicer, with labels and descriptions, and the pose that they are.

The description of a point holds its confidence, its position when it was written, and its review. A
point that lies elsewhere when it is read was moved by a person; one that was written without a
position was placed; one that was written with a position and has none any more was marked as
absent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fetusmap.anatomy import Pose, PosedLandmark, Review, Skeleton, built_in_skeleton_for
from fetusmap.anatomy.landmark_names import matching_landmark
from fetusmap.anatomy.pose import REVIEWS
from fetusmap.errors import BadInput
from fetusmap.types import FloatArray

MAX_UNMOVED_MM = 1e-3
"""Distance up to which a point counts as not moved by a person."""

DEFAULT_LABEL = re.compile(r"([A-Za-z]{0,2}|[A-Za-z ]*(Fiducial|List|Point)s?)[ _-]?[0-9]+")
"""Labels that 3D Slicer gives by itself, such as F-1, F_1, P-12 or MarkupsFiducial-3."""

NOWHERE = "nan nan nan"
DESCRIPTION = re.compile(r"confidence ([0-9.e+-]+) at (.*?)(?:, review ([a-z]+))?")
"""How this package describes a point: confidence, position when it was written, and review."""


@dataclass(frozen=True, eq=False)
class NamedPoint:
    """One point of a list.

    Attributes:
        label: its name.
        position_mm: (3,) LPS mm, or None if it is not defined.
        description: confidence, position when written, and review, if this package wrote it.
    """

    label: str
    position_mm: FloatArray | None
    description: str = ""


def pose_of_points(
    points: Sequence[NamedPoint],
    skeleton: Skeleton | None,
    subject: object,
    landmarks: Sequence[str] | None = None,
) -> Pose:
    """Build a pose from named points; a landmark without a point is absent.

    Capitals, blanks, hyphens and underscores of a label do not matter.

    Args:
        points: the points.
        skeleton: skeleton of the pose; None for the built-in one that has the landmarks.
        subject: the file, for errors.
        landmarks: names of the points in the order in which they were placed, which replace their
            labels; None to use the labels.

    Raises:
        BadInput: there is no point, a label is not a landmark or appears twice, or the number of
            names is not that of the points.
    """
    if landmarks is not None:
        points = _renamed(points, landmarks, subject)
    skeleton = skeleton or built_in_skeleton_for(point.label for point in points)
    positions = np.full((len(skeleton), 3), np.nan)
    confidence = np.zeros(len(skeleton))
    review: list[Review] = ["machine"] * len(skeleton)
    seen: set[str] = set()
    for point in points:
        name = _landmark_of(point.label, skeleton, seen, subject)
        seen.add(name)
        row = skeleton.index(name)
        if point.position_mm is not None:
            positions[row] = point.position_mm
        confidence[row], review[row] = _described(point.description, positions[row])
    if not seen:
        raise BadInput(
            subject,
            expected="a point list (type Fiducial) with landmark labels",
            found="none",
            remedy=f"label the points with the landmarks of {skeleton.name}",
        )
    return Pose(skeleton, positions, confidence, review=tuple(review))


def _renamed(
    points: Sequence[NamedPoint], landmarks: Sequence[str], subject: object
) -> list[NamedPoint]:
    if len(points) != len(landmarks):
        raise BadInput(
            subject,
            expected=f"{len(landmarks)} points, one for each name of --landmarks",
            found=f"{len(points)}",
            remedy="name the points in Slicer, or give as many names as there are points",
        )
    return [replace(p, label=name) for p, name in zip(points, landmarks, strict=True)]


def _landmark_of(label: str, skeleton: Skeleton, seen: set[str], subject: object) -> str:
    name = matching_landmark(label, skeleton)
    if name is not None and name not in seen:
        return name
    if name is None and DEFAULT_LABEL.fullmatch(label):
        raise BadInput(
            subject,
            expected=f"points that are named after the landmarks of {skeleton.name}",
            found=f"{label!r}, a name that 3D Slicer gives by itself",
            remedy="rename the points in Slicer, or give their names in the order in which they "
            "were placed with --landmarks NAME,NAME,...",
        )
    raise BadInput(
        subject,
        expected=f"each label once, and a landmark of {skeleton.name}",
        found=f"{label!r}" + (" twice" if name in seen else ""),
        remedy="rename the point in Slicer, or give your own skeleton file",
    )


def describe(landmark: PosedLandmark) -> str:
    """Return the description of a point, from which confidence and review are read back."""
    where = " ".join(repr(v) for v in landmark.position_mm.tolist())
    review = "" if landmark.review == "machine" else f", review {landmark.review}"
    return f"confidence {landmark.confidence!r} at {where}{review}"


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
    if not np.allclose(place, position_mm, rtol=0, atol=MAX_UNMOVED_MM):
        return 1.0, "placed" if review == "placed" else "moved"
    return value, review

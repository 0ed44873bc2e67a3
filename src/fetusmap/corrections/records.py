"""One line of the log of corrections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from fetusmap.anatomy import Review
from fetusmap.anatomy.pose import MAX_COORDINATE_MM
from fetusmap.files import Document, Number

Action = Literal[
    "move", "absent", "outside", "accept", "accept_case", "exchange", "reset", "ask", "import",
    "problem", "reopen", "undo", "redo",
]  # fmt: skip
"""What a line of the log records:

move         a landmark was moved, or placed where it was missing
absent       a landmark is not in the volume; `outside`: it lies outside of the volume
accept       landmarks are right as they are; `accept_case`: the whole case is
exchange     left and right of some mirror pairs, or of the whole body, were exchanged
reset        landmarks are as predicted again
ask          the machine placed the landmarks that no person had reviewed
import       landmarks come from a file that a person edited in another program
problem      the case cannot be annotated; `reopen`: it is to be done after all
undo, redo   an earlier line does not count any more; it counts again
"""

MAX_AUTHOR_CHARACTERS = 80
MAX_NOTE_CHARACTERS = 1000

Coordinate = Annotated[Number, Field(ge=-MAX_COORDINATE_MM, le=MAX_COORDINATE_MM)]
Line = StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")
Author = Annotated[str, Line, Field(min_length=1, max_length=MAX_AUTHOR_CHARACTERS)]
Note = Annotated[str, Line, Field(max_length=MAX_NOTE_CHARACTERS)]
Identifier = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class LandmarkState(Document):
    """Where a landmark is after a correction.

    Attributes:
        position: LPS mm; null if the landmark is absent.
        confidence: 1 for what a person reviewed, 0 for an absent landmark.
        review: what a person did to it.
    """

    position: tuple[Coordinate, Coordinate, Coordinate] | None
    confidence: Annotated[Number, Field(ge=0, le=1)] = 1.0
    review: Review

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.review != "machine" and (self.position is None) != (self.review == "absent"):
            raise ValueError("only an absent landmark has no position")
        return self


class Correction(Document):
    """One line of the log.

    The landmarks that an action changed are stored as they are afterwards. So a line means the same
    whatever the prediction is, and a later prediction changes only landmarks that no line names.

    Attributes:
        id: random; equal lines of two copies of a log are the same action.
        time: ISO 8601, UTC.
        author: the name that the person chose.
        action: see `Action`.
        landmarks: the changed landmarks by name.
        note: words of the person.
        base_sha256: hash of the prediction that the person saw, see `pose_sha256`.
        target: of `undo` and `redo` the identifier of the line.
    """

    id: Identifier
    time: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$")]
    author: Author
    action: Action
    landmarks: Annotated[Mapping[str, LandmarkState], Field(max_length=1000)] = Field(
        default_factory=dict
    )
    note: Note = ""
    base_sha256: str = ""
    target: Identifier | None = None

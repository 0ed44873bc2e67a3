"""The JSON of requests and answers. OpenAPI describes the interface with these models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from fetusmap.anatomy import Review, Side
from fetusmap.corrections import Action, Author, Coordinate, Note
from fetusmap.serve.jobs import JobState

CaseState = Literal["todo", "done", "problem", "new", "failed"]
Point = tuple[Coordinate, Coordinate, Coordinate]


class Model(BaseModel):
    """Base of the models: an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Landmark(Model):
    """One landmark of a pose: LPS mm, null if it is absent."""

    name: str
    position: tuple[float, float, float] | None
    confidence: float
    review: Review


class SkeletonLandmark(Model):
    """A landmark of the skeleton: its side, its partner, its limb, and its colour."""

    name: str
    side: Side
    partner: str | None
    limb: str | None
    color: str


class SkeletonSegment(Model):
    """A segment of the skeleton."""

    name: str
    start: str
    end: str
    side: Side
    color: str


class Skeleton(Model):
    """What a viewer needs to know of the skeleton."""

    name: str
    landmarks: list[SkeletonLandmark]
    segments: list[SkeletonSegment]


class Measure(Model):
    """A measurement of the corrected pose; null if a landmark that it needs is absent."""

    kind: str
    name: str
    value: float | None
    unit: str


class Entry(Model):
    """A line of the log of corrections; `counts` is false for what was undone."""

    id: str
    time: str
    author: str
    action: Action
    landmarks: list[str]
    note: str
    counts: bool


class History(Model):
    """What was corrected, and what the person who asks can undo and redo."""

    entries: list[Entry]
    authors: list[str]
    undo: Action | None
    redo: Action | None
    damaged_lines: int
    disagreements: list[str]
    prediction_changed: bool


class CaseItem(Model):
    """A case in the work list."""

    name: str
    state: CaseState
    quality: float | None
    reasons: str
    warnings: str
    authors: list[str]
    note: str


class CaseList(Model):
    """A page of the work list, with the number of cases in each state of the whole list."""

    total: int
    offset: int
    counts: dict[CaseState, int]
    cases: list[CaseItem]


class CaseDetail(Model):
    """Everything about a case but its voxels."""

    name: str
    state: CaseState
    note: str
    error: str
    has_volume: bool
    has_page: bool
    volume_key: str
    quality: float | None
    fetus: float | None
    sides: float | None
    reasons: list[str]
    warnings: list[str]
    changes: list[str]
    skeleton: Skeleton
    prediction: list[Landmark]
    pose: list[Landmark]
    measurements: list[Measure]
    history: History


class CorrectionRequest(Model):
    """A correction: who does what to which landmarks.

    move              one landmark, and its new `position`
    absent, outside   landmarks that the volume does not show
    accept            landmarks that are right; `accept_case`: all
    exchange          left and right of the limbs of these landmarks; of the whole body without any
    reset             landmarks as predicted; all without any
    problem, reopen   the state of the case, with a `note`
    """

    author: Author
    action: Literal[
        "move", "absent", "outside", "accept", "accept_case", "exchange", "reset", "problem",
        "reopen",
    ]  # fmt: skip
    landmarks: Annotated[list[str], Field(max_length=1000)] = []
    position: Point | None = None
    note: Note = ""


class AuthorRequest(Model):
    """Who undoes, redoes or asks."""

    author: Author


class JobItem(Model):
    """A prediction that waits, runs, or ended.

    `place` counts the jobs that come before it, itself included; `expected_seconds` is the median
    of those that ended well, null before the first one.
    """

    id: str
    case: str
    state: JobState
    place: int
    seconds: float
    expected_seconds: float | None
    error: str


class JobList(Model):
    """The jobs, the latest first."""

    jobs: list[JobItem]


class Uploaded(Model):
    """The case that an upload became, and the job that predicts it."""

    case: str
    job: JobItem


class ServerStatus(Model):
    """What the server serves."""

    fetusmap: str
    name: str
    kind: Literal["results", "dataset"]
    can_predict: bool
    cases: int
    max_upload_bytes: int
    waiting_jobs: int


class Problem(Model):
    """Why a request was refused, in one line."""

    error: str

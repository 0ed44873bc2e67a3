"""Questions with pins, as the process with the estimator answers them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fetusmap.anatomy import Pose, Review
from fetusmap.io import Conversion, ReadLimits, Source, load_volume
from fetusmap.scale import PredictionSettings, load_estimator
from fetusmap.session import Session
from fetusmap.types import Triple

MAX_SESSIONS = 4
"""Volumes that stay prepared for questions; each takes about 100 MB."""


@dataclass(frozen=True)
class Question:
    """A question to a `Session`: which pose agrees with these landmarks?

    Attributes:
        source: the volume.
        file_key: changes with the content of the volume's file.
        spacing_mm: replaces the spacing of the file.
        conversion: how beams are converted.
        limits: limits for reading the volume.
        pins: position (LPS mm) and review of each pinned landmark, by its name.
    """

    source: Source
    file_key: str
    spacing_mm: Triple | None = None
    conversion: Conversion = field(default_factory=Conversion)
    limits: ReadLimits = field(default_factory=ReadLimits)
    pins: Mapping[str, tuple[Triple, Review]] = field(default_factory=dict)


_SESSIONS: OrderedDict[tuple[Any, ...], Session] = OrderedDict()


def answer_question(settings: PredictionSettings, question: Question) -> Pose:
    """Answer a question; the volumes of the latest questions stay prepared.

    Raises:
        BadInput: the volume cannot be read, or a pin is no landmark.
    """
    session = _session(settings, question)
    known = set(load_estimator(settings).pipeline.skeleton.landmarks)
    for landmark in [*session.pins]:
        session.unpin(landmark)
    for landmark, (position_mm, review) in question.pins.items():
        if landmark in known:
            session.pin(landmark, position_mm, review)
    return session.solve()


def prepare_volume(settings: PredictionSettings, question: Question) -> None:
    """Load the estimator and prepare a volume, so that the first answer comes soon.

    Raises:
        BadInput: the volume cannot be read.
    """
    _session(settings, question)


def _session(settings: PredictionSettings, question: Question) -> Session:
    estimator = load_estimator(settings)
    key = (estimator.model_sha256, question.source, question.file_key)
    session = _SESSIONS.pop(key, None)
    if session is None:
        session = estimator.session(
            load_volume(
                question.source,
                spacing_mm=question.spacing_mm,
                conversion=question.conversion,
                limits=question.limits,
            )
        )
    _SESSIONS[key] = session
    while len(_SESSIONS) > MAX_SESSIONS:
        _SESSIONS.popitem(last=False)
    return session

"""One process that holds the estimator: it predicts files and answers questions with pins.

The process is separate from the server for three reasons. A volume that kills it (not enough
memory, a crash in a library) does not kill the server; work can be stopped at any moment; and two
pieces of work never compete for the processor. It starts with the first piece of work.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from fetusmap.anatomy import Pose, Review
from fetusmap.errors import FetusmapError, ResourceError
from fetusmap.io import Conversion, ReadLimits, Source, load_volume
from fetusmap.scale import (
    CaseResult,
    PredictionSettings,
    VolumeFile,
    load_estimator,
    predict_case,
    write_summary,
)
from fetusmap.session import Session
from fetusmap.types import Triple

ResultT = TypeVar("ResultT")

MAX_SESSIONS = 4
"""Volumes that stay prepared for questions; each takes about 100 MB."""

CHECK_EVERY_S = 0.05


class Stopped(FetusmapError):
    """Work was stopped before its end, because someone cancelled it."""


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


class Engine:
    """Runs functions in one process, one at a time; urgent ones go before those that wait."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._busy = False
        self._urgent = 0
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    def call(
        self,
        function: Callable[[], ResultT],
        *,
        timeout_s: float,
        urgent: bool = False,
        cancelled: threading.Event | None = None,
    ) -> ResultT:
        """Call a function in the process and return its result.

        Args:
            function: importable by name, such as a `partial` of a function of this module.
            timeout_s: time for the work; waiting for a turn takes as long again at most, if urgent.
            urgent: go before everything else that waits.
            cancelled: stops the work when it is set.

        Raises:
            ResourceError: the time is over, or the process was killed.
            Stopped: the work was cancelled.
            FetusmapError: what the function raises.
        """
        self._take_turn(timeout_s if urgent else None, urgent, cancelled)
        try:
            return self._call(function, timeout_s, cancelled or threading.Event())
        finally:
            with self._turn:
                self._busy = False
                self._turn.notify_all()

    def close(self) -> None:
        """End the process, whatever it does."""
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if connection is not None:
            connection.close()
        if process is not None:
            process.kill()
            process.join()

    def _take_turn(
        self, timeout_s: float | None, urgent: bool, cancelled: threading.Event | None
    ) -> None:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._turn:
            self._urgent += urgent
            try:
                while self._busy or (self._urgent and not urgent):
                    if cancelled is not None and cancelled.is_set():
                        raise Stopped("cancelled")
                    if deadline is not None and time.monotonic() > deadline:
                        raise ResourceError(
                            "estimator",
                            expected=f"a turn within {timeout_s:.0f} s",
                            found="other work that takes longer",
                            remedy="wait for it or cancel it, and ask again",
                        )
                    self._turn.wait(0.5)
                self._busy = True
            finally:
                self._urgent -= urgent

    def _call(
        self, function: Callable[[], ResultT], timeout_s: float, cancelled: threading.Event
    ) -> ResultT:
        connection = self._started()
        deadline = time.monotonic() + timeout_s
        try:
            connection.send(function)
            while not connection.poll(CHECK_EVERY_S):
                if cancelled.is_set():
                    self.close()
                    raise Stopped("cancelled")
                if time.monotonic() > deadline:
                    self.close()
                    raise ResourceError(
                        "prediction",
                        expected=f"a result within {timeout_s:.0f} s",
                        found="none",
                        remedy="use a smaller volume, or predict it on the command line",
                    )
            succeeded, value = connection.recv()
        except (EOFError, OSError) as error:
            self.close()
            raise ResourceError(
                "prediction",
                expected="a process that runs to the end",
                found="one that was killed: not enough memory, or a library crashed",
                remedy="close other programs, or use a smaller volume",
            ) from error
        if not succeeded:
            raise value
        result: ResultT = value
        return result

    def _started(self) -> Connection:
        if self._connection is None or self._process is None or not self._process.is_alive():
            self.close()
            context = multiprocessing.get_context("spawn")
            ours, theirs = context.Pipe()
            self._process = context.Process(target=work, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
            self._connection = ours
        return self._connection


def work(connection: Connection) -> None:
    """Call the functions that come through a connection, until it is closed at the other end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the server, which ends this process
    while True:
        try:
            function: partial[Any] = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer = (True, function())
        except FetusmapError as error:
            answer = (False, error)
        except MemoryError:
            answer = (False, FetusmapError("not enough memory"))
        except Exception as error:
            answer = (False, FetusmapError(f"internal error: {type(error).__name__}: {error}"))
        connection.send(answer)


def predict_file(output: Path, settings: PredictionSettings, volume: VolumeFile) -> CaseResult:
    """Predict a case into its folder, and write the table of all cases."""
    result = predict_case(output, settings, volume, all_threads=True)
    write_summary(output, [result])
    return result


_SESSIONS: OrderedDict[tuple[Any, ...], Session] = OrderedDict()


def answer_question(settings: PredictionSettings, question: Question) -> Pose:
    """Answer a question; the volumes of the latest questions stay prepared.

    Raises:
        BadInput: the volume cannot be read, or a pin is no landmark.
    """
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
    known = set(estimator.pipeline.skeleton.landmarks)
    for landmark in [*session.pins]:
        session.unpin(landmark)
    for landmark, (position_mm, review) in question.pins.items():
        if landmark in known:
            session.pin(landmark, position_mm, review)
    return session.solve()

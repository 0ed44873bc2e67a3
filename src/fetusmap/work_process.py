"""One process that does one piece of work at a time, and that can be stopped at any moment.

It is separate from its owner for three reasons. Work that kills it (not enough memory, a crash in a
library) does not kill the owner; work can be stopped wherever it is; and two pieces of work never
compete for the processor. The process keeps what the work leaves in memory, such as a model.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from fetusmap.errors import FetusmapError, ResourceError

ResultT = TypeVar("ResultT")

CHECK_EVERY_S = 0.05


class Stopped(FetusmapError):
    """Work was stopped before its end, because someone cancelled it."""


class WorkProcess:
    """Runs functions in one process, one at a time; urgent ones go before those that wait.

    The process starts with the first function, and again after it was stopped.
    """

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
            function: importable by name, such as a `partial` of a function.
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
                            "work process",
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
                        "work process",
                        expected=f"a result within {timeout_s:.0f} s",
                        found="none",
                        remedy="use a smaller volume, or the command line",
                    )
            succeeded, value = connection.recv()
        except (EOFError, OSError) as error:
            self.close()
            raise ResourceError(
                "work process",
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
        try:
            connection.send(answer)
        except OSError:  # the owner was killed meanwhile
            return

"""A bounded queue of predictions that one thread works on, one after the other."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from fetusmap.errors import FetusmapError, one_line
from fetusmap.work_process import Stopped

JobState = Literal["waiting", "running", "done", "failed", "cancelled"]

MAX_REMEMBERED_JOBS = 1000
"""Finished jobs that can still be asked for; the oldest are forgotten."""


class QueueFull(FetusmapError):
    """The queue has no place for another job."""


@dataclass
class Job:
    """A prediction of one case: waiting, running or finished."""

    case: str
    run: Callable[[threading.Event], None] = field(repr=False)
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: JobState = "waiting"
    error: str = ""
    created: float = field(default_factory=time.time)
    began: float | None = None
    ended: float | None = None
    cancelled: threading.Event = field(default_factory=threading.Event, repr=False)
    finished: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def seconds(self) -> float:
        """How long the job has been running, or ran."""
        if self.began is None:
            return 0.0
        return (time.time() if self.ended is None else self.ended) - self.began

    def finish(self, state: JobState) -> None:
        """Note how the job ended."""
        self.state, self.ended = state, time.time()
        self.finished.set()


class JobQueue:
    """Runs jobs in the order in which they came.

    Args:
        size: largest number of jobs that wait.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._waiting: deque[Job] = deque()
        self._change = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def add(self, case: str, run: Callable[[threading.Event], None]) -> Job:
        """Add a job at the end of the queue; a case that waits already keeps its job.

        Args:
            case: name of the case.
            run: does the work; it stops early when the event that it gets is set.

        Raises:
            QueueFull: too many jobs wait.
        """
        with self._change:
            for job in self._jobs.values():
                if job.case == case and job.state in ("waiting", "running"):
                    return job
            self._check_room()
            job = Job(case, run)
            self._jobs[job.id] = job
            self._waiting.append(job)
            self._forget()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
            self._change.notify_all()
        return job

    def check_room(self) -> None:
        """Check that another job has a place.

        Raises:
            QueueFull: too many jobs wait.
        """
        with self._change:
            self._check_room()

    @property
    def is_busy(self) -> bool:
        """Whether a job runs or waits."""
        with self._change:
            return any(job.ended is None for job in self._jobs.values())

    @property
    def expected_s(self) -> float | None:
        """Median duration of the jobs that ended well; None before the first one."""
        with self._change:
            done = [job.seconds for job in self._jobs.values() if job.state == "done"]
        return round(median(done), 2) if done else None

    @property
    def is_waiting(self) -> bool:
        """Whether a job waits."""
        with self._change:
            return bool(self._waiting)

    def jobs(self) -> list[Job]:
        """Return all jobs that are remembered, the latest first."""
        with self._change:
            return [*reversed(self._jobs.values())]

    def job(self, identifier: str) -> Job | None:
        """Return a job, or None if there is none."""
        with self._change:
            return self._jobs.get(identifier)

    def place(self, job: Job) -> int:
        """Return how many jobs come before this one."""
        with self._change:
            return self._waiting.index(job) + 1 if job in self._waiting else 0

    def cancel(self, job: Job) -> None:
        """Take a job out of the queue, or stop it."""
        with self._change:
            job.cancelled.set()
            if job in self._waiting:
                self._waiting.remove(job)
                job.finish("cancelled")

    def close(self) -> None:
        """Cancel everything and end the thread."""
        with self._change:
            self._closed = True
            for job in self._jobs.values():
                job.cancelled.set()
            self._change.notify_all()
        if self._thread is not None:
            self._thread.join(10)

    def _check_room(self) -> None:
        if len(self._waiting) >= self.size:
            raise QueueFull(f"{self.size} predictions are waiting already; try again later")

    def _forget(self) -> None:
        finished = [j for j in self._jobs.values() if j.ended is not None]
        for job in finished[: max(0, len(finished) - MAX_REMEMBERED_JOBS)]:
            del self._jobs[job.id]

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                job = self._waiting.popleft()
                job.state, job.began = "running", time.time()
            state: JobState = "done"
            try:
                job.run(job.cancelled)
            except Stopped:
                state = "cancelled"
            except Exception as error:  # a job that fails never ends the thread
                state, job.error = "failed", one_line(str(error)) or type(error).__name__
            with self._change:
                job.finish(state)

"""How much the server takes on, and what it answers when it is asked for more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fetusmap.errors import FetusmapError

GIB = 1024**3


class Busy(FetusmapError):
    """Too much is going on at the moment; the same request may succeed later."""


class TooLarge(FetusmapError):
    """An upload is larger than the server accepts."""


@dataclass(frozen=True)
class ServeLimits:
    """How much the server takes on.

    Attributes:
        upload_bytes: largest upload.
        uploads: uploads at the same time.
        upload_s: time for an upload.
        free_bytes: space on the disk that uploads leave free.
        waiting_jobs: predictions that wait.
        job_s: time for a prediction.
        question_s: time for an answer with pins; the first one of a volume prepares it.
        questions: questions that wait at the same time.
        cached_volumes: viewing copies and pictures in memory, of at most 6 MB each.
        volumes_at_once: volumes that are prepared for viewing at the same time.
        waiting_for_volumes: requests that may wait for such a volume, these included.
    """

    upload_bytes: int = GIB
    uploads: int = 4
    upload_s: float = 1800.0
    free_bytes: int = GIB
    waiting_jobs: int = 100
    job_s: float = 600.0
    question_s: float = 60.0
    questions: int = 8
    cached_volumes: int = 16
    volumes_at_once: int = 2
    waiting_for_volumes: int = 12


@contextmanager
def place_in(semaphore: threading.BoundedSemaphore, reason: str) -> Iterator[None]:
    """Hold a place for the block; raises `Busy` at once if there is none."""
    if not semaphore.acquire(blocking=False):
        raise Busy(f"{reason}; try again in a moment")
    try:
        yield
    finally:
        semaphore.release()

"""Work on many cases in several processes, with results in order and no word of the scheduling."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from multiprocessing.synchronize import Event
from typing import Any, TypeVar

from fetusmap.errors import BadInput

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
AHEAD = 2  # results per worker that may wait for whoever takes them


def map_in_order(
    function: Callable[[ItemT], ResultT],
    items: Iterable[ItemT],
    workers: int,
    *,
    background: bool = False,
) -> Iterator[ResultT]:
    """`map(function, items)` in several processes, results in the order of the items.

    `items` may be endless: only a few are taken ahead. When the caller stops, so do the workers;
    they also stop when the caller's process dies.

    Args:
        function: importable by name, as are its arguments and results by pickle.
        items: what to work on.
        workers: 0 and 1 work in this process.
        background: a single worker is a process of its own as well, and works ahead.

    Raises:
        BadInput: a negative number of workers, or a worker that was killed.
    """
    check_workers(workers)
    if workers <= (0 if background else 1):
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(
        workers, context, initializer=_begin_worker, initargs=(stop, function)
    )
    waiting: deque[Future[ResultT]] = deque()
    done = 0
    try:
        for item in items:
            with _held(signal.SIGINT):  # a worker that is being started inherits this
                waiting.append(pool.submit(_work, item))
            if len(waiting) >= AHEAD * workers:
                result = waiting.popleft().result()
                done += 1
                yield result
        while waiting:
            result = waiting.popleft().result()
            done += 1
            yield result
    except BrokenProcessPool as error:
        raise BadInput(
            "workers",
            expected=f"{workers} processes that go on to the end",
            found="one that ended" if done else "one that ended before its first result",
            remedy="use fewer workers if memory ran out, and run the same command again to go on"
            if done
            else "in a script, start the work below `if __name__ == '__main__':`; or use fewer "
            "workers if memory ran out",
        ) from error
    finally:
        with _held(signal.SIGINT, signal.SIGTERM):
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def check_workers(workers: int) -> None:
    """Refuse a negative number of workers.

    Raises:
        BadInput: if it is.
    """
    if workers < 0:
        raise BadInput("workers", expected="0 or more", found=f"{workers}", remedy="try 1")


def available_processors() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _held(*signals: signal.Signals) -> Iterator[None]:
    """Deliver these signals only when the block has ended, where the system knows how to."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(item: Any) -> Any:
    """The worker's function of the item, unless nobody waits for it any more."""
    stop, function = _told[0]
    if stop.is_set():
        raise CancelledError
    return function(item)


_told: list[tuple[Event, Callable[[Any], Any]]] = []
"""In a worker: what says that nobody waits for its results any more, and what it computes.

The function is sent once, because it may carry a large library of poses.
"""


def _begin_worker(stop: Event, function: Callable[[Any], Any]) -> None:
    """Leave interrupts to the parent, and do not outlive it."""
    _told.append((stop, function))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)

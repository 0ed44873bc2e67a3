"""Work on many items in several processes, with results in the order of the items."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
)
from contextlib import contextmanager
from multiprocessing import connection
from multiprocessing.synchronize import Event
from typing import Any, TypeVar

from fetusmap.errors import BadInput, ResourceError

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

START_METHOD = "spawn"
"""How processes are started: each anew, so that none inherits threads or locks of this one."""

AHEAD = 2
"""Number of results per worker that may wait for the caller."""


def map_in_order(
    function: Callable[[ItemT], ResultT],
    items: Iterable[ItemT],
    executor: Executor | None,
    *,
    ahead: int = AHEAD,
) -> Iterator[ResultT]:
    """Compute `map(function, items)` with an executor, with results in the order of the items.

    Args:
        function: the function; for processes, it is importable by name, and its arguments and
            results can be pickled.
        items: what to work on. They may be endless: only a few are taken ahead.
        executor: computes the results, see `process_executor`; None computes them here.
        ahead: number of items that are submitted before their results are asked for.

    Raises:
        ResourceError: a process of the executor was killed.
    """
    if executor is None:
        yield from map(function, items)
        return
    waiting: deque[Future[ResultT]] = deque()
    done = 0
    try:
        for item in items:
            waiting.append(submit(executor, function, item))
            if len(waiting) >= ahead:
                result = waiting.popleft().result()
                done += 1
                yield result
        while waiting:
            result = waiting.popleft().result()
            done += 1
            yield result
    except BrokenExecutor as error:
        raise _explained(done) from error


def map_in_processes(
    function: Callable[[ItemT], ResultT],
    items: Iterable[ItemT],
    workers: int,
    *,
    background: bool = False,
) -> Iterator[ResultT]:
    """Compute `map(function, items)` in several processes, in the order of the items.

    The processes end with the iterator, and when the caller's process dies.

    Args:
        function: see `map_in_order`.
        items: see `map_in_order`.
        workers: number of processes; 0 and 1 compute in this process.
        background: also use a process of its own for a single worker, which then works ahead.

    Raises:
        BadInput: the number of workers is negative.
        ResourceError: a worker was killed.
    """
    check_workers(workers)
    if workers <= (0 if background else 1):
        yield from map(function, items)
        return
    with process_executor(workers, shared=function) as executor:
        yield from map_in_order(_call_shared, items, executor, ahead=AHEAD * workers)


@contextmanager
def process_executor(
    workers: int, *, shared: Callable[[Any], Any] | None = None
) -> Iterator[Executor]:
    """Open an executor of processes that ignore Ctrl-C and end with this process.

    When the block ends, work that has not begun is dropped.

    Args:
        workers: number of processes, 1 or more.
        shared: function that `_call_shared` calls; it is sent to each process only once, because
            it may carry thousands of cases or poses.
    """
    context = multiprocessing.get_context(START_METHOD)
    stop = context.Event()
    pool = ProcessPoolExecutor(workers, context, initializer=_begin_worker, initargs=(stop, shared))
    try:
        yield pool
    finally:
        with _held(signal.SIGINT, signal.SIGTERM):
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def submit(
    executor: Executor, function: Callable[[ItemT], ResultT], item: ItemT
) -> Future[ResultT]:
    """Submit one item; Ctrl-C does not reach a process that is being started meanwhile."""
    with _held(signal.SIGINT):
        return executor.submit(_work, function, item)


def _explained(done: int) -> Exception:
    if done:
        return ResourceError(
            "workers",
            expected="processes that run to the end",
            found="one that was killed",
            remedy="use fewer workers if memory ran out, and repeat the command to continue",
        )
    return BadInput(
        "workers",
        expected="processes that run to the end",
        found="one that ended before its first result",
        remedy="in a script, start the work below `if __name__ == '__main__':`; or use fewer "
        "workers if memory ran out",
    )


def check_workers(workers: int) -> None:
    """Refuse a negative number of workers.

    Raises:
        BadInput: the number is negative.
    """
    if workers < 0:
        raise BadInput("workers", expected="0 or more", found=f"{workers}", remedy="try 1")


def available_processors() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _held(*signals: signal.Signals) -> Iterator[None]:
    """Deliver these signals only after the block, where the system supports it.

    The mask keeps them from this thread and from a process that is started meanwhile. Another
    thread of this process may still receive one, for which Python would interrupt this thread, so
    the handlers are replaced as well.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    received: list[int] = []
    handlers = {}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    if threading.current_thread() is threading.main_thread():
        for number in signals:
            if callable(signal.getsignal(number)):
                handlers[number] = signal.signal(number, lambda n, _: received.append(n))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for caught in received:
            signal.raise_signal(caught)


def _work(function: Callable[[Any], Any], item: Any) -> Any:
    """Compute one result, unless the caller no longer waits for it."""
    if _stops and _stops[0].is_set():
        raise CancelledError
    return function(item)


def _call_shared(item: Any) -> Any:
    return _shared[0](item)


_stops: list[Event] = []
"""In a worker: the event that says that the caller no longer waits for results."""

_shared: list[Callable[[Any], Any]] = []
"""In a worker: the function that all items have in common."""


def _begin_worker(stop: Event, shared: Callable[[Any], Any] | None) -> None:
    """Leave interrupts to the parent process, and end with it."""
    _stops.append(stop)
    if shared is not None:
        _shared.append(shared)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)

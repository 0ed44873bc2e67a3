"""Work on many cases so that a case that kills its process costs only itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from fetusmap.workers import AHEAD, map_in_order, process_executor, submit

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

OpenExecutor = Callable[[int], AbstractContextManager[Executor]]
"""Opens an executor with a number of workers, see `fetusmap.workers.process_executor`."""

ATTEMPTS = 2
"""A case is tried this often, alone in a process, before it is given up."""


@dataclass(frozen=True)
class Killed:
    """Stands for the result of a case whose process was killed at every attempt."""

    reason: str = (
        f"the process that worked on it was killed {ATTEMPTS} times: not enough memory, or "
        "a library crashed"
    )


def run_cases(
    function: Callable[[ItemT], ResultT],
    items: Iterable[ItemT],
    workers: int,
    *,
    suspects: Sequence[ItemT] = (),
    open_executor: OpenExecutor = process_executor,
) -> Iterator[tuple[ItemT, ResultT | Killed]]:
    """Compute the result of every case, in order; the suspects come last, each alone.

    When a process is killed, every case that was in work is tried again, alone in a process of its
    own, so that the case that is responsible is found. All other cases continue.

    Args:
        function: computes the result of a case; it is importable by name.
        items: the cases.
        workers: number of processes; 0 computes in this process.
        suspects: cases that may kill their process, because an earlier run did not finish them.
        open_executor: opens an executor.

    Yields:
        Each case with its result, or with `Killed`.

    Raises:
        BadInput: no process can be started, for example from a script without a main guard.
    """
    pending = deque(items)
    if workers == 0:
        while pending:
            item = pending.popleft()
            yield item, function(item)
    while pending:
        in_work: deque[tuple[ItemT, Future[ResultT]]] = deque()
        with open_executor(workers) as executor:
            try:
                while pending or in_work:
                    while pending and len(in_work) < AHEAD * workers:
                        in_work.append((pending[0], submit(executor, function, pending[0])))
                        pending.popleft()
                    item, future = in_work[0]
                    result = future.result()
                    in_work.popleft()
                    yield item, result
            except BrokenExecutor:
                pass  # what was in work is tried again below
        for item, future in in_work:
            if future.done() and not future.cancelled() and future.exception() is None:
                yield item, future.result()
            else:
                yield item, _run_alone(function, item, open_executor)
    for item in suspects:
        yield item, _run_alone(function, item, open_executor)


def _run_alone(
    function: Callable[[ItemT], ResultT], item: ItemT, open_executor: OpenExecutor
) -> ResultT | Killed:
    for _ in range(ATTEMPTS):
        with open_executor(1) as executor:
            try:
                return submit(executor, function, item).result()
            except BrokenExecutor:
                continue
    with open_executor(1) as executor:  # is it the case, or does no process work at all?
        next(map_in_order(abs, [0], executor, ahead=1))
    return Killed()

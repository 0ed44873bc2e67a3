"""Work in several processes: in order, in time, and without a trace when it ends.

Workers import what they run by name, so these functions are those of the standard library.
"""

import math
import multiprocessing
import operator
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count, islice
from pathlib import Path

import pytest

from fetusmap.errors import BadInput
from fetusmap.simulate import SimulationSettings, simulate_case
from fetusmap.workers import (
    AHEAD,
    available_processors,
    map_in_order,
    map_in_processes,
    process_executor,
)


def children():
    return {process.pid for process in multiprocessing.active_children()}


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_results_come_in_the_order_of_their_items(workers):
    """The first takes the longest."""
    items = [30000, 3, 1, 2000, 5, 4]
    found = list(map_in_processes(math.factorial, items, workers))
    assert found == [math.factorial(n) for n in items]


def test_results_do_not_depend_on_the_executor():
    """Without one, with threads, and with processes that are used twice."""
    items = [30000, 3, 1, 2000]
    expected = [math.factorial(n) for n in items]
    assert list(map_in_order(math.factorial, items, None)) == expected
    with ThreadPoolExecutor(2) as threads:
        assert list(map_in_order(math.factorial, items, threads, ahead=3)) == expected
    with process_executor(2) as processes:
        for _ in range(2):
            assert list(map_in_order(math.factorial, items, processes)) == expected


@pytest.mark.parametrize("workers", [0, 2])
def test_nothing_to_do_is_done(workers):
    assert list(map_in_processes(operator.neg, [], workers)) == []


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_endless_items_are_taken_only_a_few_ahead(workers):
    taken = []

    def items():
        for number in count():
            taken.append(number)
            yield number

    results = map_in_processes(operator.neg, items(), workers)
    assert taken == []
    assert list(islice(results, 5)) == [0, -1, -2, -3, -4]
    assert len(taken) <= 5 + AHEAD * max(workers, 1)
    results.close()


def test_stopping_early_stops_the_workers():
    before = children()
    results = map_in_processes(operator.neg, count(), 2)
    assert next(results) == 0
    assert len(children() - before) == 2
    results.close()
    assert children() == before


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_of_the_work_reach_the_caller(workers):
    before = children()
    results = map_in_processes(math.sqrt, [4.0, -1.0, 9.0], workers)
    assert next(results) == 2.0
    with pytest.raises(ValueError, match=r"math domain|expected a nonnegative"):
        next(results)
    assert children() == before


def test_our_own_errors_cross_the_border_between_processes_whole():
    simulate = partial(simulate_case, SimulationSettings("half"), 0)
    with pytest.raises(BadInput, match=r"^case number: expected 0 or more, found -3") as caught:
        list(map_in_processes(simulate, [-3], 2))
    assert caught.value.remedy == "try 0"


def test_errors_of_the_items_reach_the_caller_and_stop_the_workers():
    before = children()

    def items():
        yield 1
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        list(map_in_processes(operator.neg, items(), 2))
    assert children() == before


def test_a_killed_worker_gives_an_error_of_one_line():
    before = children()
    with pytest.raises(BadInput, match=r"^workers: .* one that ended") as caught:
        list(map_in_processes(signal.raise_signal, [signal.SIGKILL] * 4, 2))
    assert "\n" not in str(caught.value)
    assert children() == before


@pytest.mark.parametrize("workers", [-1, -8])
def test_negative_numbers_of_workers_are_refused_in_one_line(workers):
    with pytest.raises(BadInput, match=r"^workers: expected 0 or more") as caught:
        next(map_in_processes(operator.neg, [1], workers))
    assert "\n" not in str(caught.value)


def test_there_is_at_least_one_processor():
    assert 1 <= available_processors() <= (os.cpu_count() or 1)


THREADS = """
import hashlib
import threading
from threadpoolctl import threadpool_info
from fetusmap.simulate import SimulationSettings, simulate_case
from fetusmap.threads import one_blas_thread

def threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

def render(into):
    with one_blas_thread():
        into.append(threads())
    made = simulate_case(SimulationSettings("mid", weeks=(10.0, 10.0)), 1, 0)
    into.append(hashlib.sha256(made.volume.array.tobytes()).hexdigest())

if __name__ == "__main__":
    main, others = [], [[], []]
    assert threads() == {2}
    render(main)
    at_once = [threading.Thread(target=render, args=(other,)) for other in others]
    for thread in at_once:
        thread.start()
    for thread in at_once:
        thread.join()
    assert main[0] == {1}
    assert others == [main, main]
    assert threads() == {2}
    print("alike")
"""


@pytest.mark.skipif(available_processors() < 2, reason="needs two processor cores")
def test_every_thread_renders_the_same_bytes_with_one_thread_of_blas():
    """In a process of its own, where nothing else has limited them; afterwards all are back."""
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "2")
    run = subprocess.run(
        [sys.executable, "-c", THREADS], env={**os.environ, **threads},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (run.stdout, run.stderr) == ("alike\n", "")


def test_a_script_that_forgets_its_main_guard_gets_a_hint(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import operator\n"
        "from fetusmap.errors import BadInput\n"
        "from fetusmap.workers import map_in_processes\n"
        "try:\n"
        "    list(map_in_processes(operator.neg, [1, 2], 2))\n"
        "except BadInput as error:\n"
        "    print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    (message,) = run.stdout.splitlines()
    assert "start the work below `if __name__ == '__main__':`" in message


def is_running(pid):
    """A process that has ended but was not waited for does not count."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_workers_do_not_outlive_a_killed_parent():
    code = (
        "import multiprocessing, operator, time\n"
        "from itertools import count\n"
        "from fetusmap.workers import map_in_processes\n"
        "if __name__ == '__main__':\n"
        "    results = map_in_processes(operator.neg, count(), 2)\n"
        "    next(results)\n"
        "    print(*[p.pid for p in multiprocessing.active_children()], flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(is_running(pid) for pid in pids)
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 20
        while any(is_running(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not any(is_running(pid) for pid in pids)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()

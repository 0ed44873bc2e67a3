"""A process that works for another: results, errors, a time limit, a stop, and a violent end."""

import os
import threading
import time
from functools import partial

import pytest

from fetusmap.errors import BadInput, FetusmapError, ResourceError
from fetusmap.files import safe_name
from fetusmap.io import load_pose
from fetusmap.work_process import Stopped, WorkProcess


@pytest.fixture(scope="module")
def work():
    process = WorkProcess()
    yield process
    process.close()


def test_it_returns_results_and_raises_errors_and_survives_both(work, tmp_path):
    assert work.call(partial(safe_name, "a b"), timeout_s=60) == "a_b"
    with pytest.raises(BadInput, match="expected a file") as caught:
        work.call(partial(load_pose, tmp_path / "none.json"), timeout_s=60)
    assert caught.value.remedy
    with pytest.raises(FetusmapError, match="internal error: ZeroDivisionError"):
        work.call(partial(divmod, 1, 0), timeout_s=60)
    process = work.call(os.getpid, timeout_s=60)
    assert process == work.call(os.getpid, timeout_s=60) != os.getpid()


def test_urgent_work_goes_before_what_waits(work):
    order = []

    def call(name, seconds, urgent):
        work.call(partial(time.sleep, seconds), timeout_s=60, urgent=urgent)
        order.append(name)

    calls = [("first", 1.2, False), ("second", 0.0, False), ("question", 0.0, True)]
    threads = [threading.Thread(target=call, args=each) for each in calls]
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    assert order == ["first", "question", "second"]


def test_work_that_is_stopped_that_takes_too_long_or_that_dies_costs_only_itself(work):
    cancelled = threading.Event()
    threading.Timer(0.2, cancelled.set).start()
    with pytest.raises(Stopped):
        work.call(partial(time.sleep, 60), timeout_s=60, cancelled=cancelled)
    with pytest.raises(ResourceError, match="a result within 0 s"):
        work.call(partial(time.sleep, 60), timeout_s=0.1)
    with pytest.raises(ResourceError, match="one that was killed"):
        work.call(partial(os._exit, 9), timeout_s=60)
    assert work.call(partial(abs, -1), timeout_s=60) == 1


def test_a_question_does_not_wait_for_ever(work):
    thread = threading.Thread(
        target=work.call, args=(partial(time.sleep, 1.5),), kwargs={"timeout_s": 60}
    )
    thread.start()
    time.sleep(0.2)
    with pytest.raises(ResourceError, match="a turn within 0 s"):
        work.call(partial(abs, -1), timeout_s=0.1, urgent=True)
    thread.join()
    assert work.call(partial(abs, -1), timeout_s=60) == 1

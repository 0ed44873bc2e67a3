"""Devices, precision, and the number of threads during and after a block of one thread."""

import threading
from types import SimpleNamespace

import pytest
import torch

from fetusmap.errors import BadInput
from fetusmap.network import device_named, has_fast_bfloat16, one_thread

THREADS = 3


@pytest.fixture
def three_threads():
    """torch computes on three threads, until the test ends."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


class Worker(threading.Thread):
    """A thread that enters a block, waits, leaves it, and says how many threads it saw."""

    def __init__(self):
        super().__init__(daemon=True)
        self.entered, self.may_leave, self.left = (threading.Event() for _ in range(3))
        self.inside = self.inside_later = self.after = None

    def run(self):
        with one_thread():
            self.inside = torch.get_num_threads()
            self.entered.set()
            self.may_leave.wait(10)
            self.inside_later = torch.get_num_threads()
        self.after = torch.get_num_threads()
        self.left.set()

    def enter(self):
        self.start()
        assert self.entered.wait(10)

    def leave(self):
        self.may_leave.set()
        assert self.left.wait(10)
        self.join(10)


def threads_of_a_new_thread():
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join(10)
    return seen[0]


@pytest.mark.usefixtures("three_threads")
def test_nested_blocks_restore_the_number_at_the_last_exit():
    with one_thread():
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == THREADS


@pytest.mark.usefixtures("three_threads")
def test_an_error_in_the_block_restores_the_number():
    with pytest.raises(KeyError), one_thread():
        raise KeyError
    assert torch.get_num_threads() == THREADS


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("first_out", ["first in", "last in"])
def test_overlapping_blocks_of_two_threads_leave_no_thread_at_one(first_out):
    """The block that stays open computes on one thread until its own end."""
    first, last = Worker(), Worker()
    first.enter()
    last.enter()
    order = (first, last) if first_out == "first in" else (last, first)
    for worker in order:
        worker.leave()
    for worker in order:
        assert (worker.inside, worker.inside_later, worker.after) == (1, 1, THREADS)
    assert torch.get_num_threads() == THREADS
    assert threads_of_a_new_thread() == THREADS


@pytest.mark.usefixtures("three_threads")
def test_the_main_threads_block_may_end_inside_that_of_another_thread():
    worker = Worker()
    with one_thread():
        worker.enter()
    assert torch.get_num_threads() == THREADS
    worker.leave()
    assert (worker.inside_later, worker.after) == (1, THREADS)
    assert torch.get_num_threads() == THREADS
    assert threads_of_a_new_thread() == THREADS


def test_a_torch_without_onednn_has_no_fast_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace())
    assert has_fast_bfloat16(torch.device("cpu")) is False


@pytest.mark.parametrize("supported", [False, True])
def test_onednn_says_whether_bfloat16_is_fast(monkeypatch, supported):
    operations = SimpleNamespace(_is_mkldnn_bf16_supported=lambda: supported)
    monkeypatch.setattr(torch.ops, "mkldnn", operations)
    assert has_fast_bfloat16(torch.device("cpu")) is supported


def test_an_unknown_device_is_refused_in_one_line():
    assert device_named("cpu").type == "cpu"
    with pytest.raises(BadInput, match="auto, cpu or cuda") as caught:
        device_named("tpu")
    assert "\n" not in str(caught.value)

"""Device, precision and number of threads with which networks compute."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fetusmap.errors import BadInput


class _ThreadLimit:
    """Counts the blocks that compute on one thread.

    torch keeps one number of threads for the process, which new threads take over, and one for
    each thread that has already computed. So the number from before the first block is
    remembered for all of them, and each thread gets it back when it leaves its own last block.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = 0
        self._threads_before = 1
        self._of_this_thread = threading.local()

    def enter(self) -> None:
        with self._lock:
            if self._blocks == 0:
                self._threads_before = torch.get_num_threads()
            self._blocks += 1
            self._of_this_thread.blocks = getattr(self._of_this_thread, "blocks", 0) + 1
            torch.set_num_threads(1)

    def leave(self) -> None:
        with self._lock:
            self._blocks -= 1
            self._of_this_thread.blocks -= 1
            if self._of_this_thread.blocks == 0:
                torch.set_num_threads(self._threads_before)


_LIMIT = _ThreadLimit()


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread inside the block; blocks may be nested and may overlap.

    The number of threads decides how sums are split, and with it their last bits. In bfloat16 this
    moved an uncertain landmark by 0.3 mm. So sums that would be split are computed on one thread,
    and several processes that share the cores of a machine have one thread each.
    """
    _LIMIT.enter()
    try:
        yield
    finally:
        _LIMIT.leave()


def has_fast_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies in bfloat16 faster than in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # A private operation of torch, absent from builds without oneDNN.
    is_supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return is_supported is not None and bool(is_supported())


def device_named(name: str) -> torch.device:
    """Return the device of "auto", "cpu" or "cuda".

    Raises:
        BadInput: the name is another one, or this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise BadInput("device", expected="auto, cpu or cuda", found=repr(name), remedy="try auto")
    if name == "cuda" and not torch.cuda.is_available():
        raise BadInput(
            "device", expected="a CUDA device", found="none that torch can use", remedy="use cpu"
        )
    return torch.device(name)

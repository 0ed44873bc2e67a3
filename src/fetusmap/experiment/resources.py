"""The cost of a piece of work: wall time and peak memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass
class Cost:
    """Cost of a block of work; the values are set when the block ends.

    Attributes:
        seconds: wall time.
        peak_bytes: peak memory of the process with interpreter and libraries; on a graphics card
            the peak of what was allocated there.
    """

    seconds: float = 0.0
    peak_bytes: int = 0


@contextmanager
def measured(device: str = "cpu") -> Iterator[Cost]:
    """Measure a block of work of this process."""
    cost = Cost()
    start = time.perf_counter()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        with suppress(OSError):  # only Linux can reset the peak
            _CLEAR.write_text("5")
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - start
        cost.peak_bytes = (
            torch.cuda.max_memory_allocated() if device == "cuda" else _peak_of_process()
        )


def _peak_of_process() -> int:
    with suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return 0
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

"""One thread for matrix products, so that results do not depend on the number of cores."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import OpenBLASController, ThreadpoolController

_one_at_a_time = threading.Lock()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Compute matrix products on one thread within the block.

    The way in which a product is split among threads changes its last bits. One thread costs no
    time here, where the matrices are small, and several processes do not compete for processor
    cores. The limit holds for the whole process, so another thread that enters such a block waits
    until this one leaves it.
    """
    with _one_at_a_time:
        _release_blas()
        with _controller().limit(limits=1, user_api="blas"):
            yield
        _release_blas()


def _release_blas() -> None:
    """Let other threads set limits again; from threadpoolctl 3.7 on only the first one may."""
    release = getattr(OpenBLASController, "clear_controlling_thread", None)
    if release is not None:
        release(force=True)


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()

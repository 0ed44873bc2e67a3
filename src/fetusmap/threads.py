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
    """Matrix products on one thread: how they are split would change their last bits.

    It costs nothing here, where the matrices are small, and keeps several workers out of each
    other's way. The limit holds for the whole process and only one thread may set it, so whoever
    comes meanwhile waits.
    """
    with _one_at_a_time:
        _release_blas()
        with _controller().limit(limits=1, user_api="blas"):
            yield
        _release_blas()


def _release_blas() -> None:
    """Let any thread set limits again: from threadpoolctl 3.7 on the first one keeps that right."""
    release = getattr(OpenBLASController, "clear_controlling_thread", None)
    if release is not None:
        release(force=True)


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()

"""A decoding process: started, watched by a timer, and read to its end."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from threading import Timer
from typing import BinaryIO, TypeVar, cast

T = TypeVar("T")

MAX_COMPLAINT_BYTES = 2000


def run_decoder(
    command: Sequence[str],
    data: BinaryIO,
    receive: Callable[[BinaryIO], T],
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
) -> tuple[T, str]:
    """Run a process that reads one file and writes what `receive` reads.

    The process gets the open file as its standard input, and no name that it could open again. It
    limits its own memory, see `cap_memory` of the decoders.

    Args:
        command: program and arguments.
        data: the open file.
        receive: reads the standard output of the process, as many bytes as are allowed.
        timeout_s: the process is killed after this time.
        environment: variables of the process; None for those of this one.

    Returns:
        What `receive` returned, and why the process failed, or "" if it did not.
    """
    with subprocess.Popen(
        command, stdin=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        timer = Timer(timeout_s, process.kill)
        timer.start()
        try:
            # A process that writes more than is received fails, instead of waiting for a reader.
            with cast("BinaryIO", process.stdout) as output:
                received = receive(output)
            complaint = cast("BinaryIO", process.stderr).read(MAX_COMPLAINT_BYTES)
            code = process.wait()
        finally:
            timed_out = not timer.is_alive()
            timer.cancel()
            process.kill()
    if code == 0:
        return received, ""
    if timed_out:
        return received, f"no end after {timeout_s:g} s"
    ended = f"was ended by signal {-code}" if code < 0 else f"stopped with code {code}"
    return received, complaint.decode("utf-8", "replace") or f"a decoder that {ended}"

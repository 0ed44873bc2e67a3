"""Describing and decoding of DICOM instances in a child process with limits on memory and time."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path
from threading import Timer
from typing import Any, BinaryIO, Literal

from fetusmap.errors import UnreadableFile
from fetusmap.io.volumes.limits import ReadLimits

Task = Literal["describe", "survey", "decode"]

MAX_DESCRIPTION_BYTES = 1 << 25
PACKAGE = Path(__file__).parents[2]
# The child imports two modules of this package, but not the package itself, which takes a second.
START = """
import sys, types
for name in ("fetusmap", "fetusmap.io", "fetusmap.io.sandbox"):
    package = types.ModuleType(name)
    package.__path__ = [sys.argv[1] + name.removeprefix("fetusmap").replace(".", "/")]
    sys.modules[name] = package
from fetusmap.io.sandbox.dicom_decoder import main
main(sys.argv[2:])
"""


def task_command(task: Task, parameters: dict[str, Any], limits: ReadLimits) -> list[str]:
    """Return the command of a decoding process whose standard input is the file."""
    # Packed, because systems limit the length of an argument, and a series may have many files.
    packed = zlib.compress(json.dumps(parameters, separators=(",", ":")).encode())
    text = base64.b64encode(packed).decode()
    return [
        sys.executable, "-I", "-c", START, str(PACKAGE), task, text, str(limits.decoder_bytes),
    ]  # fmt: skip


def task_environment() -> dict[str, str]:
    """Return the environment of the decoding process: one thread, whose memory is small."""
    one = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **one}


def describe_instances(
    data: BinaryIO,
    instances: list[tuple[int, int]],
    path: Path,
    limits: ReadLimits,
    *,
    task: Literal["describe", "survey"] = "describe",
    age: bool = False,
) -> list[Any]:
    """Return what instances state about themselves, one dictionary for each.

    Args:
        data: the open file with the instances, one after the other.
        instances: start and length of each.
        path: for messages.
        limits: time and memory of the child process.
        task: "survey" reads only the beginnings, and gives None where they do not suffice.
        age: whether the dates are read from which the age of gestation follows.

    Raises:
        UnreadableFile: an instance is damaged.
    """
    parameters = {"instances": instances, "age": age}
    output = run_task(task, parameters, data, path, limits, MAX_DESCRIPTION_BYTES)
    described = json.loads(output)
    if not isinstance(described, list) or len(described) != len(instances):
        raise damaged(path, "an incomplete description")
    return described


def run_task(
    task: Task,
    parameters: dict[str, Any],
    data: BinaryIO,
    path: Path,
    limits: ReadLimits,
    max_bytes: int,
) -> bytes:
    """Run one task of the decoding process, and return at most `max_bytes` of output.

    Raises:
        UnreadableFile: the process refuses the file, takes too long or writes too much.
    """
    with subprocess.Popen(
        task_command(task, parameters, limits),
        stdin=data,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=task_environment(),
    ) as process:
        timer = Timer(limits.timeout_s, process.kill)
        timer.start()
        try:
            assert process.stdout is not None  # noqa: S101
            assert process.stderr is not None  # noqa: S101
            output = process.stdout.read(max_bytes + 1)
            complaint = process.stderr.read(2000).decode("utf-8", "replace")
            code = process.wait()
        finally:
            timed_out = not timer.is_alive()
            timer.cancel()
            process.kill()
    if timed_out:
        raise damaged(path, f"no end after {limits.timeout_s:g} s")
    if len(output) > max_bytes:
        raise damaged(path, f"more than {max_bytes} bytes of description")
    if code:
        raise damaged(path, complaint or f"a decoder that stopped with code {code}")
    return output


def damaged(path: Path, found: str) -> UnreadableFile:
    """Return the error about an instance that the decoding process refuses."""
    return UnreadableFile(
        path,
        expected="an undamaged DICOM file",
        found=found,
        remedy="copy or export it again",
    )

"""Describing and decoding of DICOM instances in a child process with limits on memory and time."""

from __future__ import annotations

import base64
import json
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

from fetusmap.errors import UnreadableFile
from fetusmap.io.sandbox.process import run_decoder
from fetusmap.io.volumes.limits import ReadLimits

T = TypeVar("T")
Task = Literal["describe", "survey", "list", "decode", "refer"]

MAX_DESCRIPTION_BYTES = 1 << 25
PACKAGE = Path(__file__).parents[2]
IMAGE_LIBRARIES = ("PIL", "gdcm", "pylibjpeg", "openjpeg", "rle", "jpeg_ls")
UNUSED = {
    "describe": IMAGE_LIBRARIES, "survey": IMAGE_LIBRARIES, "list": IMAGE_LIBRARIES,
    "refer": IMAGE_LIBRARIES, "decode": (),
}  # fmt: skip
"""What pydicom would import, though the task needs it not: half of the time of a short task."""

# The child imports a few modules of this package, but not the package itself, which takes a second.
# It has no use for a network, which pydicom would import to fetch examples.
START = """
import sys, types
for name in ("requests", *sys.argv.pop(2).split()):
    sys.modules[name] = None
for name in ("fetusmap", "fetusmap.io", "fetusmap.io.sandbox", "fetusmap.io.volumes"):
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
        sys.executable, "-I", "-c", START, str(PACKAGE), " ".join(UNUSED[task]), task, text,
        str(limits.decoder_bytes),
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
    task: Literal["describe", "survey", "list", "refer"] = "describe",
    age: bool = False,
) -> list[Any]:
    """Return what instances state about themselves, one dictionary for each.

    Args:
        data: the open file with the instances, one after the other.
        instances: start and length of each.
        path: for messages.
        limits: time and memory of the child process.
        task: "survey" reads only the beginnings, and gives None where they do not suffice; "refer"
            gives what a report about the instances needs, see `dicom_study`.
        age: whether the dates are read from which the age of gestation follows.

    Raises:
        UnreadableFile: an instance is damaged.
    """
    parameters = {"instances": instances, "age": age}

    def receive(output: BinaryIO) -> bytes:
        return output.read(MAX_DESCRIPTION_BYTES + 1)

    output, failure = run_task(task, parameters, data, receive, limits)
    if len(output) > MAX_DESCRIPTION_BYTES:
        raise damaged(path, f"more than {MAX_DESCRIPTION_BYTES} bytes of description")
    if failure:
        raise damaged(path, failure)
    described = json.loads(output)
    if not isinstance(described, list) or len(described) != len(instances):
        raise damaged(path, "an incomplete description")
    return described


def run_task(
    task: Task,
    parameters: dict[str, Any],
    data: BinaryIO,
    receive: Callable[[BinaryIO], T],
    limits: ReadLimits,
) -> tuple[T, str]:
    """Run one task of the decoding process; see `run_decoder`."""
    command = task_command(task, parameters, limits)
    return run_decoder(command, data, receive, limits.timeout_s, task_environment())


def damaged(path: Path, found: str) -> UnreadableFile:
    """Return the error about an instance that the decoding process refuses."""
    return UnreadableFile(
        path,
        expected="an undamaged DICOM file",
        found=found,
        remedy="copy or export it again",
    )

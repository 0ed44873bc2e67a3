"""The file of a case's corrections: JSON lines that are only ever appended.

Every line is written by one call, flushed to the disk, and appended under a lock, so two programs
or two windows lose nothing. A line that a crash cut short is passed over, and the next one begins
on a line of its own.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from fetusmap.corrections.log import CorrectionLog
from fetusmap.corrections.records import Correction
from fetusmap.errors import BadInput, ResourceError, UnreadableFile
from fetusmap.files import make_folder, writable, write_bytes

if sys.platform != "win32":
    import fcntl

CORRECTIONS_FILE = "corrections.jsonl"
"""In the folder of a predicted case."""

CORRECTIONS_FOLDER = "corrections"
"""In a dataset, with one log per case."""

MAX_LOG_BYTES = 64 * 1024 * 1024
"""A correction takes 0.3 kB, an answer of the machine 3 kB; a larger file is not ours."""

_FLAGS = os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FLAGS |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def read_log(path: str | Path) -> CorrectionLog:
    """Read the log of a case; a missing file is an empty log.

    Raises:
        UnreadableFile: the file is a link or a device, cannot be read, or is too large.
    """
    path = Path(path)
    try:
        descriptor = os.open(path, _FLAGS & ~os.O_RDWR & ~os.O_APPEND | os.O_RDONLY)
    except FileNotFoundError:
        return CorrectionLog()
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        return _parsed(_content(descriptor, path))
    finally:
        os.close(descriptor)


def append_correction(
    path: str | Path, make: Callable[[CorrectionLog], Correction]
) -> CorrectionLog:
    """Append a line to the log of a case, and return once it is on the disk.

    Args:
        path: the file; it is made where it does not exist.
        make: makes the line from the log as it is. No other program writes in between.

    Returns:
        The log with the new line.

    Raises:
        BadInput: the file cannot be written, or `make` raises it.
        ResourceError: the disk is full; the log is as before.
    """
    path = Path(path)
    make_folder(path.parent)
    with writable(path):
        is_new = not path.exists()
        descriptor = os.open(path, _FLAGS | os.O_CREAT, 0o644)
        try:
            with _locked(descriptor):
                content = _content(descriptor, path)
                log = _parsed(content)
                correction = make(log)
                line = correction.model_dump_json(exclude_defaults=True).encode() + b"\n"
                torn = content and not content.endswith(b"\n")
                _append(descriptor, b"\n" + line if torn else line, len(content), path)
        finally:
            os.close(descriptor)
        if is_new and os.name == "posix":
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    return CorrectionLog((*log.entries, correction), log.damaged)


def write_log(path: Path, log: CorrectionLog) -> None:
    """Write a whole log into a new file, atomically.

    Raises:
        BadInput: the file exists, because a log is never replaced, or cannot be written.
    """
    lines = [entry.model_dump_json(exclude_defaults=True) + "\n" for entry in log.entries]
    write_bytes(path, "".join(lines).encode(), overwrite=False, max_bytes=MAX_LOG_BYTES)


@contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    if sys.platform == "win32":  # appending is one call there, too, but nothing waits for another
        yield
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _append(descriptor: int, line: bytes, size: int, path: Path) -> None:
    """Append a line and flush it; on a full disk the file gets its old length back."""
    try:
        written = os.write(descriptor, line)
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise
    if written != len(line):
        os.ftruncate(descriptor, size)
        raise ResourceError(
            path,
            expected="space on the disk for a correction",
            found=f"space for {written} of {len(line)} bytes",
            remedy="free some space and repeat the last action",
        )


def _content(descriptor: int, path: Path) -> bytes:
    status = os.fstat(descriptor)
    size = status.st_size
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableFile(
            path,
            expected="a file of corrections",
            found="a folder, device or pipe",
            remedy="remove it",
        )
    if size > MAX_LOG_BYTES:
        raise UnreadableFile(
            path,
            expected=f"at most {MAX_LOG_BYTES} bytes of corrections",
            found=f"{size}",
            remedy="check that this is the right file",
        )
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        return file.read(MAX_LOG_BYTES)


def _parsed(content: bytes) -> CorrectionLog:
    entries: list[Correction] = []
    damaged = 0
    seen: set[str] = set()
    for line in content.split(b"\n"):
        if not line.strip():
            continue
        try:
            entry = Correction.model_validate_json(line)
        except ValidationError:
            damaged += 1
            continue
        if entry.id not in seen:
            seen.add(entry.id)
            entries.append(entry)
    return CorrectionLog(tuple(entries), damaged)


def _unreadable(path: Path, error: OSError) -> BadInput:
    return UnreadableFile(
        path,
        expected="a file of corrections",
        found=(error.strerror or str(error)).lower(),
        remedy="check the file and its permissions",
    )

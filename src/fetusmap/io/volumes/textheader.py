"""Text headers of NRRD and MetaImage, read up to a limit, and the numbers in them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fetusmap.errors import UnreadableFile
from fetusmap.files.reading import first_bytes
from fetusmap.io.volumes.limits import ReadLimits
from fetusmap.types import FloatArray, Triple

MAX_INTEGER = 2**31 - 1


def read_lines(
    file: BinaryIO, path: Path, limits: ReadLimits, is_last: Callable[[str], bool]
) -> tuple[list[str], int]:
    """Return the header lines up to and including the last one, and the number of their bytes.

    Raises:
        UnreadableFile: the header does not end within the limit, or it is not text.
    """
    head = first_bytes(file, path, limits.max_header_bytes)
    lines: list[str] = []
    start = 0
    while True:
        end = head.find(b"\n", start)
        if end < 0:
            # A detached header may end with the file instead of a line break.
            if start < len(head) < limits.max_header_bytes:
                lines.append(_text(path, head[start:]))
            elif len(head) >= limits.max_header_bytes:
                raise UnreadableFile(
                    path,
                    expected=f"a header of at most {limits.max_header_bytes} bytes",
                    found="no end of it",
                    remedy="write the file again",
                )
            return lines, len(head)
        lines.append(_text(path, head[start:end]))
        start = end + 1
        if is_last(lines[-1]):
            return lines, start


def numbers(path: Path, key: str, text: str, count: int) -> FloatArray:
    """Return exactly `count` numbers that are separated by white space."""
    try:
        values = np.array([float(word) for word in text.replace("_", "?").split()])
    except ValueError:
        values = np.empty(0)
    if len(values) != count:
        raise UnreadableFile(
            path,
            expected=f"{count} numbers in {key!r}",
            found=repr(text[:80]),
            remedy="write the file again",
        )
    return values


def spacing_in(text: str, mm_per_unit: float | None) -> Triple | None:
    """Return three numbers as a spacing in mm; None if the text or the unit is not known."""
    try:
        steps = [float(word) for word in text.split()]
    except ValueError:
        return None
    if len(steps) != 3 or mm_per_unit is None:
        return None
    first, second, third = (step * mm_per_unit for step in steps)
    return first, second, third


def integers(
    path: Path, key: str, text: str, count: int, low: int = 1, high: int = MAX_INTEGER
) -> tuple[int, ...]:
    """Return exactly `count` decimal integers from `low` to `high`."""
    words = text.split()
    if len(words) == count and all(re.fullmatch(r"[+-]?[0-9]{1,18}", word) for word in words):
        values = tuple(int(word) for word in words)
        if all(low <= value <= high for value in values):
            return values
    kind = "positive integers" if low == 1 else f"integers of {low} or more"
    raise UnreadableFile(
        path,
        expected=f"{count} {kind} up to {high} in {key!r}",
        found=repr(text[:80]),
        remedy="write the file again",
    )


def _text(path: Path, line: bytes) -> str:
    text = line.rstrip(b"\r")
    if any(byte < 32 and byte != 9 for byte in text):
        raise UnreadableFile(
            path,
            expected="a text header",
            found="bytes that are not text",
            remedy="check that the file is what its name says",
        )
    # Comments may be in any old encoding; the keys and numbers that count are plain ASCII.
    return text.decode("utf-8", "replace")

"""DICOM series of single frames: which files of a folder belong together, and their bytes as one.

The beginnings of all DICOM files of a folder are read in one child process. Only files with a
single frame form a series; any other file is a volume or a time series by itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

from fetusmap.errors import UnreadableFile
from fetusmap.files.reading import open_regular, read_head, size_of, visible_files
from fetusmap.io.sandbox.dicom import describe_instances
from fetusmap.io.volumes import dicom
from fetusmap.io.volumes.dicom_frames import MAX_FRAMES
from fetusmap.io.volumes.limits import MIB, ReadLimits

HEAD_BYTES = 132
SURVEY_BYTES = 1 << 15
"""Bytes of each file that are read to tell series apart; these elements come first."""

BATCH = 256
"""Files whose beginnings are read in one child process."""


def is_dicom(path: Path) -> bool:
    """Return whether a file begins like DICOM; a file that cannot be read does not."""
    try:
        return dicom.recognise(read_head(path, HEAD_BYTES))
    except UnreadableFile:
        return False


def series_in(folder: Path, limits: ReadLimits) -> list[tuple[Path, ...]]:
    """Return the files of each series of single frames in a folder, sorted by name.

    A file that is alone, that holds several frames, or whose beginning cannot be read belongs to no
    series.
    """
    paths = [
        p
        for p in visible_files(folder, "*")
        if p.name.upper() != "DICOMDIR" and p.is_file() and is_dicom(p)
    ]
    if len(paths) < 2:
        return []
    series: dict[tuple[Any, ...], list[Path]] = {}
    for start in range(0, len(paths), BATCH):
        batch = paths[start : start + BATCH]
        for path, stated in zip(batch, _survey(batch, folder, limits), strict=True):
            if stated is not None and (key := _series_key(stated, path)) is not None:
                series.setdefault(key, []).append(path)
    return [tuple(members) for members in series.values() if len(members) > 1]


def series_of(path: Path, limits: ReadLimits) -> tuple[Path, ...]:
    """Return the files of the series that a file with a single frame belongs to."""
    found = (members for members in series_in(path.parent, limits) if path in members)
    return next(found, (path,))


def open_series(
    paths: Sequence[Path], stack: ExitStack, limits: ReadLimits
) -> tuple[FileIO, list[tuple[int, int]]]:
    """Copy the files of a series into one temporary file without a name.

    What is checked, hashed and decoded are the bytes of this copy.

    Returns:
        The temporary file, and start and length of each instance in it.

    Raises:
        UnreadableFile: a file cannot be read, or the files are too many or too large.
    """
    copy = stack.enter_context(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115
    instances: list[tuple[int, int]] = []
    place = 0
    for path in paths:
        with open_regular(path, follow_links=limits.follow_links) as file:
            length = size_of(file)
            if place + length > limits.max_bytes or len(instances) == MAX_FRAMES:
                raise UnreadableFile(
                    path.parent,
                    expected=f"a series of at most {limits.max_bytes} bytes and {MAX_FRAMES} files",
                    found="more",
                    remedy="export one volume, or raise the limits for files you trust",
                )
            length = _copy(file, copy, length)
        instances.append((place, length))
        place += length
    return copy, instances


def _copy(file: BinaryIO, out: BinaryIO, length: int) -> int:
    """Copy at most `length` bytes, and return their number."""
    left = length
    while left and (piece := file.read(min(left, MIB))):
        out.write(piece)
        left -= len(piece)
    return length - left


def _survey(paths: Sequence[Path], folder: Path, limits: ReadLimits) -> list[Any]:
    with tempfile.TemporaryFile(buffering=0) as heads:
        instances: list[tuple[int, int]] = []
        for path in paths:
            head = read_head(path, SURVEY_BYTES)
            instances.append((heads.tell(), len(head)))
            heads.write(head)
        return describe_instances(heads, instances, folder, limits, task="survey")


def _series_key(stated: dict[str, Any], path: Path) -> tuple[Any, ...] | None:
    """Return what the files of one series share; None if the file is no single frame."""
    rows, columns = stated.get("Rows"), stated.get("Columns")
    if not (
        stated.get("SeriesInstanceUID")
        and stated.get("NumberOfFrames") in (None, 1.0)
        and isinstance(rows, float)
        and isinstance(columns, float)
    ):
        return None
    # One frame of colours of 16 bits takes 6 bytes per voxel. A file that is much larger holds
    # something else, such as a Kretz volume behind a picture of it.
    if path.stat().st_size > 6 * rows * columns + 2 * MIB:
        return None
    return stated["SeriesInstanceUID"], stated.get("SOPClassUID"), rows, columns

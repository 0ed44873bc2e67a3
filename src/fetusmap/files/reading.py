"""Checks before a file is read: is it a regular file, is it readable, what is its hash."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from fetusmap.errors import UnreadableFile


def check_regular_file(path: Path, *, follow_links: bool = False) -> int:
    """Make sure that `path` is a plain file that can be read, and return its size in bytes.

    Raises:
        UnreadableFile: missing, a folder, a link (unless they are followed), a device or pipe,
            empty, or forbidden.
    """
    try:
        status = path.stat() if follow_links else path.lstat()
    except (OSError, ValueError) as error:
        # Only a link that is followed can be there and yet not lead to a file.
        found = "a link that leads nowhere" if follow_links and is_link(path) else _reason(error)
        raise UnreadableFile(
            path, expected="a file", found=found, remedy="check the path"
        ) from error
    if stat.S_ISLNK(status.st_mode):
        raise UnreadableFile(
            path,
            expected="a file",
            found="a symbolic link",
            remedy="give the file it points to, or allow links with --follow-links",
        )
    if not stat.S_ISREG(status.st_mode):
        found = "a folder" if stat.S_ISDIR(status.st_mode) else "a device, pipe or socket"
        raise UnreadableFile(path, expected="a file", found=found, remedy="give the file itself")
    if status.st_size == 0:
        raise UnreadableFile(
            path,
            expected="a file with content",
            found="an empty file",
            remedy="copy or export it again",
        )
    if not os.access(path, os.R_OK):
        raise UnreadableFile(
            path,
            expected="a readable file",
            found="permission denied",
            remedy="ask for read permission",
        )
    return status.st_size


def is_link(path: Path) -> bool:
    """Whether the path is a symbolic link; no path that cannot exist is one."""
    try:
        return path.is_symlink()
    except (OSError, ValueError):
        return False


def read_head(path: Path, count: int) -> bytes:
    """The first `count` bytes of a file."""
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise UnreadableFile(
            path, expected="a readable file", found=_reason(error), remedy="check its permissions"
        ) from error


def visible_files(folder: Path, pattern: str) -> list[Path]:
    """Files that match, sorted, without what a process that was killed left half written."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()

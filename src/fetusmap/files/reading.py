"""Opening files safely: a file is checked after it was opened, and read from that same descriptor.

Between a check by name and a second opening by name another file could take the name. So a file is
opened once, and everything else (checks, hash, content) uses the open file.
"""

from __future__ import annotations

import hashlib
import os
import stat
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from fetusmap.errors import UnreadableFile

_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_FLAGS |= getattr(os, "O_NONBLOCK", 0)  # a pipe that took the name must not keep us waiting
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)


def open_regular(path: Path, *, follow_links: bool = False) -> FileIO:
    """Open a regular file that is not empty, for reading bytes.

    The checks by name give the error messages; the check of the open file decides. Symbolic links
    among the folders of the path are followed.

    Raises:
        UnreadableFile: the path is missing, a folder, a symbolic link (unless `follow_links`), a
            device or a pipe, or the file is empty or may not be read.
    """
    try:
        _refuse_unusual(path, path.stat() if follow_links else path.lstat())
        descriptor = os.open(path, _FLAGS | (0 if follow_links else _NO_LINKS))
    except (OSError, ValueError) as error:
        if isinstance(error, UnreadableFile):
            raise
        if isinstance(error, PermissionError):
            raise UnreadableFile(
                path,
                expected="a readable file",
                found="permission denied",
                remedy="ask for read permission",
            ) from error
        # Only a link that is followed can exist without leading to a file.
        found = "a link that leads nowhere" if follow_links and is_link(path) else _reason(error)
        raise UnreadableFile(
            path, expected="a file", found=found, remedy="check the path"
        ) from error
    # Without a buffer: a child process that reads the same descriptor moves its position.
    file = FileIO(descriptor, "rb")
    try:
        _refuse_unusual(path, os.fstat(descriptor))
    except UnreadableFile:
        file.close()
        raise
    return file


def _refuse_unusual(path: Path, status: os.stat_result) -> None:
    """Refuse whatever is not a regular file with content."""
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


def check_regular_file(path: Path, *, follow_links: bool = False) -> int:
    """Return the size in bytes of a regular file that can be read.

    Whoever reads the file afterwards should use `open_regular` instead.

    Raises:
        UnreadableFile: as `open_regular`.
    """
    with open_regular(path, follow_links=follow_links) as file:
        return size_of(file)


def size_of(file: BinaryIO) -> int:
    """Return the size in bytes of an open file."""
    return os.fstat(file.fileno()).st_size


def is_link(path: Path) -> bool:
    """Return whether the path is a symbolic link; a path that cannot exist is none."""
    try:
        return path.is_symlink()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Return whether the path is a folder; a path that cannot exist is none."""
    return os.path.isdir(path)  # noqa: PTH112 - unlike is_dir() it does not raise


def read_head(path: Path, count: int) -> bytes:
    """Return the first `count` bytes of a file.

    Raises:
        UnreadableFile: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise _unreadable(path, error) from error


def first_bytes(file: BinaryIO, path: Path, count: int) -> bytes:
    """Return the first `count` bytes of an open file; the path is for the error message.

    Raises:
        UnreadableFile: the file cannot be read.
    """
    try:
        file.seek(0)
        return file.read(count)
    except OSError as error:
        raise _unreadable(path, error) from error


def visible_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a folder that match, sorted, without hidden ones.

    Hidden are the files that an operating system adds (`._scan.nii.gz`), and what an atomic write
    that was killed left behind.
    """
    if not is_folder(folder):  # glob() raises for a name that is too long
        return []
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def sha256_of(file: Path | FileIO) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    if isinstance(file, Path):
        with file.open("rb", buffering=0) as opened:
            return sha256_of(opened)
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def _unreadable(path: Path, error: OSError) -> UnreadableFile:
    return UnreadableFile(
        path, expected="a readable file", found=_reason(error), remedy="check its permissions"
    )


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()

"""Atomic writing: a reader sees the old file or the whole new one, never a part."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fetusmap.errors import BadInput, DescribedError, ResourceError
from fetusmap.files.names import suffix_of
from fetusmap.files.reading import _reason

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers of a full disk and of an exhausted quota."""


@contextmanager
def atomic_path(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` if the block succeeds.

    If the block fails, no file is left behind. The temporary file has the same suffix, because
    writers choose their format by it.

    Raises:
        BadInput: the folder does not exist or cannot be written, or the file exists and may not be
            overwritten.
        ResourceError: the disk is full.
    """
    path = Path(path)
    suffix = suffix_of(path) or path.suffix
    temporary = path.with_name(f".{secrets.token_hex(8)}.partial{suffix}")
    try:
        if path.is_dir():
            raise BadInput(path, expected="a file name", found="a folder", remedy="add a file name")
        if path.exists() and not overwrite:
            raise BadInput(
                path,
                expected="a new file",
                found="an existing one",
                remedy="choose another name or allow it with --overwrite",
            )
        # A folder that cannot be written is reported now, and not later by the writing library.
        temporary.touch(exist_ok=False)
        temporary.unlink()
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        _move(temporary, path, overwrite)
    except OSError as error:
        raise _write_error(path, "a place that can be written", error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Turn what the file system refuses in a block into an error of one line.

    Raises:
        BadInput: the folder cannot be written.
        ResourceError: the disk is full.
    """
    try:
        yield
    except OSError as error:
        raise _write_error(folder, "a folder that can be written", error) from error


def make_folder(folder: Path) -> None:
    """Make a folder, and the folders that contain it, where they do not exist.

    Raises:
        BadInput: the folder cannot be made.
        ResourceError: the disk is full.
    """
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)


def _write_error(path: Path, expected: str, error: OSError) -> DescribedError:
    if error.errno in NO_SPACE:
        return ResourceError(
            path,
            expected="space on the disk",
            found=_reason(error),
            remedy="free some space and repeat the command",
        )
    return BadInput(
        path,
        expected=expected,
        found=_reason(error),
        remedy="check the folder, its permissions and the free space",
    )


def _move(temporary: Path, path: Path, overwrite: bool) -> None:
    """Rename the finished file; without `overwrite`, never replace another one."""
    if overwrite:
        temporary.replace(path)
    else:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links: another writer may still be replaced
            temporary.replace(path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_text(
    path: Path, text: str, *, overwrite: bool = True, max_bytes: int | None = None
) -> None:
    """Write UTF-8 text atomically.

    Raises:
        BadInput: the text has more than `max_bytes`, which its reader would refuse, or the place
            cannot be written.
    """
    write_bytes(path, text.encode("utf-8"), overwrite=overwrite, max_bytes=max_bytes)


def write_bytes(
    path: Path, content: bytes, *, overwrite: bool = True, max_bytes: int | None = None
) -> None:
    """Write a file atomically, as `write_text` does."""
    if max_bytes is not None and len(content) > max_bytes:
        raise BadInput(
            path,
            expected=f"at most {max_bytes} bytes, so that it can be read back",
            found=f"{len(content)}",
            remedy="put less into it",
        )
    with atomic_path(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(content)

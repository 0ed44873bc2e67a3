"""Files as such: safe to open, whole when written, named without surprises."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fetusmap.errors import BadInput, UnreadableFile

VOLUME_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
LONGEST_NAME = 255
"""Bytes of a file name on every usual file system."""

RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
"""Names that Windows keeps for devices."""

POSE_SUFFIXES = (".mrk.json", ".json", ".csv")
LIBRARY_SUFFIXES = (".safetensors",)


def suffix_of(path: Path, known: tuple[str, ...] = VOLUME_SUFFIXES + POSE_SUFFIXES) -> str:
    """The suffix that names a format, in lower case, such as ".nii.gz"; "" when it is none."""
    name = path.name.lower()
    return next((s for s in known if name.endswith(s) and len(name) > len(s)), "")


def format_suffix(path: Path, known: tuple[str, ...], what: str) -> str:
    """The suffix of a file to be written.

    Args:
        path: of the file.
        known: suffixes that name a format.
        what: is written, for the error.

    Raises:
        BadInput: another suffix.
    """
    suffix = suffix_of(path, known)
    if not suffix:
        raise BadInput(
            path,
            expected=f"one of {', '.join(known)}",
            found=repr(path.suffix),
            remedy=f"choose a {what} format by its suffix",
        )
    return suffix


def case_name(path: Path) -> str:
    """A case name from a file's stem: letters, digits, dot, dash and underscore only.

    Names never come from tags inside a file, which may hold a patient's name.
    """
    suffix = suffix_of(path) or path.suffix
    return safe_name(path.name[: len(path.name) - len(suffix)])


def safe_name(text: str) -> str:
    """A name that is safe as a file name everywhere; a safe name stays as it is."""
    cleaned = re.sub(r"[^A-Za-z0-9_.-]+", "_", text)[:128].strip("._-") or "case"
    return f"case-{cleaned}" if RESERVED.fullmatch(cleaned) else cleaned


def is_plain_name(name: str) -> bool:
    """Whether a name out of a file names something in the same folder, and can exist at all."""
    short = 0 < len(name.encode("utf-8", "replace")) <= LONGEST_NAME
    return short and name not in (".", "..") and not set(name) & set("/\\:\0%")


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


@contextmanager
def atomic_path(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well.

    Whoever reads `path` sees the old file or the whole new one, never a part; when the block
    fails, nothing is left behind. The temporary file has the same suffix, because writers choose
    their format by it.

    Raises:
        BadInput: the folder does not exist or cannot be written, or the file exists and may not be
            overwritten.
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
        # Fails at once, and in our words, where a library would fail later in its own.
        temporary.touch(exist_ok=False)
        temporary.unlink()
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        _move(temporary, path, overwrite)
    except OSError as error:
        raise BadInput(
            path,
            expected="a place that can be written",
            found=_reason(error),
            remedy="check the folder, its permissions and the free space",
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _move(temporary: Path, path: Path, overwrite: bool) -> None:
    """Put the finished file into its place; without `overwrite` never over another one."""
    if overwrite:
        temporary.replace(path)
    else:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links: nearly as good, but not against a race
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
    """Write UTF-8 text atomically; never more than its reader would take.

    Raises:
        BadInput: more than `max_bytes`, or a place that cannot be written.
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


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()

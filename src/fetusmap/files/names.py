"""Names of files and cases: which format a suffix stands for, and which names are safe."""

from __future__ import annotations

import re
from pathlib import Path

from fetusmap.errors import BadInput

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

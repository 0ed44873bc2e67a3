"""Names of files and cases: the format that a suffix stands for, and safe names."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from fetusmap.errors import BadInput

VOLUME_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".vol", ".dcm")
MAX_FILE_NAME_BYTES = 255
"""Longest name that every usual file system can hold."""

MAX_CASE_NAME_BYTES = 128
"""Longest case name; it leaves room for a suffix, a folder or a prefix."""

RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
"""Names that Windows reserves for devices."""

POSE_SUFFIXES = (".mrk.json", ".json", ".fcsv", ".csv")
LIBRARY_SUFFIXES = (".safetensors",)


def suffix_of(path: Path, known: tuple[str, ...] = VOLUME_SUFFIXES + POSE_SUFFIXES) -> str:
    """Return the suffix that names a format, in lower case, such as ".nii.gz"; "" if none does."""
    name = path.name.lower()
    return next((s for s in known if name.endswith(s) and len(name) > len(s)), "")


def format_suffix(path: Path, known: tuple[str, ...], what: str) -> str:
    """Return the suffix of a file that is to be written.

    Args:
        path: the file.
        known: suffixes that name a format.
        what: what is written, for the error message.

    Raises:
        BadInput: the suffix is not one of the known ones.
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
    """Return a case name from the name of a file.

    It never comes from tags inside the file, which may hold a patient's name.
    """
    suffix = suffix_of(path) or path.suffix
    return safe_name(path.name[: len(path.name) - len(suffix)])


def safe_name(text: str) -> str:
    """Return a name that is safe as a file name on every system; a safe name is not changed.

    A safe name has letters and digits of any script, dots, dashes and underscores, begins and ends
    with a letter or digit (or a mark that belongs to one), has at most `MAX_CASE_NAME_BYTES` bytes
    in UTF-8, and is not reserved. Every run of other characters becomes one underscore.
    """
    composed = unicodedata.normalize("NFC", text)
    replaced = "".join(c if _is_safe(c) else " " for c in composed)
    name = _trimmed(re.sub(" +", "_", replaced)) or "case"
    return _trimmed(f"case-{name}") if RESERVED.fullmatch(name) else name


def name_key(name: str) -> str:
    """Return what is the same for all names that some file system takes for one.

    File systems of Windows and macOS do not tell upper from lower case, and some do not tell an
    accented letter from a letter with an accent behind it.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _is_safe(character: str) -> bool:
    category = unicodedata.category(character)
    return character in "._-" or category[0] in "LM" or category == "Nd"


def _trimmed(name: str) -> str:
    """Cut a name to its greatest length, and remove what may not begin or end it."""
    # A mark at the beginning would be drawn onto the character before the name.
    start = next((n for n, c in enumerate(name) if unicodedata.category(c)[0] in "LN"), len(name))
    cut = name[start:].encode("utf-8")[:MAX_CASE_NAME_BYTES].decode("utf-8", "ignore")
    return cut.rstrip("._-")


def is_plain_name(name: str) -> bool:
    """Return whether a name from a file can be that of a file in the same folder."""
    short = 0 < len(name.encode("utf-8", "replace")) <= MAX_FILE_NAME_BYTES
    return short and name not in (".", "..") and not set(name) & set("/\\:\0%")

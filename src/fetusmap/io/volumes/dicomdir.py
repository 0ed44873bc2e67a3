"""DICOMDIR: the list of the DICOM files of a medium, compared with the files that are there.

The names in the list are only compared. None of them is opened, so that no list can lead out of its
folder.
"""

from __future__ import annotations

from pathlib import Path

from fetusmap.errors import UnreadableFile, one_line
from fetusmap.files.reading import open_regular, size_of
from fetusmap.io.sandbox.dicom import describe_instances
from fetusmap.io.volumes.limits import DEFAULT_LIMITS, ReadLimits

DICOMDIR = "DICOMDIR"
"""Name of the file that lists the DICOM files of a medium."""

SHOWN = 5


def check_dicomdir(folder: Path, limits: ReadLimits = DEFAULT_LIMITS) -> tuple[str, ...]:
    """Return a warning if files are missing that a DICOMDIR lists, or if it cannot be read.

    Args:
        folder: a folder with a DICOMDIR, or the DICOMDIR; any other path gives no warning.
        limits: time and memory for reading it.
    """
    path = _listing_of(folder)
    if path is None:
        return ()
    try:
        with open_regular(path, follow_links=limits.follow_links) as file:
            place = [(0, size_of(file))]
            (listed,) = describe_instances(file, place, path, limits, task="list")
    except UnreadableFile as error:
        return (f"{error}; files of the medium may be missing without a notice",)
    there = {_comparable(found.relative_to(path.parent).parts) for found in path.parent.rglob("*")}
    missing = ["/".join(parts) for parts in listed if _comparable(parts) not in there]
    if not missing:
        return ()
    shown = ", ".join(one_line(name) for name in missing[:SHOWN])
    more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    return (
        f"{path}: {len(missing)} of the {len(listed)} files that it lists are missing "
        f"({shown}{more}); copy the whole medium again if they belong to a volume",
    )


def _listing_of(folder: Path) -> Path | None:
    if folder.name.upper() == DICOMDIR and folder.is_file():
        return folder
    if not folder.is_dir():
        return None
    return next((p for p in folder.iterdir() if p.name.upper() == DICOMDIR and p.is_file()), None)


def _comparable(parts: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Return the parts of a name without what copying from a medium may change."""
    return tuple(part.upper().removesuffix(";1").rstrip(".") for part in parts)

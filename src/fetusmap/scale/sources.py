"""The cases of a command line: files, folders, datasets and tables, each with a unique name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fetusmap.dataset import is_dataset, load_dataset
from fetusmap.errors import BadInput
from fetusmap.files import VOLUME_SUFFIXES, case_name, suffix_of
from fetusmap.files.names import safe_name
from fetusmap.files.tables import read_rows


@dataclass(frozen=True)
class VolumeFile:
    """A case to predict: its name, unique in the run, and its file."""

    case: str
    path: Path


def find_volumes(sources: Sequence[Path]) -> list[VolumeFile]:
    """The cases of files, folders, datasets and tables (CSV with a column `path`), in order.

    A case is called after its file; where two files are called alike, the folder's name comes
    first.

    Raises:
        BadInput: a source without any volume, or two files that cannot be told apart by name.
    """
    found: list[VolumeFile] = []
    for source in sources:
        cases = list(_volumes_of(source))
        if not cases:
            raise BadInput(
                source,
                expected=f"volumes ({', '.join(VOLUME_SUFFIXES)})",
                found="none",
                remedy="give volume files, a folder of them, a dataset, or a CSV with their paths",
            )
        found += cases
    return _told_apart(found)


def _volumes_of(source: Path) -> Iterator[VolumeFile]:
    if is_dataset(source):
        yield from (VolumeFile(case.name, case.volume_path) for case in load_dataset(source).cases)
    elif source.is_dir():
        for path in sorted(source.iterdir()):
            if suffix_of(path, VOLUME_SUFFIXES):
                yield VolumeFile(case_name(path), path)
    elif source.suffix.lower() == ".csv":
        for row in read_rows(source, ["path"]):
            path = source.parent / row["path"]
            yield VolumeFile(safe_name(row.get("case") or case_name(path)), path)
    else:
        yield VolumeFile(case_name(source), source)


def _told_apart(found: list[VolumeFile]) -> list[VolumeFile]:
    """Cases of one name get their folder's name in front."""
    counts: dict[str, int] = {}
    for volume in found:
        counts[volume.case.lower()] = counts.get(volume.case.lower(), 0) + 1
    named = [
        replace(v, case=safe_name(f"{v.path.resolve().parent.name}-{v.case}"))
        if counts[v.case.lower()] > 1
        else v
        for v in found
    ]
    seen: dict[str, Path] = {}
    for volume in named:
        if volume.case.lower() in seen:
            raise BadInput(
                volume.path,
                expected="files that differ in name or in their folder's name",
                found=f"one called like {seen[volume.case.lower()]}",
                remedy="rename one, or predict them into two folders",
            )
        seen[volume.case.lower()] = volume.path
    return named

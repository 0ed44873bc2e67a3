"""The cases of a command line: files, folders, datasets and tables, each with a unique name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from fetusmap.dataset import is_dataset, load_dataset
from fetusmap.errors import BadInput
from fetusmap.files import VOLUME_SUFFIXES, case_name, read_rows, safe_name
from fetusmap.io import DICOMDIR, ReadLimits, Source, count_frames, find_sources
from fetusmap.scale.records import RESULT_FILES, SUMMARY_FILE, owner_of


@dataclass(frozen=True)
class VolumeFile:
    """A case to predict: its name, which is unique in the run, its file, and the frame in it."""

    case: str
    path: Path
    frame: int | None = None

    @property
    def source(self) -> str:
        """The file as records of a case name it: its absolute path."""
        return os.path.abspath(self.path)  # noqa: PTH100 - unlike absolute() it resolves `..`


def find_volumes(inputs: Sequence[Path]) -> list[VolumeFile]:
    """Find the cases of files, folders, datasets and tables (CSV with a column `path`), in order.

    A case is named after its file. If two files have the same name, the names of their folders
    come first. Hidden files of a folder are passed over.

    Raises:
        BadInput: an input holds no volume, or two files have the same name and folder.
    """
    found: list[VolumeFile] = []
    for path in inputs:
        cases = list(_volumes_of(path))
        if not cases:
            raise BadInput(
                path,
                expected=f"volumes ({', '.join(VOLUME_SUFFIXES)})",
                found="none",
                remedy="give volume files, a folder of them, a dataset, or a CSV with their paths",
            )
        found += cases
    return _with_unique_names(found)


def split_sequences(
    volumes: Sequence[VolumeFile], limits: ReadLimits, frame: int | None = None
) -> list[VolumeFile]:
    """Make a case of each volume of a 4D file; a file that cannot be read stays one case.

    Args:
        volumes: the cases, see `find_volumes`.
        limits: limits for reading the headers.
        frame: take only this volume of each 4D file, counted from 0.
    """
    split: list[VolumeFile] = []
    for volume in volumes:
        count = 1
        with suppress(BadInput):  # whoever predicts the case says what is wrong with it
            count = count_frames(volume.path, limits)
        if count == 1 and not frame:
            split.append(volume)
            continue
        split += [
            replace(volume, case=f"{volume.case}-{number:03d}", frame=number)
            for number in (range(count) if frame is None else (frame,))
        ]
    return _with_unique_names(split)


def assign_folders(
    volumes: Sequence[VolumeFile], output: Path, limits: ReadLimits
) -> tuple[list[VolumeFile], list[str]]:
    """Give each case a folder that does not belong to another file.

    A folder in the output belongs to the file whose results it holds. A case whose folder belongs
    to another file gets the name of its parent folder in front, and a number if that is not
    enough. A file that was moved keeps its folder, because its content is the same.

    Args:
        volumes: the cases, see `find_volumes`.
        output: the folder of all results.
        limits: limits for reading a file whose content must be compared.

    Returns:
        The cases under their final names, and a sentence for each one that was renamed.
    """
    assigned: list[VolumeFile] = []
    renamed: list[str] = []
    taken: set[str] = set()
    for volume in volumes:
        names = (name for name in _names_for(volume) if name.lower() not in taken)
        name = next(n for n in names if _may_use(output / n, volume, limits))
        taken.add(name.lower())
        assigned.append(replace(volume, case=name))
        if name != volume.case:
            renamed.append(
                f"{volume.path}: its case is called {name}, because {output / volume.case} holds "
                "the results of another file"
            )
    return assigned, renamed


def _volumes_of(path: Path) -> Iterator[VolumeFile]:
    if is_dataset(path):
        yield from (VolumeFile(case.name, case.volume_path) for case in load_dataset(path).cases)
    elif path.is_dir() or path.name.upper() == DICOMDIR:
        yield from (VolumeFile(found.name, found.path) for found in find_sources(path))
    elif path.suffix.lower() == ".csv":
        for row in read_rows(path, ["path"]):
            volume = path.parent / row["path"]
            yield VolumeFile(safe_name(row.get("case") or case_name(volume)), volume)
    else:
        yield VolumeFile(case_name(path), path)


def _with_unique_names(found: list[VolumeFile]) -> list[VolumeFile]:
    """Put the folder's name in front of names that occur more than once."""
    counts: dict[str, int] = {}
    for volume in found:
        counts[volume.case.lower()] = counts.get(volume.case.lower(), 0) + 1
    named = [
        replace(volume, case=_name_with_folder(volume))
        if counts[volume.case.lower()] > 1
        else volume
        for volume in found
    ]
    seen: dict[str, Path] = {}
    for volume in named:
        if volume.case.lower() in seen:
            raise BadInput(
                volume.path,
                expected="files that differ in name or in their folder's name",
                found=f"the same names as {seen[volume.case.lower()]}",
                remedy="rename one, or predict them into two folders",
            )
        seen[volume.case.lower()] = volume.path
    return named


def _names_for(volume: VolumeFile) -> Iterator[str]:
    yield volume.case
    longer = _name_with_folder(volume)
    yield longer
    yield from (_joined(longer, str(number)) for number in count(2))


def _name_with_folder(volume: VolumeFile) -> str:
    return _joined(volume.path.resolve().parent.name, volume.case)


def _joined(first: str, second: str) -> str:
    """Join two parts of a name; the first is shortened if the whole would be too long."""
    name = safe_name(f"{first}-{second}")
    while not name.endswith(second) and len(first) > 1:
        first = first[:-1]
        name = safe_name(f"{first}-{second}")
    return name


def _may_use(folder: Path, volume: VolumeFile, limits: ReadLimits) -> bool:
    """Whether a folder of results belongs to this file, or to none."""
    if folder.name.lower() == SUMMARY_FILE or folder.is_file():
        return False
    owner = owner_of(folder)
    if owner is None:  # results without a record were not written by this program, or by an old one
        return not any((folder / name).exists() for name in RESULT_FILES)
    if owner[0] == volume.source:
        return True
    if owner[0] and Path(owner[0]).exists():  # a copy is another file
        return False
    with suppress(BadInput):  # a file that cannot be read owns nothing
        return Source(volume.path, frame=volume.frame).sha256(limits) == owner[1]
    return False

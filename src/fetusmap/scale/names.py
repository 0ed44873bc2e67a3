"""Names of cases and their folders: unique in a run, on every file system, and stable.

File systems of Windows and macOS take names for one that differ only by case or by the way in which
an accent is encoded. So names are compared by `name_key`, and no two cases of an output share one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

from fetusmap.errors import BadInput
from fetusmap.files import name_key, safe_name, suffix_of
from fetusmap.io import ReadLimits, Source
from fetusmap.scale.records import COHORT_FILES, RESULT_FILES, owner_of
from fetusmap.scale.volume_file import VolumeFile


def with_unique_names(volumes: Sequence[VolumeFile]) -> list[VolumeFile]:
    """Give cases of the same name different ones, in the same order.

    Files of different folders get the names of as many of their folders in front as are needed.
    Files of one folder (`a.nii.gz` beside `a.nrrd`) get their format behind. What is left, such as
    `A.nii` beside `a.nii`, is numbered from 2 in the order of the cases.
    """
    named = _told_apart(volumes, _by_folders)
    named = _told_apart(named, _by_suffixes)
    taken: set[str] = {name_key(volume.case) for volume in named}
    numbers: dict[str, Iterator[int]] = {}
    numbered: list[VolumeFile] = []
    for volume in named:
        name = volume.case
        if name_key(name) in numbers:
            others = (_numbered(name, number) for number in numbers[name_key(name)])
            name = next(other for other in others if name_key(other) not in taken)
            taken.add(name_key(name))
        else:
            numbers[name_key(name)] = count(2)
        numbered.append(replace(volume, case=name))
    return numbered


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
    there = {path.name for path in output.iterdir()} if output.is_dir() else set()
    spelling = {name_key(name): name for name in there}
    assigned: list[VolumeFile] = []
    renamed: list[str] = []
    taken = {name_key(name) for name in COHORT_FILES}
    for volume in volumes:
        names = (
            name if name in there else spelling.get(name_key(name), name)
            for name in _names_for(volume)
            if name_key(name) not in taken
        )
        name = next(n for n in names if _may_use(output / n, volume, limits))
        taken.add(name_key(name))
        assigned.append(replace(volume, case=name))
        if name_key(name) != name_key(volume.case):
            place = output / spelling.get(name_key(volume.case), volume.case)
            renamed.append(
                f"{volume.path}: its case is called {name}, because {place} holds the results of "
                "another file, or is no folder of a case"
            )
    return assigned, renamed


def joined_name(first: str, second: str) -> str:
    """Join two parts of a name; the first is shortened if the whole would be too long."""
    if not first:
        return safe_name(second)
    ending = safe_name(second)
    name = safe_name(f"{first}-{ending}")
    while not name.endswith(ending) and len(first) > 1:
        first = first[:-1]
        name = safe_name(f"{first}-{ending}")
    return name


def _told_apart(
    volumes: Sequence[VolumeFile], rename: Callable[[list[VolumeFile]], list[str]]
) -> list[VolumeFile]:
    """Rename the cases of each group that shares a name."""
    groups: dict[str, list[int]] = {}
    for place, volume in enumerate(volumes):
        groups.setdefault(name_key(volume.case), []).append(place)
    named = list(volumes)
    for places in groups.values():
        if len(places) > 1:
            names = rename([volumes[place] for place in places])
            for place, name in zip(places, names, strict=True):
                named[place] = replace(named[place], case=name)
    return named


def _by_folders(group: list[VolumeFile]) -> list[str]:
    """Put as many folders in front as tell the folders of the cases apart."""
    folders = [volume.path.resolve().parent.parts for volume in group]
    different = len(set(folders))
    if different == 1:
        return [volume.case for volume in group]
    depth = next(n for n in count(1) if len({parts[-n:] for parts in folders}) == different)
    return [
        joined_name("-".join(parts[-depth:]), volume.case)
        for parts, volume in zip(folders, group, strict=True)
    ]


def _by_suffixes(group: list[VolumeFile]) -> list[str]:
    """Put the format behind, if the cases differ by it."""
    suffixes = [(suffix_of(v.path) or v.path.suffix).lower().replace(".", "-") for v in group]
    if len(set(suffixes)) == 1:
        return [volume.case for volume in group]
    return [_joined_ending(v.case, s) for v, s in zip(group, suffixes, strict=True)]


def _joined_ending(name: str, ending: str) -> str:
    return joined_name(name, ending.strip("-")) if ending else name


def _numbered(name: str, number: int) -> str:
    return joined_name(name, str(number))


def _names_for(volume: VolumeFile) -> Iterator[str]:
    yield volume.case
    longer = joined_name(volume.path.resolve().parent.name, volume.case)
    yield longer
    yield from (_numbered(longer, number) for number in count(2))


def _may_use(folder: Path, volume: VolumeFile, limits: ReadLimits) -> bool:
    """Whether a folder of results belongs to this file, or to none."""
    if folder.is_file():
        return False
    owner = owner_of(folder)
    if owner is None:  # results without a record were not written by this program, or by an old one
        return not any((folder / name).exists() for name in RESULT_FILES)
    if owner[0] == volume.source:
        return True
    if owner[0] and Path(owner[0]).exists():  # a copy is another file
        return False
    with suppress(BadInput):  # a file that cannot be read owns nothing
        source = Source(volume.path, frame=volume.frame, layout=volume.layout)
        return source.sha256(limits) == owner[1]
    return False

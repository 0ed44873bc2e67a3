"""The cases of a command line: files, folders, datasets and tables, each with a unique name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import overload

from fetusmap.dataset import is_dataset, load_dataset
from fetusmap.errors import BadInput
from fetusmap.files import VOLUME_SUFFIXES, case_name, is_folder, read_head, suffix_of
from fetusmap.io import (
    DEFAULT_LIMITS,
    DICOMDIR,
    RawLayout,
    ReadLimits,
    Source,
    count_frames,
    find_sources,
    is_volume_file,
    series_in,
)
from fetusmap.scale.input_table import TABLE_SUFFIXES, read_input_table
from fetusmap.scale.names import joined_name, with_unique_names
from fetusmap.scale.records import owner_of
from fetusmap.scale.volume_file import VolumeFile

NOT_PATIENTS = "__MACOSX"
"""A folder that an archive program adds."""

APPLE_DOUBLE = b"\x00\x05\x16\x07"
"""First bytes of the files that macOS puts beside others on foreign disks."""


@dataclass(frozen=True)
class FoundVolumes(Sequence[VolumeFile]):
    """The cases of a command line, in order, and what is to be said about its inputs.

    Attributes:
        volumes: the cases, each with a name that no other has.
        left_out: a sentence for each input that could not be used.
        notes: a sentence for each input that was used otherwise than one might expect.
    """

    volumes: tuple[VolumeFile, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]

    @overload
    def __getitem__(self, place: int) -> VolumeFile: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[VolumeFile, ...]: ...

    def __getitem__(self, place: int | slice) -> VolumeFile | tuple[VolumeFile, ...]:
        """Return one of the cases, or some of them."""
        return self.volumes[place]

    def __len__(self) -> int:
        """Return the number of cases."""
        return len(self.volumes)


def find_volumes(
    inputs: Sequence[Path], *, recursive: bool = False, follow_links: bool = False
) -> FoundVolumes:
    """Find the cases of files, folders, datasets and tables (CSV with a column `path`), in order.

    A case is named after its file. In a folder that is searched with all folders in it, the names
    of these folders come first. If files still have the same name, see `with_unique_names`.

    Hidden files and folders are passed over, and so are folders that hold results. A file that is
    given twice is one case, unless a table names it twice or asks for two of its volumes.

    Args:
        inputs: paths of the command line.
        recursive: search the folders in a folder, too.
        follow_links: search folders that are symbolic links; never one folder twice.

    Raises:
        BadInput: no input holds a volume.
    """
    search = _Search(recursive, follow_links)
    for path in inputs:
        before = len(search.found) + len(search.left_out)
        search.add(path)
        if len(search.found) + len(search.left_out) == before:
            search.left_out.append(str(_no_volumes(path, recursive)))
    _leave_out_resource_forks(search)
    if not search.found:
        if len(inputs) == 1 or not search.left_out:
            raise _no_volumes(inputs[0], recursive)
        raise BadInput(
            "INPUT",
            expected="volumes",
            found=f"none in {len(inputs)} inputs; {search.left_out[0]}",
            remedy="give volume files, a folder of them, a dataset, or a CSV with their paths",
        )
    _join_series(search)
    volumes = _without_repetitions(search)
    named = with_unique_names(volumes)
    search.notes += [
        f"{new.path}: its case is called {new.case}, because another one is called {old.case}"
        for old, new in zip(volumes, named, strict=True)
        if old.is_named and old.case != new.case
    ]
    return FoundVolumes(tuple(named), tuple(search.left_out), tuple(search.notes))


def describe_raw(volumes: Sequence[VolumeFile], layout: RawLayout) -> list[VolumeFile]:
    """Give a layout to the files of raw voxels, which state none themselves.

    Raises:
        BadInput: every file states its own layout.
    """
    described = [
        volume if is_volume_file(volume.path) else replace(volume, layout=layout)
        for volume in volumes
    ]
    if not any(volume.layout for volume in described):
        raise BadInput(
            "--shape",
            expected="a file of raw voxels among the inputs",
            found="only files that state their own layout",
            remedy="leave --shape, --dtype and --order out",
        )
    return described


def split_sequences(
    volumes: Sequence[VolumeFile], limits: ReadLimits, frame: int | None = None
) -> list[VolumeFile]:
    """Make a case of each volume of a 4D file; a file that cannot be read stays one case.

    Args:
        volumes: the cases, see `find_volumes`. One that states a frame stays as it is.
        limits: limits for reading the headers.
        frame: take only this volume of each 4D file, counted from 0.
    """
    split: list[VolumeFile] = []
    for volume in volumes:
        count = 1
        if volume.frame is None and volume.layout is None and not volume.problem:
            with suppress(BadInput):  # whoever predicts the case says what is wrong with it
                count = count_frames(volume.path, limits)
        if volume.frame is not None or (count == 1 and not frame):
            split.append(volume)
            continue
        split += [
            replace(volume, case=f"{volume.case}-{number:03d}", frame=number)
            for number in (range(count) if frame is None else (frame,))
        ]
    return with_unique_names(split)


@dataclass
class _Search:
    """Collects cases, and sentences about what is no case."""

    recursive: bool
    follow_links: bool
    found: list[VolumeFile] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    searched: set[str] = field(default_factory=set)

    def add(self, path: Path) -> None:
        """Add the cases of an input of the command line."""
        if path.suffix.lower() in TABLE_SUFFIXES and not is_folder(path):
            volumes, left_out, notes = read_input_table(path)
            self.found += volumes
            self.left_out += left_out
            self.notes += notes
        elif is_folder(path) or path.name.upper() == DICOMDIR:
            self.add_folder(path, ())
        else:
            self.found.append(VolumeFile(case_name(path), path))

    def add_folder(self, folder: Path, within: tuple[str, ...]) -> None:
        """Add the cases of a folder; `within` are the folders that lead to it from the input."""
        place = os.path.realpath(folder)
        if place in self.searched:
            self.notes.append(f"{folder}: searched once, though it is given or linked twice")
            return
        self.searched.add(place)
        try:
            if is_dataset(folder):
                for case in load_dataset(folder).cases:
                    name = joined_name("-".join(within), case.name)
                    self.found.append(VolumeFile(name, case.volume_path))
                return
            for source in find_sources(folder):
                parents = within[:-1] if source.kind == "series" else within
                self.found.append(
                    VolumeFile(joined_name("-".join(parents), source.name), source.path)
                )
            inside = _folders_in(folder)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            self.left_out.append(f"{folder}: not searched: {reason}")
            return
        if self.recursive:
            for path in inside:
                self._add_inner(path, within)
        elif any(map(_holds_volumes, inside)):
            self.notes.append(f"{folder}: the folders in it are not searched; --recursive does so")

    def _add_inner(self, folder: Path, within: tuple[str, ...]) -> None:
        """Add the cases of a folder in a folder."""
        if folder.is_symlink() and not self.follow_links:
            self.notes.append(f"{folder}: a link to a folder, not searched; --follow-links does so")
        elif owner_of(folder) is None:  # results hold no scans
            self.add_folder(folder, (*within, folder.name))


def _leave_out_resource_forks(search: _Search) -> None:
    """Leave out the files that macOS puts beside others, also where they are given by name."""
    kept: list[VolumeFile] = []
    for volume in search.found:
        magic = b""
        if volume.path.name.startswith("._"):
            with suppress(BadInput):
                magic = read_head(volume.path, len(APPLE_DOUBLE))
        if magic == APPLE_DOUBLE:
            search.notes.append(f"{volume.path}: a file that macOS puts beside another, ignored")
        else:
            kept.append(volume)
    search.found = kept


def _join_series(search: _Search) -> None:
    """Make one case of files that were given one by one, but are frames of one DICOM series."""
    by_folder: dict[Path, list[VolumeFile]] = {}
    for volume in search.found:
        if suffix_of(volume.path, VOLUME_SUFFIXES) in ("", ".dcm") and not volume.is_named:
            by_folder.setdefault(volume.path.parent, []).append(volume)
    for folder, volumes in by_folder.items():
        series: list[tuple[Path, ...]] = []
        if len(volumes) > 1 and is_folder(folder):
            with suppress(BadInput):  # a file that cannot be read is reported when its turn comes
                series = series_in(folder, DEFAULT_LIMITS)
        for members in series:
            given = [volume for volume in volumes if volume.path in members]
            if len(given) > 1:
                usual = Source(members[0], "series").name
                name = next((v.case for v in given if v.case.endswith(usual)), usual)
                search.found = [
                    replace(volume, case=name, path=members[0]) if volume in given else volume
                    for volume in search.found
                    if volume not in given[1:] or volume == given[0]
                ]
                search.notes.append(f"{folder}: {len(given)} files are one DICOM series, one case")


def _without_repetitions(search: _Search) -> list[VolumeFile]:
    """Leave out cases that are the same, and note each of them."""
    kept: dict[tuple[object, ...], VolumeFile] = {}
    folders: dict[Path, Path] = {}
    for volume in search.found:
        parent = volume.path.parent
        if parent not in folders:
            folders[parent] = parent.resolve()
        place = folders[parent] / volume.path.name
        name = volume.case if volume.is_named else None
        key = (place, volume.frame, volume.spacing_mm, name)
        if key in kept:
            search.notes.append(f"{volume.path}: given twice, and one case")
        else:
            kept[key] = volume
    return list(kept.values())


def _folders_in(folder: Path) -> list[Path]:
    """Return the visible folders in a folder, unless those of a DICOMDIR were searched already."""
    if not is_folder(folder) or any(path.name.upper() == DICOMDIR for path in folder.iterdir()):
        return []
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.name.startswith(".") and path.name != NOT_PATIENTS
    ]


def _holds_volumes(folder: Path) -> bool:
    with suppress(OSError):
        return any(
            suffix_of(path, VOLUME_SUFFIXES) and not path.name.startswith(".")
            for path in folder.iterdir()
        )
    return False


def _no_volumes(path: Path, recursive: bool) -> BadInput:
    inside: list[Path] = []
    with suppress(OSError):
        inside = [] if recursive else _folders_in(path)
    return BadInput(
        path,
        expected=f"volumes ({', '.join(VOLUME_SUFFIXES)})",
        found=f"none, but {len(inside)} folder{'s' * (len(inside) > 1)}" if inside else "none",
        remedy="search the folders in it with --recursive"
        if inside
        else "give volume files, a folder of them, a dataset, or a CSV with their paths",
    )

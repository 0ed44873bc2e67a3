"""`Source`: one volume, stored in one file or in several."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Literal

import numpy as np

from fetusmap.errors import UnreadableFile
from fetusmap.files.names import VOLUME_SUFFIXES, case_name, safe_name, suffix_of
from fetusmap.files.reading import open_regular, read_head, sha256_of, size_of
from fetusmap.io.volumes.dicom import SingleImage, read_instances
from fetusmap.io.volumes.dicom_series import is_dicom, open_series, series_in, series_of
from fetusmap.io.volumes.dicomdir import DICOMDIR
from fetusmap.io.volumes.header import VolumeHeader, check_size
from fetusmap.io.volumes.limits import DEFAULT_LIMITS, ReadLimits
from fetusmap.io.volumes.raw import RawLayout, header_from_layout, is_described
from fetusmap.io.volumes.recognition import HEAD_BYTES, format_of, read_header


@dataclass(frozen=True)
class Source:
    """One volume, stored in one file or in several.

    Attributes:
        path: the file; of a detached pair the header; of a DICOM series any of its files.
        kind: "file" for one file, with or without a data file beside it; "series" for a DICOM
            series of single frames. A file that turns out to be one frame of a series stands for
            the series, too.
        frame: number of the volume in a sequence, from 0; None if the source is one volume.
        layout: how to read a file of raw voxels; None for a file that states it itself.
    """

    path: Path
    kind: Literal["file", "series"] = "file"
    frame: int | None = None
    layout: RawLayout | None = None

    @property
    def name(self) -> str:
        """Case name, from the name of the file or folder, and never from its content."""
        stem = case_name(self.path)
        if self.kind == "series":  # the files of a series are usually numbered in each folder
            stem = safe_name(f"{self.path.absolute().parent.name}-{stem}")
        return stem if self.frame is None else safe_name(f"{stem}-{self.frame:03d}")

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that hold bytes of the volume: the file, or the header and its data file.

        Raises:
            UnreadableFile: the header cannot be read.
        """
        with open_source(self) as opened:
            return opened.files

    def sha256(self, limits: ReadLimits = DEFAULT_LIMITS) -> str:
        """Return the SHA-256 of all bytes of the volume's files.

        Raises:
            UnreadableFile: a file cannot be read.
        """
        with open_source(self, limits) as opened:
            return opened.sha256()


@dataclass(frozen=True)
class OpenedSource:
    """A source whose files are open, with its checked header.

    Whatever is computed from it (hash, voxels) comes from the files that were checked, even if
    another file takes one of their names.

    Attributes:
        header: the checked header.
        files: path of each file, the data file last.
        handles: the open files, in the same order; of a DICOM series one copy of all its files.
    """

    header: VolumeHeader
    files: tuple[Path, ...]
    handles: tuple[FileIO, ...]

    @property
    def data(self) -> FileIO:
        """The open file with the voxels."""
        return self.handles[-1]

    def sha256(self) -> str:
        """Return the hash of the file, or for several files the hash of their hashes."""
        hashes = [sha256_of(handle) for handle in self.handles]
        if len(hashes) == 1:
            return hashes[0]
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


@contextmanager
def open_source(source: Source, limits: ReadLimits = DEFAULT_LIMITS) -> Iterator[OpenedSource]:
    """Open each file of a source once, read its header, and check what the header announces.

    Raises:
        UnreadableFile: the source is not a volume file, or its header announces too much.
    """
    path = source.path
    with ExitStack() as stack:
        if source.layout is not None:
            file, files = open_regular(path, follow_links=limits.follow_links), [path]
            stack.enter_context(file)
            header = header_from_layout(source.layout, size_of(file), path)
        else:
            header, file, files = _open_whole(path, stack, limits)
        if source.frame is not None:
            header = header.of_frame(source.frame, path)
        elif header.frames > 1:
            raise UnreadableFile(
                path,
                expected="one volume",
                found=f"a sequence of {header.frames} volumes",
                remedy=f"choose one with --frame 0 to --frame {header.frames - 1}",
            )
        handles = [file]
        if header.data_path != path:
            files.append(header.data_path)
            handles.append(stack.enter_context(open_regular(header.data_path)))
        if header.described_by is not None:
            files.insert(0, header.described_by)
            handles.insert(0, stack.enter_context(open_regular(header.described_by)))
        check_size(header, size_of(handles[-1]), path, limits)
        yield OpenedSource(header, tuple(files), tuple(handles))


def _open_whole(
    path: Path, stack: ExitStack, limits: ReadLimits
) -> tuple[VolumeHeader, FileIO, list[Path]]:
    """Open a file, or the series that it is a frame of; return its header, handle and files."""
    file = stack.enter_context(open_regular(path, follow_links=limits.follow_links))
    with np.errstate(all="ignore"):  # a header that overflows is refused in words
        try:
            return read_header(file, path, limits), file, [path]
        except SingleImage:
            members = series_of(path, limits)
            if len(members) == 1:
                raise
        file, instances = open_series(members, stack, limits)
        return read_instances(file, instances, path, limits), file, list(members)


def count_frames(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> int:
    """Return the number of volumes in a file: 1, or that of a sequence.

    Raises:
        UnreadableFile: the file is not a volume file.
    """
    with ExitStack() as stack:
        return _open_whole(path, stack, limits)[0].frames


def find_sources(folder: Path) -> list[Source]:
    """Return the volumes of a folder, or of a DICOMDIR, sorted by name; hidden files are ignored.

    A file is a volume if its content is recognised or its suffix is that of a volume: such a file
    that turns out to be damaged is reported when it is read, and does not disappear silently. The
    files of a DICOM series of single frames are one volume. A folder with a DICOMDIR is searched
    with all folders in it; the names that the DICOMDIR lists are never opened.
    """
    if folder.name.upper() == DICOMDIR and folder.is_file():
        folder = folder.parent
    inside = DICOMDIR in {path.name.upper() for path in folder.iterdir()}
    folders = (
        [folder, *(p for p in sorted(folder.rglob("*")) if p.is_dir())] if inside else [folder]
    )
    return [source for place in folders for source in _volumes_beside(place)]


def is_volume_file(path: Path) -> bool:
    """Return whether a file is a volume that states its own layout, by suffix or content."""
    if suffix_of(path, VOLUME_SUFFIXES) or is_described(path):
        return True
    try:
        return format_of(read_head(path, HEAD_BYTES)) is not None
    except UnreadableFile:
        return False


def only_source(folder: Path) -> Source:
    """Return the only volume of a folder.

    Raises:
        UnreadableFile: the folder holds none, or several.
    """
    found = find_sources(folder)
    if len(found) == 1:
        return found[0]
    raise UnreadableFile(
        folder,
        expected="a folder with one volume",
        found=f"a folder with {len(found) or 'no'} volumes",
        remedy="give one of its files" if found else "give a volume file",
    )


def _volumes_beside(folder: Path) -> list[Source]:
    """Return the volumes among the files of one folder."""
    paths = [
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and path.name.upper() != DICOMDIR
        and path.is_file() and is_volume_file(path)
    ]  # fmt: skip
    series = series_in(folder, DEFAULT_LIMITS) if any(map(is_dicom, paths)) else []
    first = {members[0] for members in series}
    others = {path for members in series for path in members[1:]}
    return [
        Source(path, "series" if path in first else "file") for path in paths if path not in others
    ]

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
from fetusmap.io.volumes.header import VolumeHeader, check_size
from fetusmap.io.volumes.limits import DEFAULT_LIMITS, ReadLimits
from fetusmap.io.volumes.recognition import HEAD_BYTES, format_of, read_header


@dataclass(frozen=True)
class Source:
    """One volume, stored in one file or in several.

    Attributes:
        path: the file; of a detached pair the header; of a folder the folder.
        kind: "file" for one file, with or without a data file beside it; "folder" for the files of
            one folder together, which no format uses yet.
        frame: number of the volume in a sequence, from 0; None if the source is one volume.
    """

    path: Path
    kind: Literal["file", "folder"] = "file"
    frame: int | None = None

    @property
    def name(self) -> str:
        """Case name, from the name of the file or folder, and never from its content."""
        stem = case_name(self.path) if self.kind == "file" else safe_name(self.path.name)
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
        handles: the open files, in the same order.
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
    if source.kind == "folder":
        raise UnreadableFile(
            source.path,
            expected="one volume in one file, or a header with its data file",
            found="a folder",
            remedy="export one 3D volume as NIfTI, NRRD or MetaImage",
        )
    path = source.path
    with ExitStack() as stack:
        file = stack.enter_context(open_regular(path, follow_links=limits.follow_links))
        with np.errstate(all="ignore"):  # a header that overflows is refused in words
            header = read_header(file, path, limits)
        if source.frame is not None:
            header = header.of_frame(source.frame, path)
        elif header.frames > 1:
            raise UnreadableFile(
                path,
                expected="one volume",
                found=f"a sequence of {header.frames} volumes",
                remedy=f"choose one with --frame 0 to --frame {header.frames - 1}",
            )
        files, handles = [path], [file]
        if header.data_path != path:
            files.append(header.data_path)
            handles.append(stack.enter_context(open_regular(header.data_path)))
        check_size(header, size_of(handles[-1]), path, limits)
        yield OpenedSource(header, tuple(files), tuple(handles))


def count_frames(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> int:
    """Return the number of volumes in a file: 1, or that of a sequence.

    Raises:
        UnreadableFile: the file is not a volume file.
    """
    with open_regular(path, follow_links=limits.follow_links) as file, np.errstate(all="ignore"):
        return read_header(file, path, limits).frames


def find_sources(folder: Path) -> list[Source]:
    """Return the volumes of a folder, sorted by name; hidden files are ignored.

    A file is a volume if its content is recognised or its suffix is that of a volume: such a file
    that turns out to be damaged is reported when it is read, and does not disappear silently.
    """
    return [
        Source(path)
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and path.is_file() and _is_volume(path)
    ]


def _is_volume(path: Path) -> bool:
    if suffix_of(path, VOLUME_SUFFIXES):
        return True
    try:
        return format_of(read_head(path, HEAD_BYTES)) is not None
    except UnreadableFile:
        return False

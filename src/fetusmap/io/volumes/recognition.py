"""Recognition of a volume's format by the content of its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Protocol

from fetusmap.files.names import VOLUME_SUFFIXES, suffix_of
from fetusmap.files.reading import first_bytes
from fetusmap.io.volumes import dicom, kretz, metaimage, nifti, nrrd, raw
from fetusmap.io.volumes.header import VolumeHeader
from fetusmap.io.volumes.limits import ReadLimits
from fetusmap.io.volumes.private_files import refusal_of

HEAD_BYTES = nifti.HEAD_BYTES
"""Bytes of a file that are enough to recognise its format."""


class VolumeFormat(Protocol):
    """What the module of a volume format provides.

    The header that it reads says where the voxels are and how they are packed; the sandbox decodes
    them.
    """

    @property
    def NAME(self) -> str:  # noqa: N802
        """Name of the format for people."""
        ...

    @property
    def SUFFIXES(self) -> tuple[str, ...]:  # noqa: N802
        """Suffixes of its files."""
        ...

    def recognise(self, head: bytes) -> bool:
        """Return whether the first bytes of a file have this format."""
        ...

    def read_header(self, file: BinaryIO, path: Path, limits: ReadLimits) -> VolumeHeader:
        """Read the header of an open file."""
        ...


FORMATS: tuple[VolumeFormat, ...] = (nifti, nrrd, metaimage, kretz, dicom)


def format_of(head: bytes) -> VolumeFormat | None:
    """Return the format of a file that begins with these bytes, or None if it is not known."""
    return next((kind for kind in FORMATS if kind.recognise(head)), None)


def read_header(file: BinaryIO, path: Path, limits: ReadLimits) -> VolumeHeader:
    """Read the header of an open volume file, whatever its name.

    A name that contradicts the content is only a warning. If the content is not recognised, the
    reader of the format that the suffix names says what is wrong with it.

    Raises:
        UnreadableFile: neither content nor suffix belong to a volume format, or the header is
            refused.
    """
    by_content = format_of(first_bytes(file, path, HEAD_BYTES))
    suffix = suffix_of(path, VOLUME_SUFFIXES)
    endings = {suffix, path.suffix.lower()}
    by_name = next((kind for kind in FORMATS if endings & set(kind.SUFFIXES)), None)
    kind = by_content or by_name
    if kind is None and raw.is_described(path):
        return raw.read_described(file, path)
    if kind is None:
        raise refusal_of(path, first_bytes(file, path, HEAD_BYTES))
    header = kind.read_header(file, path, limits)
    if kind is by_name or (kind is dicom and by_name is None):  # DICOM files need no suffix
        return header
    name = f"named {suffix or path.suffix or 'without a suffix'}"
    return replace(header, warnings=(f"{name}, but the content is {kind.NAME}", *header.warnings))

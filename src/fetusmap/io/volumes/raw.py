"""Raw voxels: a file without a header, described by options or by a JSON document beside it.

The document of `scan.raw` is `scan.json`:

    {"shape": [220, 205, 260], "dtype": "uint8", "spacing": [0.5, 0.5, 0.5], "order": "F"}

`order` says which index changes fastest in the file: F the first one (as in NIfTI), C the last one
(as NumPy's `tofile` writes it).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.files.documents import Document, parse_document, read_json
from fetusmap.files.reading import size_of
from fetusmap.geometry import affine_from
from fetusmap.io.volumes.header import VolumeHeader
from fetusmap.types import Shape3, Triple

NAME = "raw voxels"
SUFFIXES = (".raw",)
TYPES = re.compile(r"[<>]?(u?int(8|16|32|64)|float(32|64)|[ui][1248]|f[48])")
MAX_LAYOUT_BYTES = 64 * 1024
ASSUMED_SIDES = (
    "raw voxels have no directions: their axes are taken as left, posterior and superior, so check "
    "one case with a known side before you rely on left and right (--mirror exchanges them)"
)


@dataclass(frozen=True)
class RawLayout:
    """How the bytes of a raw file are to be read.

    Attributes:
        shape: (I, J, K).
        dtype: type of a voxel, such as "uint8", "int16", or ">u2" for big-endian numbers.
        order: index that changes fastest, "F" the first or "C" the last one.

    Raises:
        BadInput: the shape, the type or the order makes no sense.
    """

    shape: Shape3
    dtype: str = "uint8"
    order: Literal["F", "C"] = "F"

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise BadInput(
                "shape",
                expected="three positive numbers of voxels",
                found=f"{self.shape}",
                remedy="give the number of voxels along each axis",
            )
        if not TYPES.fullmatch(self.dtype):
            raise BadInput(
                "dtype",
                expected="an integer from int8 or uint8 to int64 or uint64, float32 or float64",
                found=repr(self.dtype),
                remedy="name one of them; > in front of it means big endian",
            )
        if self.order not in ("F", "C"):
            raise BadInput(
                "order",
                expected="F or C",
                found=repr(self.order),
                remedy="F if the first index changes fastest, C if the last one does",
            )


class LayoutDocument(Document):
    """The document beside a raw file."""

    shape: tuple[int, int, int]
    dtype: str
    spacing: Triple
    order: Literal["F", "C"] = "F"


def layout_path(path: Path) -> Path:
    """Return the path of the document that describes a raw file."""
    return path.with_suffix(".json")


def is_described(path: Path) -> bool:
    """Return whether a file is named `.raw` and has a document with its layout beside it."""
    if path.suffix.lower() not in SUFFIXES or not layout_path(path).is_file():
        return False
    try:
        plain = read_json(layout_path(path), MAX_LAYOUT_BYTES)
    except BadInput:
        return False
    return isinstance(plain, dict) and {"shape", "dtype", "spacing"} <= set(plain)


def read_described(file: BinaryIO, path: Path) -> VolumeHeader:
    """Read the document beside an open raw file, and return its header.

    Raises:
        UnreadableFile: the document is not valid, or the file has another size.
    """
    place = layout_path(path)
    document = parse_document(LayoutDocument, read_json(place, MAX_LAYOUT_BYTES), place)
    layout = RawLayout(document.shape, document.dtype, document.order)
    return header_from_layout(
        layout, size_of(file), path, spacing_mm=document.spacing, described_by=place
    )


def header_from_layout(
    layout: RawLayout,
    size: int,
    path: Path,
    *,
    spacing_mm: Triple | None = None,
    described_by: Path | None = None,
) -> VolumeHeader:
    """Return the header of a raw file, which must have exactly the bytes of its voxels.

    Args:
        layout: shape, type and order of the voxels.
        size: bytes of the file.
        path: the file.
        spacing_mm: spacing of the voxels; without it the caller must give one.
        described_by: the document that states the layout.

    Raises:
        UnreadableFile: the file has another size.
    """
    dtype = np.dtype(layout.dtype)
    i, j, k = layout.shape
    if i * j * k * dtype.itemsize != size:
        raise UnreadableFile(
            path,
            expected=f"{i * j * k * dtype.itemsize} bytes ({i} x {j} x {k} of {layout.dtype})",
            found=f"{size}",
            remedy="check shape and type, and that the file has no header of its own",
        )
    affine = None
    if spacing_mm is not None:
        affine = affine_from(np.diag(np.array(spacing_mm, dtype=np.float64)), np.zeros(3))
    return VolumeHeader(
        format=NAME,
        shape=layout.shape,
        dtype=dtype,
        affine=affine,
        data_path=path,
        doubt="" if affine is not None else "raw voxels without a spacing",
        first_axis_fastest=layout.order == "F",
        described_by=described_by,
        sides_assumed=ASSUMED_SIDES,
        facts={"layout from": described_by.name if described_by else "options"},
    )

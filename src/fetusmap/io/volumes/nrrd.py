"""NRRD: reads attached (`.nrrd`) and detached (`.nhdr`) headers, and writes gzip files.

Source: the NRRD format definition (teem, NRRD0001 to NRRD0005).
"""

from __future__ import annotations

import gzip
import re
from math import prod
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from fetusmap.errors import UnreadableFile
from fetusmap.files.reading import first_bytes, size_of
from fetusmap.io.volumes.encode import LEVEL, voxel_pieces
from fetusmap.io.volumes.header import (
    Compression,
    VolumeHeader,
    detached_data,
    real_dtype,
)
from fetusmap.io.volumes.interleaving import Interleaving
from fetusmap.io.volumes.limits import ReadLimits
from fetusmap.io.volumes.nrrd_orientation import orientation_of, stated_spacing
from fetusmap.io.volumes.textheader import integers, read_lines
from fetusmap.types import FloatArray
from fetusmap.volume import Volume

NAME = "NRRD"
SUFFIXES = (".nrrd", ".nhdr")

DTYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(
        ("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"
    ),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(
        (
            "longlong",
            "long long",
            "long long int",
            "signed long long",
            "signed long long int",
            "int64",
            "int64_t",
        ),
        "i8",
    ),
    **dict.fromkeys(
        ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"), "u8"
    ),
    "float": "f4",
    "double": "f8",
}
TYPE_NAMES = {
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "float": "f4", "double": "f8",
}  # fmt: skip
ENCODINGS: dict[str, Compression] = {
    "raw": "none", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2",
}  # fmt: skip
SPACE_KINDS = {"domain", "space", "none", "???"}
"""Kinds of an axis that may be one of space; all others are colours, vectors and the like."""

FRAME_KINDS = {"list", "time"}
"""Kinds of an axis that numbers volumes of the same space."""

SKIPS = ("byte skip", "line skip")


def recognise(head: bytes) -> bool:
    """Return whether a file begins with the magic of NRRD, version 1 to 5."""
    return bool(re.match(rb"NRRD000[1-5]", head))


def read_header(file: BinaryIO, path: Path, limits: ReadLimits) -> VolumeHeader:
    """Read the header of an open NRRD file; the path names it and locates its data file.

    Raises:
        UnreadableFile: the file is not NRRD, is neither a volume nor a list of volumes, has an
            encoding or a layout that is not supported, or has its voxels outside the header's
            folder.
    """
    if not recognise(first_bytes(file, path, 8)):
        raise UnreadableFile(
            path,
            expected="the NRRD magic 'NRRD000x'",
            found="other bytes",
            remedy="check that the file is what its name says",
        )
    lines, data_start = read_lines(file, path, limits, is_last=lambda line: line == "")
    fields = _fields(path, lines[1:])

    sizes, list_axis = _axes(path, fields)
    shape = sizes[:list_axis] + sizes[list_axis + 1 :] if list_axis is not None else sizes
    kind = fields.get("type", "none").lower()
    dtype = real_dtype(path, DTYPES.get(kind), f"type {kind!r}")
    order = _byte_order(path, fields, dtype)
    dtype = dtype.newbyteorder(order)
    encoding = fields.get("encoding", "none").lower()
    if encoding not in ENCODINGS:
        raise UnreadableFile(
            path,
            expected=f"an encoding of {', '.join(ENCODINGS)}",
            found=encoding,
            remedy="write it again with gzip encoding",
        )
    frames = 1 if list_axis is None else sizes[list_axis]
    affine, how, doubt, warnings = orientation_of(path, fields, list_axis)
    data_path = _data_path(path, fields, data_start < size_of(file), limits)
    skip, at_end = _skip(path, fields, encoding, data_start if data_path == path else 0)
    return VolumeHeader(
        format=f"NRRD ({encoding})",
        shape=(shape[0], shape[1], shape[2]),
        dtype=dtype,
        affine=affine,
        spacing_mm=stated_spacing(fields, list_axis) if affine is None else None,
        frames=frames,
        interleaved=_interleaving(sizes, list_axis, dtype),
        data_path=data_path,
        doubt=doubt,
        skip_file=skip,
        voxels_at_end=at_end,
        compression=ENCODINGS[encoding],
        facts={
            "orientation from": how,
            "unit": fields.get("space units", "not given, taken as millimetre"),
            "byte order": "big endian" if order == ">" else "little endian",
            "data file": data_path.name,
            **({"sequence": f"{frames} volumes"} if frames > 1 else {}),
        },
        warnings=warnings,
    )


def _fields(path: Path, lines: list[str]) -> dict[str, str]:
    """Return the `key: value` lines by lower-case key; comments and `key:=value` are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        key, colon, value = line.partition(": ")
        if line.startswith("#") or not colon or ":=" in key:
            continue
        key = key.strip().lower()
        if key in fields:
            raise UnreadableFile(
                path, expected="each field once", found=f"{key!r} twice", remedy="write it again"
            )
        fields[key] = value.strip()
    return fields


def _axes(path: Path, fields: dict[str, str]) -> tuple[tuple[int, ...], int | None]:
    """Return the length of each axis, and the number of the axis that lists volumes, if any."""
    dimension = fields.get("dimension", "none").strip()
    kinds = fields.get("kinds", "").lower().split()
    count = {"3": 3, "4": 4}.get(dimension)
    if count is None or (count == 4 and len(kinds) != 4):
        raise UnreadableFile(
            path,
            expected="three axes, or four of which one is of the kind 'list' or 'time'",
            found=f"dimension {dimension}, kinds {' '.join(kinds) or 'none'}",
            remedy="extract one 3D volume of grey values",
        )
    lists = [axis for axis, kind in enumerate(kinds) if count == 4 and kind in FRAME_KINDS]
    others = [kind for axis, kind in enumerate(kinds) if axis not in lists[:1]]
    if not set(others) <= SPACE_KINDS or len(lists) != count - 3:
        raise UnreadableFile(
            path,
            expected="three axes of space" + (" and a list of volumes" if count == 4 else ""),
            found=f"kinds: {fields['kinds']}",
            remedy="extract one 3D volume of grey values",
        )
    sizes = integers(path, "sizes", fields.get("sizes", ""), count)
    return sizes, lists[0] if lists else None


def _interleaving(
    sizes: tuple[int, ...], list_axis: int | None, dtype: np.dtype[np.generic]
) -> Interleaving | None:
    """Return how the voxels of the volumes alternate; None if each volume is stored as a whole."""
    if list_axis in (None, 3) or sizes[list_axis] == 1:
        return None
    return Interleaving(prod(sizes[:list_axis]) * dtype.itemsize, sizes[list_axis])


def _byte_order(
    path: Path, fields: dict[str, str], dtype: np.dtype[np.generic]
) -> Literal["<", ">"]:
    """Return the byte order that the file states; it must if a value has several bytes."""
    orders: dict[str, Literal["<", ">"]] = {"little": "<", "big": ">"}
    stated = fields.get("endian", "little" if dtype.itemsize == 1 else "none").lower()
    if stated not in orders:
        raise UnreadableFile(
            path, expected="endian: little or big", found=stated, remedy="write the file again"
        )
    return orders[stated]


def _data_path(path: Path, fields: dict[str, str], has_voxels: bool, limits: ReadLimits) -> Path:
    """Return the file with the voxels: the one that the header names, or the header's own."""
    name = fields.get("data file", fields.get("datafile"))
    if name is not None and name.upper().startswith("LIST"):
        raise UnreadableFile(
            path, expected="one data file", found="a list", remedy="write it as one .nrrd"
        )
    if name is None and not has_voxels:
        raise UnreadableFile(
            path,
            expected="voxels after the header, or a 'data file' line in it",
            found="none",
            remedy="copy or export it again",
        )
    return path if name is None else detached_data(path, name, limits)


def _skip(path: Path, fields: dict[str, str], encoding: str, start: int) -> tuple[int, bool]:
    """Return the bytes before the voxels, and whether the voxels are the last bytes of the file.

    A byte skip of -1 stands for the end of the file.
    """
    bytes_, lines = (fields.get(k, fields.get(k.replace(" ", ""), "0")) for k in SKIPS)
    if bytes_ == "-1" and lines == "0" and ENCODINGS[encoding] == "none":
        return start, True
    if (bytes_, lines) != ("0", "0"):
        raise UnreadableFile(
            path,
            expected="voxels right after the header, or at the start of their file",
            found=f"byte skip {bytes_}, line skip {lines}",
            remedy="write it again as one .nrrd",
        )
    return start, False


def write_volume(volume: Volume, dtype: np.dtype[np.generic], path: Path) -> None:
    """Write an attached NRRD file, compressed with gzip; numbers keep all their digits."""
    grid = volume.grid
    kind = next(
        name for name, code in TYPE_NAMES.items() if code == f"{dtype.kind}{dtype.itemsize}"
    )
    lines = [
        "NRRD0004",
        f"type: {kind}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(str(n) for n in grid.shape)}",
        f"space directions: {' '.join(_vector(column) for column in grid.affine[:3, :3].T)}",
        "kinds: domain domain domain",
        "endian: little",
        "encoding: gzip",
        'space units: "mm" "mm" "mm"',
        f"space origin: {_vector(grid.origin_mm)}",
        "",
        "",
    ]
    with path.open("wb") as raw:
        raw.write("\n".join(lines).encode())
        with gzip.GzipFile("", "wb", LEVEL, raw, mtime=0) as packed:
            packed.writelines(voxel_pieces(volume.array, dtype.newbyteorder("<")))


def _vector(values: FloatArray) -> str:
    return f"({','.join(repr(float(v)) for v in values)})"

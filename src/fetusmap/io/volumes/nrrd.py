"""NRRD: reads attached (`.nrrd`) and detached (`.nhdr`) headers, and writes gzip files.

Source: the NRRD format definition (teem, NRRD0001 to NRRD0005).
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from fetusmap.errors import UnreadableFile
from fetusmap.files.reading import first_bytes, size_of
from fetusmap.geometry import affine_from
from fetusmap.io.volumes.encode import LEVEL, voxel_pieces
from fetusmap.io.volumes.header import (
    Compression,
    VolumeHeader,
    detached_data,
    real_dtype,
)
from fetusmap.io.volumes.limits import ReadLimits
from fetusmap.io.volumes.textheader import integers, numbers, read_lines
from fetusmap.types import Affine, FloatArray
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
# Signs that convert the file's world axes into left, posterior, superior.
SPACES = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
SPACE_KINDS = {"domain", "space", "none", "???"}
"""Kinds of an axis that may be one of space; all others are colours, vectors and the like."""

SKIPS = ("byte skip", "line skip")
MM_PER_UNIT = {
    "": 1.0, "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "millimeters": 1.0,
    "millimetres": 1.0, "m": 1000.0, "cm": 10.0, "centimeter": 10.0, "centimetre": 10.0,
    "centimeters": 10.0, "centimetres": 10.0, "um": 0.001, "\u00b5m": 0.001, "\u03bcm": 0.001,
    "micron": 0.001, "microns": 0.001, "micrometer": 0.001, "micrometre": 0.001,
    "micrometers": 0.001, "micrometres": 0.001,
}  # fmt: skip


def recognise(head: bytes) -> bool:
    """Return whether a file begins with the magic of NRRD, version 1 to 5."""
    return bool(re.match(rb"NRRD000[1-5]", head))


def read_header(file: BinaryIO, path: Path, limits: ReadLimits) -> VolumeHeader:
    """Read the header of an open NRRD file; the path names it and locates its data file.

    Raises:
        UnreadableFile: the file is not NRRD, not three-dimensional, has an encoding or a layout
            that is not supported, or has its voxels outside the header's folder.
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

    dimension = fields.get("dimension", "none")
    if dimension.strip() != "3":
        raise UnreadableFile(
            path,
            expected="three axes",
            found=f"dimension {dimension}",
            remedy="extract one 3D volume of grey values",
        )
    if not set(fields.get("kinds", "domain").lower().split()) <= SPACE_KINDS:
        raise UnreadableFile(
            path,
            expected="three axes of space",
            found=f"kinds: {fields['kinds']}",
            remedy="extract one 3D volume of grey values",
        )
    shape = integers(path, "sizes", fields.get("sizes", ""), 3)
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
    affine, how, doubt, warnings = _orientation(path, fields)
    data_path = _data_path(path, fields, data_start < size_of(file), limits)
    skip, at_end = _skip(path, fields, encoding, data_start if data_path == path else 0)
    return VolumeHeader(
        format=f"NRRD ({encoding})",
        shape=(shape[0], shape[1], shape[2]),
        dtype=dtype,
        affine=affine,
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


def _orientation(
    path: Path, fields: dict[str, str]
) -> tuple[Affine | None, str, str, tuple[str, ...]]:
    """Return world_from_index in LPS mm, where it was found, a doubt, and warnings."""
    space = fields.get("space", "").lower()
    directions = fields.get("space directions")
    spacings = fields.get("spacings", "none")
    if space not in SPACES or directions is None or spacings != "none":
        return None, "none", f"space {space or 'none'!r} with spacings {spacings}", ()
    columns = _vectors(path, "space directions", directions, 3).T
    origin = _vectors(path, "space origin", fields.get("space origin", "(0,0,0)"), 1)[0]
    units = set(re.findall(r'"([^"]*)"', fields.get("space units", '"mm"')))
    mm = MM_PER_UNIT.get(units.pop().lower()) if len(units) == 1 else None
    # With an unknown unit the directions are still right; only a given spacing makes them usable.
    doubt = f"space units {fields['space units']}" if mm is None else ""
    unstated = '""' in fields.get("space units", "")
    warnings = ("no unit in the file: taken as millimetres",) if unstated else ()
    signs = np.array(SPACES[space], dtype=np.float64)
    affine = affine_from(columns * signs[:, None] * (mm or 1.0), origin * signs * (mm or 1.0))
    return affine, space, doubt, warnings


def _vectors(path: Path, key: str, text: str, count: int) -> FloatArray:
    """Return the vectors of `(a,b,c) (d,e,f) ...` as a (count, 3) array."""
    groups = re.findall(r"\(([^()]*)\)", text)
    if len(groups) != count or "none" in text.lower():
        raise UnreadableFile(
            path,
            expected=f"{count} vectors in {key!r}",
            found=repr(text[:80]),
            remedy="write the file again",
        )
    return np.array([numbers(path, key, group.replace(",", " "), 3) for group in groups])


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

"""NRRD: headers in, attached (`.nrrd`) and detached (`.nhdr`); gzip files out.

Source: the NRRD format definition (teem, NRRD0001 to NRRD0005).
"""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from fetusmap.errors import UnreadableFile
from fetusmap.files.reading import read_head
from fetusmap.geometry import affine_from
from fetusmap.io.volumes.encode import LEVEL, voxel_pieces
from fetusmap.io.volumes.header import (
    Compression,
    VolumeHeader,
    detached_data,
    real_dtype,
    skip_to_last,
)
from fetusmap.io.volumes.limits import ReadLimits
from fetusmap.io.volumes.textheader import integers, numbers, read_lines
from fetusmap.types import Affine, FloatArray
from fetusmap.volume import Volume

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
# Signs that turn the file's world axes into left, posterior, superior.
SPACES = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
SKIPS = ("byte skip", "line skip")
MM_PER_UNIT = {
    "": 1.0, "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "millimeters": 1.0,
    "millimetres": 1.0, "m": 1000.0, "cm": 10.0, "um": 0.001, "\u00b5m": 0.001,
}  # fmt: skip


def read_header(path: Path, limits: ReadLimits) -> VolumeHeader:
    """Read the header of a `.nrrd` or `.nhdr` file.

    Raises:
        UnreadableFile: not NRRD, not three-dimensional, an encoding or a layout that is not
            supported, or voxels outside the header's folder.
    """
    if not re.match(rb"NRRD000[1-5]", read_head(path, 8)):
        raise UnreadableFile(
            path,
            expected="the NRRD magic 'NRRD000x'",
            found="other bytes",
            remedy="check that the file is what its name says",
        )
    lines, data_start = read_lines(path, limits, is_last=lambda line: line == "")
    fields = _fields(path, lines[1:])

    dimension = fields.get("dimension", "none")
    if dimension.strip() != "3":
        raise UnreadableFile(
            path,
            expected="three axes",
            found=f"dimension {dimension}",
            remedy="extract one 3D volume of grey values",
        )
    odd = set(fields.get("kinds", "domain").lower().split()) - {"domain", "space", "none", "???"}
    if odd:
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
    data_path, start = _voxels_of(path, fields, data_start, limits)
    header = VolumeHeader(
        format=f"NRRD ({encoding})",
        shape=(shape[0], shape[1], shape[2]),
        dtype=dtype,
        affine=affine,
        data_path=data_path,
        doubt=doubt,
        compression=ENCODINGS[encoding],
        facts={
            "orientation from": how,
            "unit": fields.get("space units", "not given, taken as millimetre"),
            "byte order": "big endian" if order == ">" else "little endian",
            "data file": data_path.name,
        },
        warnings=warnings,
    )
    return replace(header, skip_file=_skip(path, fields, header, start))


def _fields(path: Path, lines: list[str]) -> dict[str, str]:
    """`key: value` lines by lower-case key; comments and `key:=value` remarks are left out."""
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
    """What the file says; types of several bytes must say it."""
    orders: dict[str, Literal["<", ">"]] = {"little": "<", "big": ">"}
    told = fields.get("endian", "little" if dtype.itemsize == 1 else "none").lower()
    if told not in orders:
        raise UnreadableFile(
            path, expected="endian: little or big", found=told, remedy="write the file again"
        )
    return orders[told]


def _voxels_of(
    path: Path, fields: dict[str, str], data_start: int, limits: ReadLimits
) -> tuple[Path, int]:
    """The file with the voxels and where they may start in it."""
    name = fields.get("data file", fields.get("datafile"))
    if name is not None and name.upper().startswith("LIST"):
        raise UnreadableFile(
            path, expected="one data file", found="a list", remedy="write it as one .nrrd"
        )
    if name is None and path.name.lower().endswith(".nhdr"):
        raise UnreadableFile(
            path, expected="a 'data file' line", found="none", remedy="write it as .nrrd"
        )
    return (path, data_start) if name is None else (detached_data(path, name, limits), 0)


def _skip(path: Path, fields: dict[str, str], header: VolumeHeader, start: int) -> int:
    """Bytes before the voxels; a byte skip of -1 means "the end of the file"."""
    bytes_, lines = (fields.get(k, fields.get(k.replace(" ", ""), "0")) for k in SKIPS)
    if bytes_ == "-1" and lines == "0" and header.compression == "none":
        return skip_to_last(header, start)
    if (bytes_, lines) != ("0", "0"):
        raise UnreadableFile(
            path,
            expected="voxels right after the header, or at the start of their file",
            found=f"byte skip {bytes_}, line skip {lines}",
            remedy="write it again as one .nrrd",
        )
    return start


def _orientation(
    path: Path, fields: dict[str, str]
) -> tuple[Affine | None, str, str, tuple[str, ...]]:
    """World_from_index in LPS mm, how it was found, a doubt, and warnings."""
    space = fields.get("space", "").lower()
    directions = fields.get("space directions")
    spacings = fields.get("spacings", "none")
    if space not in SPACES or directions is None or spacings != "none":
        return None, "none", f"space {space or 'none'!r} with spacings {spacings}", ()
    columns = _vectors(path, "space directions", directions, 3).T
    origin = _vectors(path, "space origin", fields.get("space origin", "(0,0,0)"), 1)[0]
    units = set(re.findall(r'"([^"]*)"', fields.get("space units", '"mm"')))
    mm = [MM_PER_UNIT.get(unit.lower()) for unit in units]
    if len(mm) != 1 or mm[0] is None:
        return None, space, f"space units {fields['space units']}", ()
    warnings = ("no unit in the file: taken as millimetres",) if "" in units else ()
    signs = np.array(SPACES[space], dtype=np.float64)
    affine = affine_from(columns * signs[:, None] * mm[0], origin * signs * mm[0])
    return affine, space, "", warnings


def _vectors(path: Path, key: str, text: str, count: int) -> FloatArray:
    """`(a,b,c) (d,e,f) ...` as a (count, 3) array."""
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
    """Write an attached, gzip-compressed NRRD file; numbers keep all their digits."""
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

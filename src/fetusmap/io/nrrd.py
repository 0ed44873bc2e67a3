"""NRRD headers, attached (`.nrrd`) and detached (`.nhdr`), raw, gzip or bzip2.

Source: the NRRD format definition (teem, NRRD0001 to NRRD0005).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Literal

import numpy as np

from fetusmap.errors import UnreadableFile
from fetusmap.geometry import affine_from
from fetusmap.io.files import read_head
from fetusmap.io.header import Compression, VolumeHeader, detached_data, real_dtype
from fetusmap.io.limits import ReadLimits
from fetusmap.io.textheader import numbers, positive_integers, read_lines
from fetusmap.types import Affine, FloatArray

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
ENCODINGS: dict[str, Compression] = {
    "raw": "none", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2",
}  # fmt: skip
# Signs that turn the file's world axes into left, posterior, superior.
SPACES = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
MM_PER_UNIT = {"mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "m": 1000.0, "cm": 10.0,
               "um": 0.001, "\u00b5m": 0.001}  # fmt: skip


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
    fields = _fields(lines[1:])

    dimension = fields.get("dimension", "none")
    if dimension.strip() != "3":
        raise UnreadableFile(
            path,
            expected="three axes",
            found=f"dimension {dimension}",
            remedy="extract one 3D volume of grey values",
        )
    shape = positive_integers(path, "sizes", fields.get("sizes", ""), 3)
    kind = fields.get("type", "none").lower()
    order: Literal["<", ">"] = ">" if fields.get("endian", sys.byteorder).lower() == "big" else "<"
    dtype = real_dtype(path, DTYPES.get(kind), f"type {kind!r}").newbyteorder(order)
    encoding = fields.get("encoding", "none").lower()
    if encoding not in ENCODINGS:
        raise UnreadableFile(
            path,
            expected=f"an encoding of {', '.join(ENCODINGS)}",
            found=encoding,
            remedy="write it again with gzip encoding",
        )
    data_path, skip = _where_voxels_start(path, fields, data_start)
    affine, how, doubt = _orientation(path, fields)
    return VolumeHeader(
        format=f"NRRD ({encoding})",
        shape=(shape[0], shape[1], shape[2]),
        dtype=dtype,
        affine=affine,
        data_path=data_path,
        doubt=doubt,
        skip_file=skip if ENCODINGS[encoding] == "none" or data_path == path else 0,
        compression=ENCODINGS[encoding],
        facts={
            "orientation from": how,
            "unit": fields.get("space units", "not given, taken as millimetre"),
            "byte order": "big endian" if order == ">" else "little endian",
            "data file": data_path.name,
        },
    )


def _fields(lines: list[str]) -> dict[str, str]:
    """`key: value` lines by lower-case key; comments and `key:=value` remarks are left out."""
    pairs = (
        line.split(": ", 1)
        for line in lines
        if not line.startswith("#") and ": " in line and ":=" not in line.split(": ", 1)[0]
    )
    return {key.strip().lower(): value.strip() for key, value in pairs}


def _where_voxels_start(path: Path, fields: dict[str, str], data_start: int) -> tuple[Path, int]:
    """The file with the voxels and the bytes before them."""
    name = fields.get("data file", fields.get("datafile"))
    skips = {
        key: fields.get(key, fields.get(key.replace(" ", ""), "0"))
        for key in ("byte skip", "line skip")
    }
    if any(value != "0" for value in skips.values()) or (name or "").upper().startswith("LIST"):
        raise UnreadableFile(
            path,
            expected="one block of voxels right after the header or in one file",
            found="a skip, or a list of files",
            remedy="write it again as a single .nrrd",
        )
    if name is None:
        if path.name.lower().endswith(".nhdr"):
            raise UnreadableFile(
                path, expected="a 'data file' line", found="none", remedy="write it as .nrrd"
            )
        return path, data_start
    return detached_data(path, name), 0


def _orientation(path: Path, fields: dict[str, str]) -> tuple[Affine | None, str, str]:
    """World_from_index in LPS mm, how it was found, and a doubt."""
    space = fields.get("space", "").lower()
    directions = fields.get("space directions")
    if space not in SPACES or directions is None:
        spacings = fields.get("spacings", "none")
        return None, "none", f"space {space or 'none'!r} with spacings {spacings}"
    columns = _vectors(path, "space directions", directions, 3).T
    origin = _vectors(path, "space origin", fields.get("space origin", "(0,0,0)"), 1)[0]
    units = re.findall(r'"([^"]*)"', fields.get("space units", "")) or ["mm"]
    if len(set(units)) > 1 or units[0].lower() not in MM_PER_UNIT:
        return None, space, f"space units {fields['space units']}"
    mm = MM_PER_UNIT[units[0].lower()]
    signs = np.array(SPACES[space], dtype=np.float64)[:, None]
    return affine_from(columns * signs * mm, origin * signs[:, 0] * mm), space, ""


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

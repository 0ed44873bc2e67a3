"""MetaImage: reads attached (`.mha`) and detached (`.mhd`) headers, and writes zlib files.

Source: the MetaIO documentation, and its keys as ITK reads them. ITK keeps the direction of index
axis n in row n of TransformMatrix, and ignores CenterOfRotation and AnatomicalOrientation. This
module does the same.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from fetusmap.errors import UnreadableFile
from fetusmap.geometry import affine_from
from fetusmap.io.volumes.encode import LEVEL, voxel_pieces
from fetusmap.io.volumes.header import VolumeHeader, detached_data, real_dtype
from fetusmap.io.volumes.length_units import mm_per_unit
from fetusmap.io.volumes.limits import ReadLimits
from fetusmap.io.volumes.textheader import (
    MAX_INTEGER,
    integers,
    numbers,
    read_lines,
    spacing_in,
)
from fetusmap.types import Affine, FloatArray, Triple
from fetusmap.volume import Volume

NAME = "MetaImage"
SUFFIXES = (".mha", ".mhd")

DTYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2",
    "MET_INT": "i4", "MET_UINT": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
LAST_KEY = "ElementDataFile"
OFFSETS = ("Offset", "Position", "Origin")
MATRICES = ("TransformMatrix", "Rotation", "Orientation")
SIZE_PLACEHOLDER = "?" * 16


def recognise(head: bytes) -> bool:
    """Return whether a file begins like MetaImage: `Key = value` lines, with NDims among them."""
    return bool(
        re.match(rb"\s*[A-Za-z]\w*[ \t]*=", head) and re.search(rb"(?m)^[ \t]*NDims[ \t]*=", head)
    )


def read_header(file: BinaryIO, path: Path, limits: ReadLimits) -> VolumeHeader:
    """Read the header of an open MetaImage file; the path names it and locates its data file.

    Raises:
        UnreadableFile: the file is not MetaImage, not three-dimensional, has more than one value
            per voxel, has its voxels as text, or has them outside the header's folder.
    """
    lines, data_start = read_lines(
        file, path, limits, is_last=lambda line: line.split("=")[0].strip() == LAST_KEY
    )
    fields = _fields(path, lines)
    if "NDims" not in fields or LAST_KEY not in fields:
        raise UnreadableFile(
            path,
            expected="a MetaImage header with NDims and ElementDataFile",
            found="none",
            remedy="check that the file is what its name says",
        )
    if fields["NDims"] != "3":
        raise UnreadableFile(
            path,
            expected="three axes",
            found=f"NDims = {fields['NDims']}",
            remedy="extract one 3D volume",
        )
    shape = integers(path, "DimSize", fields.get("DimSize", ""), 3)
    channels = fields.get("ElementNumberOfChannels", "1")
    kind = fields.get("ElementType", "none")
    found = f"{channels} channels of {kind}"
    msb = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False"))
    order: Literal["<", ">"] = ">" if _is_true(msb) else "<"
    dtype = real_dtype(path, DTYPES.get(kind) if channels == "1" else None, found)
    if not _is_true(fields.get("BinaryData", "True")):
        raise UnreadableFile(
            path, expected="binary voxels", found="text", remedy="write it again as binary"
        )
    packed = _is_true(fields.get("CompressedData", "False"))
    affine, how, doubt = _orientation(path, fields)
    local = fields[LAST_KEY].upper() == "LOCAL"
    data_path = path if local else detached_data(path, fields[LAST_KEY], limits)
    skip, at_end = _skip(path, fields, packed, data_start if local else 0)
    return VolumeHeader(
        format="MetaImage" + (" (zlib)" if packed else ""),
        shape=(shape[0], shape[1], shape[2]),
        dtype=dtype.newbyteorder(order),
        affine=affine,
        data_path=data_path,
        spacing_mm=_spacing(fields) if affine is None else None,
        doubt=doubt,
        conflict=_conflict(fields),
        skip_file=skip,
        voxels_at_end=at_end,
        compression="zlib" if packed else "none",
        facts={
            "orientation from": how,
            "unit": fields.get("DistanceUnits", "millimetre by definition"),
            "byte order": "big endian" if order == ">" else "little endian",
            "data file": data_path.name,
        },
    )


def _fields(path: Path, lines: list[str]) -> dict[str, str]:
    """Return the `Key = value` lines by key."""
    fields: dict[str, str] = {}
    for key, _, value in (line.partition("=") for line in lines):
        if key.strip() in fields and key.strip() != "Comment":
            raise UnreadableFile(
                path,
                expected="each key once",
                found=f"{key.strip()!r} twice",
                remedy="write it again",
            )
        fields[key.strip()] = value.strip()
    return fields


def _spacing(fields: dict[str, str]) -> Triple | None:
    """Return the spacing of a file that states no directions."""
    unit = mm_per_unit(fields.get("DistanceUnits", "mm"))
    return spacing_in(fields.get("ElementSpacing", fields.get("ElementSize", "")), unit)


def _conflict(fields: dict[str, str]) -> str:
    """Return the synonymous keys that state different geometries, in words, or ""."""
    for keys in (OFFSETS, MATRICES):
        stated = sorted({fields[key] for key in keys if key in fields})
        if len(stated) > 1:
            return f"several of {', '.join(keys)}: {'; '.join(stated)}"
    return ""


def _skip(path: Path, fields: dict[str, str], packed: bool, start: int) -> tuple[int, bool]:
    """Return the bytes before the voxels, and whether the voxels are the last bytes of the file.

    HeaderSize states the bytes before the voxels; -1 stands for the end of the file.
    """
    (size,) = integers(path, "HeaderSize", fields.get("HeaderSize", "0"), 1, -1, MAX_INTEGER)
    if size >= 0:
        return size or start, False
    if packed:
        raise UnreadableFile(
            path,
            expected="HeaderSize of 0 or more for compressed voxels",
            found="-1",
            remedy="write it again as one .mha",
        )
    return start, True


def _orientation(path: Path, fields: dict[str, str]) -> tuple[Affine | None, str, str]:
    """Return world_from_index in LPS mm, where it was found, and a doubt."""

    def first(*keys: str) -> str | None:
        return next((fields[key] for key in keys if key in fields), None)

    spacing = first("ElementSpacing", "ElementSize")
    matrix = first(*MATRICES)
    if matrix is None:
        return None, "none", "no TransformMatrix"
    rows = numbers(path, "TransformMatrix", matrix, 9).reshape(3, 3)
    steps = numbers(path, "ElementSpacing", spacing or "0 0 0", 3)
    offset = numbers(path, "Offset", first(*OFFSETS) or "0 0 0", 3)
    unit = fields.get("DistanceUnits", "mm").lower()
    mm = mm_per_unit(unit)
    doubt = ""
    if mm is None:
        doubt = f"DistanceUnits = {unit}"
    elif spacing is None:
        doubt = "no ElementSpacing"
    elif not (steps > 0).all():
        doubt = f"ElementSpacing = {spacing}"
    # A spacing that is not positive would mirror or flatten the directions of the matrix.
    steps = np.where(steps > 0, steps, 1.0)
    affine = affine_from(rows.T * steps * (mm or 1.0), offset * (mm or 1.0))
    return affine, "TransformMatrix", doubt


def write_volume(volume: Volume, dtype: np.dtype[np.generic], path: Path) -> None:
    """Write an attached MetaImage file, compressed with zlib; numbers keep all their digits."""
    grid = volume.grid
    kind = next(name for name, code in DTYPES.items() if code == f"{dtype.kind}{dtype.itemsize}")
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "True",
        "CompressedDataSize": SIZE_PLACEHOLDER,
        "TransformMatrix": _numbers(grid.direction.T.ravel()),
        "Offset": _numbers(grid.origin_mm),
        "CenterOfRotation": "0 0 0",
        "ElementSpacing": _numbers(grid.spacing_mm),
        "DimSize": " ".join(str(n) for n in grid.shape),
        "ElementType": kind,
        LAST_KEY: "LOCAL",
    }
    header = "".join(f"{key} = {value}\n" for key, value in fields.items()).encode()
    packer = zlib.compressobj(LEVEL)
    with path.open("wb") as file:
        file.write(header)
        file.writelines(map(packer.compress, voxel_pieces(volume.array, dtype.newbyteorder("<"))))
        file.write(packer.flush())
        size = file.tell() - len(header)
        file.seek(header.index(SIZE_PLACEHOLDER.encode()))
        file.write(str(size).zfill(len(SIZE_PLACEHOLDER)).encode())


def _numbers(values: FloatArray) -> str:
    return " ".join(repr(float(v)) for v in values)


def _is_true(text: str) -> bool:
    return text.strip().lower() in ("true", "1", "t")

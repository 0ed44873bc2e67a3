"""MetaImage headers, attached (`.mha`) and detached (`.mhd`), raw or zlib.

Source: the MetaIO documentation, and its keys as ITK reads them. ITK keeps the direction of index
axis n in row n of TransformMatrix and ignores CenterOfRotation and AnatomicalOrientation; so do we.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from fetusmap.errors import UnreadableFile
from fetusmap.geometry import affine_from
from fetusmap.io.header import VolumeHeader, detached_data, real_dtype
from fetusmap.io.limits import ReadLimits
from fetusmap.io.textheader import numbers, positive_integers, read_lines
from fetusmap.types import Affine

DTYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2",
    "MET_INT": "i4", "MET_UINT": "u4", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
MM_PER_UNIT = {"mm": 1.0, "um": 0.001, "cm": 10.0, "m": 1000.0}
LAST_KEY = "ElementDataFile"


def read_header(path: Path, limits: ReadLimits) -> VolumeHeader:
    """Read the header of a `.mha` or `.mhd` file.

    Raises:
        UnreadableFile: not MetaImage, not three-dimensional, more than one value per voxel, text
            voxels, or voxels outside the header's folder.
    """
    lines, data_start = read_lines(
        path, limits, is_last=lambda line: line.split("=")[0].strip() == LAST_KEY
    )
    fields = {
        key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)
    }
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
    shape = positive_integers(path, "DimSize", fields.get("DimSize", ""), 3)
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
    return VolumeHeader(
        format="MetaImage" + (" (zlib)" if packed else ""),
        shape=(shape[0], shape[1], shape[2]),
        dtype=dtype.newbyteorder(order),
        affine=affine,
        data_path=path if local else detached_data(path, fields[LAST_KEY]),
        doubt=doubt,
        skip_file=data_start if local else _header_size(path, fields),
        compression="zlib" if packed else "none",
        facts={
            "orientation from": how,
            "unit": fields.get("DistanceUnits", "millimetre by definition"),
            "byte order": "big endian" if order == ">" else "little endian",
            "data file": path.name if local else fields[LAST_KEY],
        },
    )


def _header_size(path: Path, fields: dict[str, str]) -> int:
    """Bytes before the voxels in a detached data file."""
    text = fields.get("HeaderSize", "0")
    if not text.isdigit():
        raise UnreadableFile(
            path, expected="HeaderSize of 0 or more", found=text, remedy="write it as .mha"
        )
    return int(text)


def _orientation(path: Path, fields: dict[str, str]) -> tuple[Affine | None, str, str]:
    """World_from_index in LPS mm, how it was found, and a doubt."""

    def first(*keys: str) -> str | None:
        return next((fields[key] for key in keys if key in fields), None)

    spacing = first("ElementSpacing")
    matrix = first("TransformMatrix", "Rotation", "Orientation")
    if spacing is None or matrix is None:
        missing = "ElementSpacing" if spacing is None else "TransformMatrix"
        return None, "none", f"no {missing}"
    unit = fields.get("DistanceUnits", "mm").lower()
    if unit not in MM_PER_UNIT:
        return None, "none", f"DistanceUnits = {unit}"
    mm = MM_PER_UNIT[unit]
    rows = numbers(path, "TransformMatrix", matrix, 9).reshape(3, 3)
    steps = numbers(path, "ElementSpacing", spacing, 3)
    offset = numbers(path, "Offset", first("Offset", "Position", "Origin") or "0 0 0", 3)
    affine = affine_from(rows.T * steps * mm, offset * mm)
    # Negative or zero steps would mirror or flatten what the matrix says.
    doubt = "" if (steps > 0).all() else f"ElementSpacing = {spacing}"
    return np.asarray(affine), "TransformMatrix", doubt


def _is_true(text: str) -> bool:
    return text.strip().lower() in ("true", "1", "t", "y", "yes")

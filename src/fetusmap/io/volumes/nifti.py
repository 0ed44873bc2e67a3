"""NIfTI: reads headers of single files (NIfTI-1 and NIfTI-2, plain or gzip), and writes NIfTI-1.

NIfTI uses RAS coordinates; this is the only module that converts them to LPS and back. Source: the
fields, the codes and the three ways to state an orientation follow the NIfTI-1 standard (nifti1.h,
methods 1 to 3).
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.files.names import suffix_of
from fetusmap.files.reading import first_bytes
from fetusmap.geometry import (
    LPS_FROM_RAS,
    RAS_FROM_LPS,
    Grid,
    is_reflection,
)
from fetusmap.geometry.affine import direction_of
from fetusmap.geometry.rotation import quaternion_from_rotation
from fetusmap.io.volumes.encode import LEVEL, voxel_pieces
from fetusmap.io.volumes.header import Compression, VolumeHeader, real_dtype
from fetusmap.io.volumes.limits import ReadLimits
from fetusmap.io.volumes.nifti_orientation import (
    affine_from_qform,
    as_text,
    corner_distance,
    orientation_of,
)
from fetusmap.types import Shape3
from fetusmap.volume import Volume

NAME = "NIfTI"
SUFFIXES = (".nii", ".nii.gz")

DTYPES: dict[int, str | None] = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4",
    1024: "i8", 1280: "u8",
    # Legal in the standard, but not a single grey value, or too wide for one.
    1: None, 32: None, 128: None, 1536: None, 1792: None, 2048: None, 2304: None,
}  # fmt: skip
DTYPE_NAMES = {1: "bits", 32: "complex numbers", 128: "RGB colours", 1536: "128-bit floats",
               1792: "complex numbers", 2048: "complex numbers", 2304: "RGBA colours"}  # fmt: skip
ByteOrder = Literal["<", ">"]
ORDERS: tuple[ByteOrder, ...] = ("<", ">")
MILLIMETRE = 2
MAX_AXIS_VOXELS = 2**15 - 1
MAX_ROUNDING_MM = 1e-3
GZIP_MAGIC = b"\x1f\x8b"
HEAD_BYTES = 65536
"""Bytes of a file that are unpacked to find its header."""
COMPRESSIONS: tuple[Compression, ...] = ("none", "gzip", "gzip twice")

MM_PER_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}
UNIT_NAMES = {0: "not given", 1: "metre", 2: "millimetre", 3: "micrometre"}


@dataclass(frozen=True)
class _Layout:
    """(struct format, offset) of each field of one version of NIfTI."""

    name: str
    size: int
    magic: tuple[bytes, int]
    dim: tuple[str, int]
    datatype: int
    pixdim: tuple[str, int]
    vox_offset: tuple[str, int]
    scaling: tuple[str, int]
    codes: tuple[str, int]
    quaternion: tuple[str, int]
    srow: tuple[str, int]
    units: tuple[str, int]


NIFTI1 = _Layout(
    "NIfTI-1", 348, (b"n+1\0", 344), ("8h", 40), 70, ("8f", 76), ("f", 108), ("2f", 112),
    ("2h", 252), ("6f", 256), ("12f", 280), ("B", 123),
)  # fmt: skip
NIFTI2 = _Layout(
    "NIfTI-2", 540, (b"n+2\0\r\n\x1a\n", 4), ("8q", 16), 12, ("8d", 104), ("q", 168), ("2d", 176),
    ("2i", 344), ("6d", 352), ("12d", 400), ("i", 500),
)  # fmt: skip


def recognise(head: bytes) -> bool:
    """Return whether a file begins with a NIfTI header, plain or compressed with gzip."""
    try:
        return _layout(_unpacked(head)[0]) is not None
    except zlib.error:
        return False


def read_header(file: BinaryIO, path: Path, limits: ReadLimits) -> VolumeHeader:
    """Read the header of an open NIfTI file; the path is for messages.

    Raises:
        UnreadableFile: the file is not NIfTI, not three-dimensional, or has no grey values.
    """
    try:
        head, times = _unpacked(first_bytes(file, path, HEAD_BYTES))
    except zlib.error as error:
        raise UnreadableFile(
            path, expected="a gzip stream", found=str(error), remedy="copy or export it again"
        ) from error
    layout, order = _layout_of(path, head)

    def fields(spec: tuple[str, int]) -> tuple[float, ...]:
        return struct.unpack_from(order + spec[0], head, spec[1])

    shape, frames = _shape(path, [int(n) for n in fields(layout.dim)])
    code = int(fields(("h", layout.datatype))[0])
    name = DTYPE_NAMES.get(code, f"unknown data type {code}")
    dtype = real_dtype(path, DTYPES.get(code), name).newbyteorder(order)
    unit = int(fields(layout.units)[0]) & 7
    affine, how, doubt, conflict, warnings = orientation_of(
        shape,
        fields(layout.pixdim),
        fields(layout.codes),
        fields(layout.quaternion),
        fields(layout.srow),
    )
    warnings += _name_warnings(path, times)
    if unit not in MM_PER_UNIT:
        found = "no unit in the file" if unit == 0 else f"unknown unit code {unit}"
        warnings.append(f"{found}: taken as millimetres")
    steps = [float(step) * MM_PER_UNIT.get(unit, 1.0) for step in fields(layout.pixdim)[1:4]]
    if affine is not None:
        affine = LPS_FROM_RAS @ affine
        affine[:3] *= MM_PER_UNIT.get(unit, 1.0)

    slope, intercept, doubts = _scaling_of(*fields(layout.scaling))
    warnings += doubts
    offset = _offset_of(path, layout, fields(layout.vox_offset)[0], limits)
    return VolumeHeader(
        format=layout.name + (f" ({COMPRESSIONS[times]})" if times else ""),
        shape=shape,
        dtype=dtype,
        affine=affine,
        data_path=path,
        spacing_mm=(steps[0], steps[1], steps[2]) if affine is None else None,
        doubt=doubt,
        conflict=conflict,
        skip_stream=offset,
        frames=frames,
        compression=COMPRESSIONS[times],
        slope=slope,
        intercept=intercept,
        facts={
            "orientation from": how,
            "unit": UNIT_NAMES.get(unit, f"unknown code {unit}, taken as millimetre"),
            "byte order": "big endian" if order == ">" else "little endian",
            "scaling": f"{slope:g} * stored + {intercept:g}",
            **({"sequence": f"{frames} volumes"} if frames > 1 else {}),
        },
        warnings=tuple(warnings),
    )


def _scaling_of(slope: float, intercept: float) -> tuple[float, float, list[str]]:
    """Return the slope and intercept to apply, and what was wrong with those of the file."""
    if not np.isfinite(slope) or slope == 0:
        return 1.0, 0.0, []  # the standard's "no scaling"
    if not np.isfinite(intercept):
        return float(slope), 0.0, [f"intercept {intercept} in the file: taken as 0"]
    return float(slope), float(intercept), []


def _offset_of(path: Path, layout: _Layout, stated: float, limits: ReadLimits) -> int:
    """Return where the voxels begin.

    Some programs leave the offset at 0, which readers take as "right after the header".
    """
    offset = stated or layout.size + 4
    if not layout.size <= offset <= layout.size + limits.max_header_bytes:
        raise UnreadableFile(
            path,
            expected=f"voxels soon after the {layout.size}-byte header",
            found=f"an offset of {offset:g}",
            remedy="write the file again",
        )
    return int(offset)


def _unpacked(head: bytes) -> tuple[bytes, int]:
    """Return the first bytes of the header, and how many times they were compressed with gzip."""
    if not head.startswith(GZIP_MAGIC):
        return head[: NIFTI2.size], 0
    once = _start_of_stream(head, NIFTI2.size)
    if not once.startswith(GZIP_MAGIC):
        return once, 1
    return _start_of_stream(_start_of_stream(head, HEAD_BYTES), NIFTI2.size), 2


def _start_of_stream(packed: bytes, count: int) -> bytes:
    """Unpack at most the first `count` bytes of a gzip stream, whatever it would become."""
    start = b""
    while packed and len(start) < count:  # a stream may consist of several members
        member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        start += member.decompress(packed, count - len(start))
        packed = member.unused_data
    return start


def _name_warnings(path: Path, times: int) -> list[str]:
    """Return what the name of the file says wrongly about its compression."""
    suffix = suffix_of(path, SUFFIXES)
    if times == 2:
        return ["compressed with gzip twice"]
    if times == 1 and suffix == ".nii":
        return ["named .nii, but compressed with gzip"]
    if times == 0 and suffix == ".nii.gz":
        return ["named .nii.gz, but not compressed"]
    return []


def _layout(head: bytes) -> tuple[_Layout, ByteOrder] | None:
    """Return the version of the header and its byte order, or None if it is not NIfTI."""
    for layout in (NIFTI1, NIFTI2):
        magic, place = layout.magic
        for order in ORDERS:
            sizes = struct.pack(order + "i", layout.size)
            whole = len(head) >= layout.size
            if whole and head[:4] == sizes and head[place : place + len(magic)] == magic:
                return layout, order
    return None


def _layout_of(path: Path, head: bytes) -> tuple[_Layout, ByteOrder]:
    """Return the version of the header and its byte order."""
    if (found_layout := _layout(head)) is not None:
        return found_layout
    known = {b"ni1\0": "the header of a .hdr/.img pair", b"\0\0\0\0": "an Analyze 7.5 header"}
    found = known.get(head[344:348], f"{len(head)} bytes without the NIfTI magic 'n+1' or 'n+2'")
    raise UnreadableFile(
        path, expected="a single-file NIfTI", found=found, remedy="convert it to .nii.gz or .nrrd"
    )


def _shape(path: Path, dim: list[int]) -> tuple[Shape3, int]:
    """Return the length of the three axes, and of time; further axes must have the length 1."""
    axes = dim[1 : 1 + dim[0]] if 1 <= dim[0] <= 7 else []
    if len(axes) < 3 or any(n != 1 for n in axes[4:]) or min(axes) < 1:
        raise UnreadableFile(
            path,
            expected="three axes, or four of a time series",
            found=f"dimensions {axes or dim}",
            remedy="extract one 3D volume",
        )
    return (axes[0], axes[1], axes[2]), (axes[3] if len(axes) > 3 else 1)


def write_volume(volume: Volume, dtype: np.dtype[np.generic], path: Path) -> None:
    """Write a NIfTI-1 file with a sform and, if its quaternion is exact, a qform; gzip for `.gz`.

    The same volume gives the same bytes, at any time and under any name.

    Raises:
        BadInput: the format cannot hold an axis or a position of the volume.
    """
    _check_representable(volume.grid, path)
    header = _header_bytes(volume, dtype.newbyteorder("<"))
    with path.open("wb") as raw:
        if path.name.lower().endswith(".gz"):
            with gzip.GzipFile("", "wb", LEVEL, raw, mtime=0) as packed:
                packed.write(header)
                packed.writelines(voxel_pieces(volume.array, dtype.newbyteorder("<")))
        else:
            raw.write(header)
            raw.writelines(voxel_pieces(volume.array, dtype.newbyteorder("<")))


def _check_representable(grid: Grid, path: Path) -> None:
    """Refuse a grid that NIfTI-1 cannot hold.

    It counts voxels in 16 bits and stores its affine in single precision.
    """
    remedy = "write it as .nrrd or .mha"
    if max(grid.shape) > MAX_AXIS_VOXELS:
        raise BadInput(
            path,
            expected=f"at most {MAX_AXIS_VOXELS} voxels on each axis",
            found=f"shape {grid.shape}",
            remedy=remedy,
        )
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = grid.affine.astype(np.float32).astype(np.float64)
        error_mm = corner_distance(rounded, grid.affine, grid.shape)
    if not error_mm <= MAX_ROUNDING_MM:
        raise BadInput(
            path,
            expected=f"a position that single precision keeps to {MAX_ROUNDING_MM} mm",
            found=f"an error of {error_mm:.3g} mm, at an origin of {as_text(grid.origin_mm)} mm",
            remedy=remedy,
        )


def _header_bytes(volume: Volume, dtype: np.dtype[np.generic]) -> bytes:
    """Return 348 bytes of header and 4 that say "no extensions"."""
    header = bytearray(NIFTI1.size + 4)

    def put(spec: tuple[str, int], *values: float) -> None:
        struct.pack_into("<" + spec[0], header, spec[1], *values)

    affine = RAS_FROM_LPS @ volume.grid.affine
    direction = direction_of(affine)
    qfac = -1.0 if is_reflection(affine) else 1.0
    u, _, vt = np.linalg.svd(direction * (1.0, 1.0, qfac))
    quaternion = quaternion_from_rotation(u @ vt)
    quaternion = quaternion if quaternion[0] >= 0 else -quaternion
    code = next(code for code, kind in DTYPES.items() if kind == f"{dtype.kind}{dtype.itemsize}")
    put(("i", 0), NIFTI1.size)
    put(NIFTI1.dim, 3, *volume.grid.shape, 1, 1, 1, 1)
    put(("2h", NIFTI1.datatype), code, 8 * dtype.itemsize)
    put(NIFTI1.pixdim, qfac, *volume.grid.spacing_mm, 0, 0, 0, 0)
    put(NIFTI1.vox_offset, len(header))
    put(NIFTI1.scaling, 1.0, 0.0)
    put(NIFTI1.units, MILLIMETRE)
    # A quaternion of single precision is wrong by up to 0.1 mm at the far corner if the rotation
    # is nearly, but not exactly, a half turn (a scan almost along LPS). Then there is no qform.
    spread = np.array([*quaternion[1:], *affine[:3, 3]], dtype=np.float32)
    qform = affine_from_qform(volume.grid.spacing_mm, qfac, tuple(spread.tolist()))
    exact = corner_distance(qform, affine, volume.grid.shape) <= MAX_ROUNDING_MM
    put(NIFTI1.codes, int(exact), 1)
    put(NIFTI1.quaternion, *spread.tolist())
    put(NIFTI1.srow, *affine[:3].ravel())
    header[NIFTI1.magic[1] : NIFTI1.size] = NIFTI1.magic[0]
    return bytes(header)

"""NIfTI-1 and NIfTI-2, single files, plain or gzip: headers in, whole files out.

NIfTI speaks RAS; this is the only module that turns it into LPS. Source: the fields, codes and the
three ways to give an orientation follow the NIfTI-1 standard (nifti1.h, methods 1 to 3).
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np

from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.files.reading import read_head
from fetusmap.geometry import (
    LPS_FROM_RAS,
    RAS_FROM_LPS,
    Grid,
    affine_from,
    apply_affine,
    is_reflection,
    rotation_from_quaternion,
)
from fetusmap.geometry.affine import direction_of
from fetusmap.geometry.rotation import quaternion_from_rotation
from fetusmap.io.volumes.encode import LEVEL, voxel_pieces
from fetusmap.io.volumes.header import VolumeHeader, real_dtype
from fetusmap.io.volumes.limits import ReadLimits
from fetusmap.types import Affine, FloatArray, Shape3
from fetusmap.volume import Volume

DTYPES: dict[int, str | None] = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4",
    # The rest is legal, but is no single grey value or too wide to be one.
    1: None, 32: None, 128: None, 1024: None, 1280: None, 1536: None, 1792: None, 2048: None,
    2304: None,
}  # fmt: skip
DTYPE_NAMES = {1: "bits", 32: "complex numbers", 128: "RGB colours", 1024: "64-bit integers",
               1280: "64-bit integers", 1536: "128-bit floats", 1792: "complex numbers",
               2048: "complex numbers", 2304: "RGBA colours"}  # fmt: skip
HALF_TURN = 3 * float(np.finfo(np.float32).eps)
ByteOrder = Literal["<", ">"]
ORDERS: tuple[ByteOrder, ...] = ("<", ">")
MILLIMETRE = 2
LONGEST_AXIS = 2**15 - 1
LARGEST_ROUNDING_MM = 1e-3
MM_PER_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}
UNIT_NAMES = {0: "not given", 1: "metre", 2: "millimetre", 3: "micrometre"}


@dataclass(frozen=True)
class _Layout:
    """Where the fields of one version stand: (struct format, offset)."""

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


def read_header(path: Path, limits: ReadLimits) -> VolumeHeader:
    """Read the header of a `.nii` or `.nii.gz` file.

    Raises:
        UnreadableFile: not NIfTI, not three-dimensional, or no grey values.
    """
    packed = path.name.lower().endswith(".gz")
    head = _unpack_head(path) if packed else read_head(path, NIFTI2.size)
    layout, order = _layout_of(path, head)

    def fields(spec: tuple[str, int]) -> tuple[float, ...]:
        return struct.unpack_from(order + spec[0], head, spec[1])

    shape = _shape(path, [int(n) for n in fields(layout.dim)])
    code = int(fields(("h", layout.datatype))[0])
    name = DTYPE_NAMES.get(code, f"unknown data type {code}")
    dtype = real_dtype(path, DTYPES.get(code), name).newbyteorder(order)
    unit = int(fields(layout.units)[0]) & 7
    affine, how, doubt, conflict, warnings = _orientation(
        shape,
        fields(layout.pixdim),
        fields(layout.codes),
        fields(layout.quaternion),
        fields(layout.srow),
    )
    if unit not in MM_PER_UNIT:
        told = "no unit in the file" if unit == 0 else f"unknown unit code {unit}"
        warnings.append(f"{told}: taken as millimetres")
    if affine is not None:
        affine = LPS_FROM_RAS @ affine
        affine[:3] *= MM_PER_UNIT.get(unit, 1.0)

    slope, intercept = fields(layout.scaling)
    if not np.isfinite(slope) or slope == 0:
        slope, intercept = 1.0, 0.0  # the standard's "no scaling"
    elif not np.isfinite(intercept):
        warnings.append(f"intercept {intercept} in the file: taken as 0")
        intercept = 0.0
    # Some programs leave the offset at 0, which readers take as "right after the header".
    offset = fields(layout.vox_offset)[0] or layout.size + 4
    if not layout.size <= offset <= layout.size + limits.max_header_bytes:
        raise UnreadableFile(
            path,
            expected=f"voxels soon after the {layout.size}-byte header",
            found=f"an offset of {offset:g}",
            remedy="write the file again",
        )
    return VolumeHeader(
        format=layout.name + (" (gzip)" if packed else ""),
        shape=shape,
        dtype=dtype,
        affine=affine,
        data_path=path,
        doubt=doubt,
        conflict=conflict,
        skip_stream=int(offset),
        compression="gzip" if packed else "none",
        slope=float(slope),
        intercept=float(intercept),
        facts={
            "orientation from": how,
            "unit": UNIT_NAMES.get(unit, f"unknown code {unit}, taken as millimetre"),
            "byte order": "big endian" if order == ">" else "little endian",
            "scaling": f"{slope:g} * stored + {intercept:g}",
        },
        warnings=tuple(warnings),
    )


def _unpack_head(path: Path) -> bytes:
    """The first bytes of a gzip stream; never more, whatever the stream would become."""
    try:
        return gzip.GzipFile(fileobj=BytesIO(read_head(path, 65536))).read(NIFTI2.size)
    except (zlib.error, OSError, EOFError) as error:
        raise UnreadableFile(
            path,
            expected="a gzip stream",
            found=str(error),
            remedy="rename it to .nii if it is not compressed, or copy it again",
        ) from error


def _layout_of(path: Path, head: bytes) -> tuple[_Layout, ByteOrder]:
    """Which version the bytes are, and their byte order."""
    for layout in (NIFTI1, NIFTI2):
        magic, place = layout.magic
        for order in ORDERS:
            sizes = struct.pack(order + "i", layout.size)
            whole = len(head) >= layout.size
            if whole and head[:4] == sizes and head[place : place + len(magic)] == magic:
                return layout, order
    known = {b"ni1\0": "the header of a .hdr/.img pair", b"\0\0\0\0": "an Analyze 7.5 header"}
    found = known.get(head[344:348], f"{len(head)} bytes without the NIfTI magic 'n+1' or 'n+2'")
    raise UnreadableFile(
        path, expected="a single-file NIfTI", found=found, remedy="convert it to .nii.gz or .nrrd"
    )


def _shape(path: Path, dim: list[int]) -> tuple[int, int, int]:
    """Three axes, and any number of further axes of length 1."""
    axes = dim[1 : 1 + dim[0]] if 1 <= dim[0] <= 7 else []
    if len(axes) < 3 or any(n != 1 for n in axes[3:]) or min(axes) < 1:
        raise UnreadableFile(
            path,
            expected="three axes",
            found=f"dimensions {axes or dim}",
            remedy="extract one 3D volume",
        )
    return axes[0], axes[1], axes[2]


def _orientation(
    shape: Shape3,
    pixdim: tuple[float, ...],
    codes: tuple[float, ...],
    quaternion: tuple[float, ...],
    srow: tuple[float, ...],
) -> tuple[Affine | None, str, str, str, list[str]]:
    """World_from_index in RAS and the file's unit, its origin, a doubt, a conflict, and warnings.

    The sform wins over the qform, as in nibabel; when they show mirror images of each other, nobody
    can know. Without either the standard gives only a spacing, and programs differ about the
    direction of the axes: then there is no orientation.
    """
    qform_code, sform_code = (int(code) for code in codes)
    spacing = np.array(pixdim[1:4], dtype=np.float64)
    usable = (spacing > 0) & np.isfinite(spacing)
    doubt = "" if usable.all() else f"pixdim {_list(spacing)}"
    qform = _affine_from_qform(np.where(usable, spacing, 1.0), pixdim[0], quaternion)
    if sform_code <= 0 and qform_code <= 0:
        return None, "none", f"neither qform nor sform, only pixdim {_list(spacing)}", "", []
    if sform_code <= 0:
        return qform, f"qform (code {qform_code})", doubt, "", []
    sform = np.vstack([np.reshape(srow, (3, 4)), [0, 0, 0, 1]]).astype(np.float64)
    lengths = np.linalg.norm(sform[:3, :3], axis=0)
    conflict, warnings = "", []
    if not np.allclose(lengths, spacing, rtol=0.01, atol=0):
        doubt = f"pixdim {_list(spacing)} but spacing {_list(lengths)} in the sform"
    elif qform_code > 0 and (apart := _corner_distance(qform, sform, shape)) > lengths.min() / 4:
        warnings.append(f"qform and sform disagree by up to {apart:.3g} mm: sform used")
    if qform_code > 0 and is_reflection(qform) != is_reflection(sform):
        conflict = "a qform and an sform that are mirror images of each other"
    return sform, f"sform (code {sform_code})", doubt, conflict, warnings


def _corner_distance(first: Affine, second: Affine, shape: Shape3) -> float:
    """How far apart two affines put the corners of a volume, at most."""
    corners = np.array(list(product(*((0, n - 1) for n in shape))))
    apart = np.linalg.norm(apply_affine(first, corners) - apply_affine(second, corners), axis=1)
    return float(apart.max())


def _affine_from_qform(spacing: FloatArray, qfac: float, quaternion: tuple[float, ...]) -> Affine:
    """Method 2 of the standard: rotation from (b, c, d), spacing, and a flip of the third axis."""
    vector = np.array(quaternion[:3], dtype=np.float64)
    square = float(vector @ vector)
    # (b, c, d) are rounded to single precision: near a half turn what is left for a is nothing but
    # that rounding, and zero is exact (nibabel draws the same line). Far past 1 is no rotation.
    rest = 1.0 - square
    w = np.nan if rest < -1e-5 else 0.0 if rest < HALF_TURN else np.sqrt(rest)
    unit = np.array([w, *vector])
    rotation = rotation_from_quaternion(unit / np.linalg.norm(unit))
    flip = np.array([1.0, 1.0, -1.0 if qfac < 0 else 1.0])
    return affine_from(rotation * spacing * flip, quaternion[3:])


def write_volume(volume: Volume, dtype: np.dtype[np.generic], path: Path) -> None:
    """Write a NIfTI-1 file with an exact sform and, where it is exact, a qform; gzip for `.gz`.

    The same volume gives the same bytes, whenever and under whatever name it is written.

    Raises:
        BadInput: an axis or a position that the format cannot hold.
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
    """NIfTI-1 counts voxels in 16 bits and keeps its affine in single precision."""
    remedy = "write it as .nrrd or .mha"
    if max(grid.shape) > LONGEST_AXIS:
        raise BadInput(
            path,
            expected=f"at most {LONGEST_AXIS} voxels on each axis",
            found=f"shape {grid.shape}",
            remedy=remedy,
        )
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = grid.affine.astype(np.float32).astype(np.float64)
        moved = _corner_distance(rounded, grid.affine, grid.shape)
    if not moved <= LARGEST_ROUNDING_MM:
        raise BadInput(
            path,
            expected=f"a position that single precision keeps to {LARGEST_ROUNDING_MM} mm",
            found=f"an error of {moved:.3g} mm, at an origin of {_list(grid.origin_mm)} mm",
            remedy=remedy,
        )


def _header_bytes(volume: Volume, dtype: np.dtype[np.generic]) -> bytes:
    """348 bytes of header and 4 that say "no extensions"."""
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
    # A quaternion of single precision is off by up to 0.1 mm at the far corner when the turn is
    # nearly, but not quite, a half turn (a scan almost along LPS): then only the sform is told.
    spread = np.array([*quaternion[1:], *affine[:3, 3]], dtype=np.float32)
    qform = _affine_from_qform(volume.grid.spacing_mm, qfac, tuple(spread.tolist()))
    exact = _corner_distance(qform, affine, volume.grid.shape) <= LARGEST_ROUNDING_MM
    put(NIFTI1.codes, int(exact), 1)
    put(NIFTI1.quaternion, *spread.tolist())
    put(NIFTI1.srow, *affine[:3].ravel())
    header[NIFTI1.magic[1] : NIFTI1.size] = NIFTI1.magic[0]
    return bytes(header)


def _list(values: FloatArray) -> str:
    return "(" + ", ".join(f"{v:.4g}" for v in values) + ")"

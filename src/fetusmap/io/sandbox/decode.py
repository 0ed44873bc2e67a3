"""Decoding of voxels in a child process with a limit on memory and time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fetusmap.errors import UnreadableFile
from fetusmap.files.reading import size_of
from fetusmap.io.sandbox import decoder
from fetusmap.io.sandbox.dicom import run_task
from fetusmap.io.sandbox.process import run_decoder
from fetusmap.io.volumes.header import VolumeHeader
from fetusmap.io.volumes.limits import ReadLimits
from fetusmap.types import VoxelArray

PIECE_VOXELS = 1 << 22
"""Voxels that are scaled or checked at a time, so that no step doubles the memory."""

MAX_INTEGER_BYTES = 4
"""Integers with more bytes are narrowed; nothing else in this package reads or writes them."""


def decode_voxels(
    header: VolumeHeader, data: BinaryIO, path: Path, limits: ReadLimits
) -> VoxelArray:
    """Read, unpack and scale the voxels that a checked header announces.

    Args:
        header: as read and checked.
        data: the open data file; the child process reads from this descriptor.
        path: for messages.
        limits: time and memory of the child process.

    Returns:
        (I, J, K) array in the file's memory order (first index fastest) and native byte order; of
        the stored type if the header does not scale it, else float32. Integers of 64 bits become
        integers of 32.

    Raises:
        UnreadableFile: the voxels are cut short, damaged, longer than announced, too slow to
            decode, not finite, or integers too large for 32 bits.
    """
    raw = np.empty(header.data_bytes, dtype=np.uint8)
    _decode_into(raw.data, header, data, path, limits)
    array: VoxelArray = raw.view(header.dtype)
    if not array.dtype.isnative:
        array = array.byteswap(inplace=True).view(array.dtype.newbyteorder("="))
    if header.is_scaled:
        array = _scaled(array, header.slope, header.intercept)
    elif array.dtype.kind in "iu" and array.dtype.itemsize > MAX_INTEGER_BYTES:
        array = _narrowed(array, path)
    check_finite(array, path)
    return array.reshape(header.shape, order="F" if header.first_axis_fastest else "C")


def check_finite(voxels: VoxelArray, path: Path) -> None:
    """Refuse NaN and infinity among the (N,) voxels.

    Raises:
        UnreadableFile: some voxels are NaN or infinite; the error states how many.
    """
    if voxels.dtype.kind != "f":
        return
    starts = range(0, voxels.size, PIECE_VOXELS)
    pieces = (voxels[start : start + PIECE_VOXELS] for start in starts)
    bad = sum(piece.size - int(np.isfinite(piece).sum()) for piece in pieces)
    if bad:
        raise UnreadableFile(
            path,
            expected="finite voxels",
            found=f"{bad} voxels with NaN or infinity",
            remedy="replace them by the background value",
        )


def _scaled(stored: VoxelArray, slope: float, intercept: float) -> VoxelArray:
    """Return slope * stored + intercept as float32, computed in double precision piece by piece."""
    scaled = np.empty(stored.shape, dtype=np.float32)
    for start in range(0, stored.size, PIECE_VOXELS):
        part = slice(start, start + PIECE_VOXELS)
        scaled[part] = stored[part].astype(np.float64) * slope + intercept
    return scaled


def _narrowed(stored: VoxelArray, path: Path) -> VoxelArray:
    """Return integers of 64 bits as integers of 32 bits, if their values fit."""
    low, high = int(stored.min()), int(stored.max())
    for narrow in (np.int32, np.uint32):
        bounds = np.iinfo(narrow)
        if bounds.min <= low and high <= bounds.max:
            return stored.astype(narrow)
    raise UnreadableFile(
        path,
        expected="integers that fit into 32 bits",
        found=f"values from {low} to {high}",
        remedy="scale them, or convert them to float32",
    )


def _decode_into(
    buffer: memoryview, header: VolumeHeader, data: BinaryIO, path: Path, limits: ReadLimits
) -> None:
    """Fill the buffer exactly from a child process, or raise."""

    def fill(output: BinaryIO) -> tuple[int, bytes]:
        return output.readinto(buffer), output.read(1)  # type: ignore[attr-defined]

    if header.plan is None:
        command = [
            sys.executable, "-I", "-S", decoder.__file__,
            str(header.voxel_offset(size_of(data))), header.compression, str(header.skip_stream),
            str(len(buffer)), str(limits.decoder_bytes), str(header.following_bytes),
        ]  # fmt: skip
        if (alternating := header.interleaved) is not None:
            parts = (alternating.group_bytes, alternating.count, alternating.number)
            command += [str(part) for part in parts]
        (filled, surplus), failure = run_decoder(command, data, fill, limits.timeout_s)
    else:
        (filled, surplus), failure = run_task(
            "decode", header.plan.parameters(), data, fill, limits
        )
    if failure or filled < len(buffer) or surplus:
        raise UnreadableFile(
            path,
            expected=f"{len(buffer)} bytes of undamaged voxels",
            found=failure or f"{'more' if surplus else 'fewer'} of them",
            remedy="copy or export it again",
        )

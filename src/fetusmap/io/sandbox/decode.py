"""Decoding of voxels in a child process, with a memory cap and a time limit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from threading import Timer

import numpy as np

from fetusmap.errors import UnreadableFile
from fetusmap.io.sandbox import decoder
from fetusmap.io.volumes.header import VolumeHeader
from fetusmap.io.volumes.limits import ReadLimits
from fetusmap.types import VoxelArray

PIECE = 1 << 22
"""Voxels that are scaled or checked at a time, so that nothing doubles the memory."""


def decode_voxels(header: VolumeHeader, path: Path, limits: ReadLimits) -> VoxelArray:
    """Read, unpack and scale the voxels that a checked header announces.

    Returns:
        (I, J, K) array in the file's memory order (first index fastest), native byte order; the
        stored type where nothing scales it, else float32.

    Raises:
        UnreadableFile: cut short, damaged, longer than announced, too slow, or not finite.
    """
    raw = np.empty(header.data_bytes, dtype=np.uint8)
    _decode_into(raw.data, header, path, limits)
    array: VoxelArray = raw.view(header.dtype)
    if not array.dtype.isnative:
        array = array.byteswap(inplace=True).view(array.dtype.newbyteorder("="))
    if header.is_scaled:
        array = _scaled(array, header.slope, header.intercept)
    check_finite(array, path)
    return array.reshape(header.shape, order="F")


def check_finite(voxels: VoxelArray, path: Path) -> None:
    """Refuse NaN and infinity, looking at a piece of the (N,) voxels at a time.

    Raises:
        UnreadableFile: with how many there are.
    """
    if voxels.dtype.kind != "f":
        return
    pieces = (voxels[start : start + PIECE] for start in range(0, voxels.size, PIECE))
    bad = sum(piece.size - int(np.isfinite(piece).sum()) for piece in pieces)
    if bad:
        raise UnreadableFile(
            path,
            expected="finite voxels",
            found=f"{bad} voxels with NaN or infinity",
            remedy="replace them by the background value",
        )


def _scaled(stored: VoxelArray, slope: float, intercept: float) -> VoxelArray:
    """Slope * stored + intercept as float32, computed in double precision piece by piece."""
    scaled = np.empty(stored.shape, dtype=np.float32)
    for start in range(0, stored.size, PIECE):
        part = slice(start, start + PIECE)
        scaled[part] = stored[part].astype(np.float64) * slope + intercept
    return scaled


def _decode_into(buffer: memoryview, header: VolumeHeader, path: Path, limits: ReadLimits) -> None:
    """Fill the buffer from a child process; exactly, or not at all."""
    command = [
        sys.executable, "-I", "-S", decoder.__file__, str(header.data_path.absolute()),
        str(header.skip_file), header.compression, str(header.skip_stream), str(len(buffer)),
        str(limits.decoder_bytes),
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        timer = Timer(limits.timeout_s, process.kill)
        timer.start()
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            filled = process.stdout.readinto(buffer)  # type: ignore[attr-defined]
            surplus = process.stdout.read(1)
            complaint = process.stderr.read(2000).decode("utf-8", "replace")
            code = process.wait()
        finally:
            timed_out = not timer.is_alive()
            timer.cancel()
            process.kill()
    if code == 0 and filled == len(buffer) and not surplus:
        return
    if timed_out:
        complaint = f"no end after {limits.timeout_s:g} s"
    raise UnreadableFile(
        path,
        expected=f"{len(buffer)} bytes of undamaged voxels",
        found=complaint or f"a decoder that stopped with code {code}",
        remedy="copy or export it again",
    )

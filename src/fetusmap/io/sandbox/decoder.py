"""The decoding process: one file in, exactly the announced number of bytes out.

Run as a script by `fetusmap.io.decode`, with nothing but the standard library, so that it starts in
a few milliseconds and has little to attack. It caps its own memory, streams in small pieces, and
verifies the check sums of compressed data to the end.
"""

from __future__ import annotations

import bz2
import gzip
import sys
import zlib
from collections.abc import Callable
from typing import BinaryIO

CHUNK = 1 << 20
MAX_SURPLUS = 1 << 20
DAMAGED = 3


def main(arguments: list[str]) -> None:
    """Arguments: path, bytes to skip, compression, stream bytes to skip, bytes to give, memory."""
    path, compression = arguments[0], arguments[2]
    skip_file, skip_stream, count, memory = (int(arguments[n]) for n in (1, 3, 4, 5))
    cap_memory(memory)
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(skip_file)
            read = OPEN[compression](file)
            copy(read, skip_stream, None)
            copy(read, count, sys.stdout.buffer)
            if compression != "none":
                check_end(read)
    except (EOFError, OSError, zlib.error, MemoryError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}")
        sys.exit(DAMAGED)


def cap_memory(limit: int) -> None:
    """Let the system refuse memory beyond `limit` bytes, where it can."""
    try:
        import resource
    except ImportError:  # Windows has no such limit; the stream is bounded all the same.
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
    except (ValueError, OSError):  # macOS knows the limit but may refuse to set it
        return


def copy(read: Callable[[int], bytes], count: int, out: BinaryIO | None) -> None:
    """Pass on exactly `count` bytes."""
    while count:
        piece = read(min(count, CHUNK))
        if not piece:
            raise EOFError(f"{count} bytes of voxels are missing at the end")
        if out is not None:
            out.write(piece)
        count -= len(piece)


def check_end(read: Callable[[int], bytes]) -> None:
    """Read on to the end of the stream, where its check sum stands; a long rest is a bomb."""
    surplus = 0
    while piece := read(CHUNK):
        surplus += len(piece)
        if surplus > MAX_SURPLUS:
            raise OSError(f"more than {MAX_SURPLUS} bytes follow the voxels")


def read_zlib(file: BinaryIO) -> Callable[[int], bytes]:
    """A reader of a zlib (or gzip) stream that never holds more than one piece."""
    stream = zlib.decompressobj(47)

    def read(count: int) -> bytes:
        while not stream.eof:
            packed = stream.unconsumed_tail or file.read(CHUNK)
            piece = stream.decompress(packed, count)
            if piece:
                return piece
            if not packed:
                raise EOFError("the compressed stream ends too early")
        return b""

    return read


OPEN: dict[str, Callable[[BinaryIO], Callable[[int], bytes]]] = {
    "none": lambda file: file.read,
    "gzip": lambda file: gzip.GzipFile(fileobj=file, mode="rb").read,
    "bzip2": lambda file: bz2.BZ2File(file, "rb").read,
    "zlib": read_zlib,
}

if __name__ == "__main__":
    main(sys.argv[1:])

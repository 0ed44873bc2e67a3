"""The decoding process: it reads one file and writes exactly the announced number of bytes.

`fetusmap.io.sandbox.decode` runs this script with nothing but the standard library, so that it
starts in a few milliseconds and offers little to attack. The file is its standard input. It limits
its own memory, streams in small pieces, and verifies the check sums of compressed data to the end.
"""

from __future__ import annotations

import bz2
import gzip
import io
import sys
import zlib

TYPE_CHECKING = False  # to import typing would more than double the time that the process takes
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

CHUNK_BYTES = 1 << 20
MAX_SURPLUS_BYTES = 1 << 20
DAMAGED_EXIT_CODE = 3
WORDS = {1: "B", 2: "H", 4: "I", 8: "Q"}
"""Codes of integers by their number of bytes."""


def main(arguments: list[str]) -> None:
    """Decode standard input to standard output.

    Arguments: bytes of the file to skip, compression, bytes of the unpacked stream to skip, bytes
    to write, bytes of memory; optionally bytes of other volumes that follow, and, if the voxels of
    several volumes alternate, the bytes of one group, the number of volumes, and which to write.
    """
    compression = arguments[1]
    skip_file, skip_stream, count, memory = (int(arguments[n]) for n in (0, 2, 3, 4))
    after = int(arguments[5]) if len(arguments) > 5 else 0
    cap_memory(memory)
    try:
        with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as file:
            file.seek(skip_file)
            read = OPEN[compression](file)
            copy(read, skip_stream, None)
            if len(arguments) > 6:
                group, volumes, number = (int(arguments[n]) for n in (6, 7, 8))
                copy_groups(read, count // group, group, volumes, number)
            else:
                copy(read, count, sys.stdout.buffer)
            if compression != "none":
                copy(read, after, None)
                check_end(read)
    except (EOFError, OSError, zlib.error, MemoryError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}")
        sys.exit(DAMAGED_EXIT_CODE)


def cap_memory(limit: int) -> None:
    """Ask the system to refuse memory beyond `limit` bytes, if it can."""
    try:
        import resource
    except ImportError:  # Windows has no such limit; the stream is bounded nevertheless.
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
    except (ValueError, OSError):  # macOS knows the limit but may refuse to set it
        return


def copy(read: Callable[[int], bytes], count: int, out: BinaryIO | None) -> None:
    """Read exactly `count` bytes and write them to `out`, or skip them if it is None."""
    while count:
        piece = read(min(count, CHUNK_BYTES))
        if not piece:
            raise EOFError(f"{count} bytes of voxels are missing at the end")
        if out is not None:
            out.write(piece)
        count -= len(piece)


def copy_groups(
    read: Callable[[int], bytes], rounds: int, group: int, volumes: int, number: int
) -> None:
    """Write one group of bytes out of each round, in which every volume has one."""
    size = group * volumes
    if size > CHUNK_BYTES:
        for _ in range(rounds):
            copy(read, group * number, None)
            copy(read, group, sys.stdout.buffer)
            copy(read, size - group * (number + 1), None)
        return
    while rounds:
        some = min(rounds, CHUNK_BYTES // size)
        piece = io.BytesIO()
        copy(read, some * size, piece)
        sys.stdout.buffer.write(groups_of(piece.getbuffer(), group, volumes, number))
        rounds -= some


def groups_of(rounds: memoryview, group: int, volumes: int, number: int) -> bytes:
    """Return the bytes of one volume; voxels of the usual sizes are taken without a loop."""
    if group in WORDS:
        words: memoryview = rounds.cast(WORDS[group])  # type: ignore[call-overload]
        return words[number::volumes].tobytes()
    starts = range(group * number, len(rounds), group * volumes)
    return b"".join(rounds[start : start + group] for start in starts)


def check_end(read: Callable[[int], bytes]) -> None:
    """Read to the end of the stream, where its check sum is; refuse a long rest."""
    surplus = 0
    while piece := read(CHUNK_BYTES):
        surplus += len(piece)
        if surplus > MAX_SURPLUS_BYTES:
            raise OSError(f"more than {MAX_SURPLUS_BYTES} bytes follow the voxels")


def read_zlib(file: BinaryIO, kind: int = 47) -> Callable[[int], bytes]:
    """Return a reader of a zlib (or gzip) stream that never holds more than one piece.

    `kind` is the window as `zlib.decompressobj` takes it: 47 for a stream with a zlib or gzip
    header, -15 for one without a header.
    """
    stream = zlib.decompressobj(kind)

    def read(count: int) -> bytes:
        while not stream.eof:
            packed = stream.unconsumed_tail or file.read(CHUNK_BYTES)
            piece = stream.decompress(packed, count)
            if piece:
                return piece
            if not packed:
                raise EOFError("the compressed stream ends too early")
        return b""

    return read


def read_gzip(file: BinaryIO) -> BinaryIO:
    """Return an open file of what a gzip file holds."""
    return gzip.GzipFile(fileobj=file, mode="rb")  # type: ignore[return-value]


OPEN: dict[str, Callable[[BinaryIO], Callable[[int], bytes]]] = {
    "none": lambda file: file.read,
    "gzip": lambda file: read_gzip(file).read,
    "gzip twice": lambda file: read_gzip(read_gzip(file)).read,
    "bzip2": lambda file: bz2.BZ2File(file, "rb").read,
    "zlib": read_zlib,
    "deflate": lambda file: read_zlib(file, -15),
}

if __name__ == "__main__":
    main(sys.argv[1:])

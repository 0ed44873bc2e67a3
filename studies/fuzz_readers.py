"""Fuzz the readers of DICOM and GE Kretz: damaged files are read or refused, and nothing else.

Each input is a good, tiny file with bytes that were changed, inserted, repeated or removed, or that
was cut. It goes through the functions of the decoding process and of the reader. What counts as a
finding: an exception that is no refusal, more time than allowed, a message of several lines, and
patient data in a message or a description. Inputs run one after the other in a forked process with
a limit on its memory. If a library crashes and ends it, a new one replaces it, and the input is
listed: the reader's own decoding process would end in the same way, and the file would be refused.
An input is determined by the seed and its number.

Run with `python -m studies.fuzz_readers --inputs 100000`.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import multiprocessing
import os
import resource
import signal
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from io import FileIO
from pathlib import Path

import numpy as np

from fetusmap.errors import BadInput
from fetusmap.io import DEFAULT_LIMITS
from fetusmap.io.sandbox import decoder
from fetusmap.io.sandbox.dicom_decoder import perform
from fetusmap.io.volumes import dicom, kretz
from fetusmap.io.volumes.header import VolumeHeader, check_size
from fetusmap.io.volumes.swept import Conversion, convert_beams, converted_grid
from studies.fuzz_files import SECRET, good_files
from studies.measure import RESULTS, store_result

BATCH = 500
LIMIT_S = 5
MEMORY_BYTES = 1 << 30
LIMITS = replace(DEFAULT_LIMITS, max_voxels=1 << 18, free_bytes=1 << 18)
"""Smaller than for users, so that an input that is still a good file takes little time."""

VOXEL_MM = 4.0
PATH = Path("input")
"""For messages; the inputs have no names."""

EXTREMES = (b"\0", b"\xff", b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\xfe\xff\0\xe0")


class TooSlow(BaseException):
    """An input takes longer than allowed; the readers do not catch it."""


def main() -> None:
    """Run the inputs, print what was found, and store the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    found = run(arguments.inputs, arguments.seed, arguments.first)
    print(json.dumps(found, indent=2))
    store_result(arguments.output, "fuzz_readers", found)


def run(inputs: int, seed: int = 0, first: int = 0) -> dict[str, object]:
    """Run inputs in batches, and return counts of outcomes by kind of file, and the findings."""
    outcomes: Counter[str] = Counter()
    findings: list[str] = []
    endings: list[str] = []
    peak, slowest, start = 0, 0.0, time.process_time()
    good_files()  # before the fork
    pool = new_pool()
    waiting = [
        range(begin, min(begin + BATCH, first + inputs))
        for begin in range(first, first + inputs, BATCH)
    ]
    while waiting:
        numbers = waiting.pop(0)
        try:
            counts, faults, memory, slow = pool.submit(run_batch, seed, numbers).result()
        except BrokenProcessPool:
            pool = new_pool()
            if len(numbers) > 1:  # which of them was it?
                waiting = [range(n, n + 1) for n in numbers] + waiting
                continue
            kind, _ = make_input(seed, numbers[0])
            counts = Counter({f"{kind.split(',')[0]}: process ended": 1})
            faults, memory, slow = [], 0, 0.0
            endings.append(f"input {numbers[0]} ({kind})")
        outcomes += counts
        findings += faults
        peak, slowest = max(peak, memory), max(slowest, slow)
    pool.shutdown()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "inputs": inputs,
        "outcomes": dict(sorted(outcomes.items())),
        "findings": findings,
        "ended_the_process": endings,
        "peak_memory_mib": peak // 1024,
        "slowest_s": round(slowest, 3),
        "processor_s": round(
            time.process_time() - start + children.ru_utime + children.ru_stime, 1
        ),
    }


def new_pool() -> ProcessPoolExecutor:
    """Return a pool of one forked process with limited memory."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("fork"), confine)


def confine() -> None:
    """Limit the memory of this process, and silence the libraries."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")


def too_slow(*_: object) -> None:
    """Raise `TooSlow`, when the timer of an input ends."""
    raise TooSlow


def run_batch(seed: int, numbers: Sequence[int]) -> tuple[Counter[str], list[str], int, float]:
    """Run some inputs; return outcomes, findings, the peak of memory (kB) and the longest time."""
    outcomes: Counter[str] = Counter()
    findings: list[str] = []
    slowest = 0.0
    signal.signal(signal.SIGVTALRM, too_slow)
    with FileIO(os.memfd_create("input"), "rb+") as file:
        for number in numbers:
            kind, data = make_input(seed, number)
            file.seek(0)
            file.truncate(0)
            file.write(data)
            start = time.process_time()
            signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_S)
            try:
                outcome = read(file, len(data))
            except BadInput as error:
                outcome = "refused"
                text = str(error)
                if not text.isprintable() or SECRET in text or len(text) > 1000:
                    findings.append(f"input {number} ({kind}): message {text!r}")
            except (Exception, TooSlow) as error:
                outcome = "finding"
                findings.append(f"input {number} ({kind}): {type(error).__name__}: {error}")
            finally:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            outcomes[f"{kind.split(',')[0]}: {outcome}"] += 1
            slowest = max(slowest, time.process_time() - start)
    return outcomes, findings, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, slowest


def make_input(seed: int, number: int) -> tuple[str, bytes]:
    """Return the kind and the bytes of one input."""
    rng = np.random.default_rng([seed, number])
    files = good_files()
    kind = list(files)[rng.integers(len(files))]
    data = files[kind]
    for _ in range(rng.integers(1, 5)):
        data = edited(data, rng)
    return kind, data


def edited(data: bytes, rng: np.random.Generator) -> bytes:
    """Change a few bytes; places near the beginning, where the headers are, are more likely."""
    if not data:
        return rng.bytes(8)
    place = int(len(data) * rng.random() ** (3 if rng.random() < 0.7 else 1))
    length = int(rng.integers(1, 9))
    match rng.integers(8):
        case 0:
            return data[:place] + bytes([data[place] ^ 1 << rng.integers(8)]) + data[place + 1 :]
        case 1 | 2:
            return data[:place] + rng.bytes(length) + data[place + length :]
        case 3:
            new = EXTREMES[rng.integers(len(EXTREMES))]
            return data[:place] + new + data[place + len(new) :]
        case 4:
            return data[:place] + rng.bytes(length) + data[place:]
        case 5:
            return data[:place] + data[place + length :]
        case 6:
            return data[: place + 64 * length] + data[place:]
        case _:
            return data[: max(place, 1)] if rng.random() < 0.3 else data + rng.bytes(length)


def read(file: FileIO, size: int) -> str:
    """Read a file as `load_volume` does, but in this process, and return what became of it.

    Raises:
        BadInput: the file is refused.
    """
    with np.errstate(all="ignore"):
        file.seek(0)
        head = file.read(132)
        if kretz.recognise(head):
            header = kretz.read_header(file, PATH, LIMITS)
        elif dicom.recognise(head):
            output = io.BytesIO()
            instances = [(0, size)]
            if failure := perform("describe", file, output, {"instances": instances}):
                return "refused by the process" + " for memory" * failure.startswith("more memory")
            if SECRET in output.getvalue().decode():
                raise AssertionError("patient data in the description")
            described = json.loads(output.getvalue())
            header = dicom.header_from_description(file, instances, described, PATH)
        else:
            return "another format"
        if header.frames > 1:
            header = header.of_frame(header.frames - 1, PATH)
        check_size(header, size, PATH, LIMITS)
        grid, _ = converted_grid(header, PATH, LIMITS, conversion=Conversion(VOXEL_MM))
        voxels = decode(header, file)
        if isinstance(voxels, str):
            return voxels
        if header.lattice is not None:
            voxels = convert_beams(voxels, header.lattice, header.reversed_axes, VOXEL_MM)
        if voxels.shape != grid.shape:
            raise AssertionError(f"{voxels.shape} voxels on a grid of {grid.shape}")
        return "read"


def decode(header: VolumeHeader, file: FileIO) -> np.ndarray | str:
    """Return the voxels of a header, or why the decoding process refuses them."""
    output = io.BytesIO()
    if header.plan is not None:
        if perform("decode", file, output, header.plan.parameters()):
            return "refused by the process"
    else:
        file.seek(header.skip_file)
        unpack = decoder.OPEN[header.compression](file)
        try:
            decoder.copy(unpack, header.skip_stream, None)
            decoder.copy(unpack, header.data_bytes, output)
        except (EOFError, OSError, zlib.error):
            return "refused by the process"
    if len(output.getvalue()) != header.data_bytes:
        raise AssertionError(f"{len(output.getvalue())} bytes for {header.data_bytes}")
    return np.frombuffer(output.getvalue(), header.dtype).reshape(header.shape, order="F")


if __name__ == "__main__":
    main()

"""DICOM: reads volumes of one instance or of a series, time series, and Kretz files inside of it.

A child process parses every instance (`fetusmap.io.sandbox.dicom`). It passes on only what is
listed in `fetusmap.io.sandbox.dicom_elements.ALLOWED`, so no patient data can reach this process,
except for a report that belongs to a patient, see `fetusmap.io.volumes.dicom_study`.

Source: the DICOM standard, parts 3 and 5; for Philips QLAB, what independent public readers do.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fetusmap.errors import UnreadableFile
from fetusmap.files.reading import size_of
from fetusmap.io.sandbox.dicom import describe_instances
from fetusmap.io.volumes.dicom_frames import Frame, frames_of, positive_integer, scales_of
from fetusmap.io.volumes.dicom_geometry import Stack, stack_of
from fetusmap.io.volumes.dicom_words import (
    MEANINGS,
    SYNTAXES,
    describe_kind,
    modality_of,
    sequence_words,
    syntax_words,
    warnings_of,
)
from fetusmap.io.volumes.frame_plan import FramePlan
from fetusmap.io.volumes.header import VolumeHeader
from fetusmap.io.volumes.kretz import header_from_kretz, kretz_from_items, parse_kretz
from fetusmap.io.volumes.kretz_items import KretzItems
from fetusmap.io.volumes.limits import ReadLimits

NAME = "DICOM"
SUFFIXES = (".dcm",)
UNIFORM = (
    "SOPClassUID", "Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation",
    "SamplesPerPixel", "PhotometricInterpretation",
)  # fmt: skip
"""What all instances of a volume have in common."""

GREY = ("MONOCHROME2", "MONOCHROME1")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
TISSUE = "TISSUE_INTENSITY"
TIMES = ("TemporalPositionIndex", "TemporalPositionTimeOffset", "TemporalPositionIdentifier")
SAME_PLACE_MM = 0.01
BARE_BEGINNINGS = (b"\x02\0\0\0UL", b"\x08\0\x05\0CS", b"\x08\0\x08\0CS", b"\x08\0\x16\0UI")
"""First bytes of data sets without a preamble."""


class SingleImage(UnreadableFile):
    """A file holds one two-dimensional image; others of its series may make a volume with it."""


def recognise(head: bytes) -> bool:
    """Return whether a file begins like DICOM, with or without its preamble."""
    return head[128:132] == b"DICM" or head.startswith(BARE_BEGINNINGS)


def read_header(file: BinaryIO, path: Path, limits: ReadLimits) -> VolumeHeader:
    """Read the header of an open DICOM file; the path is for messages.

    Raises:
        UnreadableFile: as `read_instances`.
    """
    return read_instances(file, [(0, size_of(file))], path, limits)


def read_instances(
    file: BinaryIO, instances: list[tuple[int, int]], path: Path, limits: ReadLimits
) -> VolumeHeader:
    """Read the header of a volume, or of a time series, from one instance or several.

    Args:
        file: holds the instances, one after the other.
        instances: start and length of each.
        path: for messages.
        limits: memory and time of the child process.

    Raises:
        UnreadableFile: an instance is damaged, the instances do not belong together, they hold no
            volume of grey values, or their geometry is contradictory or impossible.
    """
    first = _first(file, instances[0][0])
    if len(instances) == 1 and not (recognise(first) or _begins_bare(first)):
        raise UnreadableFile(
            path,
            expected="a DICOM file",
            found="other content",
            remedy="check that the file is what its name says",
        )
    described = describe_instances(file, instances, path, limits)
    return header_from_description(file, instances, described, path)


def header_from_description(
    file: BinaryIO,
    instances: list[tuple[int, int]],
    described: Sequence[Mapping[str, Any]],
    path: Path,
) -> VolumeHeader:
    """Return the header that follows from what instances state; see `read_instances`.

    Args:
        file: holds the instances, one after the other.
        instances: start and length of each.
        described: what each states, as the decoding process describes it.
        path: for messages.
    """
    if described[0]["kretz"]:
        return _kretz_header(file, described, path)
    _check_instances(described, path)
    dtype, inverted_top = _voxel_type(Frame(0, 0, described[0]["tags"], path), path)
    frames, slices = frames_of(described, path)
    frames, left_out = _tissue_frames(frames, path)
    volumes = _volumes(frames, slices, path)
    if len(volumes[0]) == 1:
        raise SingleImage(
            path,
            expected="a 3D volume",
            found="a single 2D image",
            remedy="put all images of the series into one folder, or export a 3D volume",
        )
    stacks = [stack_of(volume, path) for volume in volumes]
    _check_same_place(stacks, path)
    first = stacks[0]
    planned = [frame for stack in stacks for frame in stack.frames]
    scales, notes = scales_of(planned, inverted_top, path)
    plan, slope, intercept = _plan(instances, stacks, slices, dtype, scales)
    facts = {
        **describe_kind(described, frames[0]),
        "position from": first.origin,
        **_sequence_fact(stacks),
    }
    if inverted_top is not None:
        left_out = (*left_out, "dark and bright are stored exchanged (MONOCHROME1): turned over")
    if positive_integer(frames[0], "SamplesPerPixel", 1) > 1:
        left_out = (*left_out, "stored in colour: the brightness was taken")
    return VolumeHeader(
        format=NAME,
        shape=(
            positive_integer(frames[0], "Columns"),
            positive_integer(frames[0], "Rows"),
            len(first.frames),
        ),
        dtype=np.dtype(plan.dtype),
        affine=first.affine,
        data_path=path,
        doubt=first.doubt,
        compression="dicom",
        slope=slope,
        intercept=intercept,
        facts=facts,
        warnings=(*warnings_of(described), *left_out, *notes, *first.warnings),
        frames=len(stacks),
        sides_assumed=first.sides_assumed,
        plan=plan,
    )


def _first(file: BinaryIO, start: int) -> bytes:
    file.seek(start)
    return file.read(132)


def _begins_bare(head: bytes) -> bool:
    """Return whether a file begins with a short element of group 0008, with or without its type.

    This is too little to recognise a file by, but enough if its name says that it is DICOM.
    """
    typed = head[4:6].isalpha() and head[4:6].isupper()
    return head[:2] == b"\x08\0" and head[3:4] == b"\0" and (typed or head[6:8] == b"\0\0")


def _kretz_header(
    file: BinaryIO, described: Sequence[Mapping[str, Any]], path: Path
) -> VolumeHeader:
    """Return the header of the Kretz volume that lies in a private element of an instance."""
    where = described[0]["kretz"]
    if "items" in where:
        header = _deflated_kretz_header(where, path)
    else:
        start, length = where["place"], where["length"]
        with (
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            memoryview(mapped) as view,
            view[start : start + length] as payload,
        ):
            header = header_from_kretz(parse_kretz(payload, path), path, start)
    frame = Frame(0, 0, described[0]["tags"], path)
    known = describe_kind(described, frame)
    facts = {name: known[name] for name in ("made by", "text in the picture")}
    return replace(
        header,
        format=f"{header.format}, inside of DICOM",
        facts={**header.facts, **facts},
        warnings=(*warnings_of(described), *header.warnings),
    )


def _deflated_kretz_header(where: Mapping[str, Any], path: Path) -> VolumeHeader:
    """Return the header of a Kretz volume in a deflated instance, from the values of its items."""
    items = where["items"]
    found = {(group, number): (place, size) for group, number, place, size, _ in items}
    values = {place: bytes.fromhex(value) for _, _, place, _, value in items}
    kretz = kretz_from_items(KretzItems(found, lambda place, _: values[place], path))
    return replace(
        header_from_kretz(kretz, path),
        skip_file=where["deflated at"],
        skip_stream=where["place"] + kretz.voxel_offset,
        compression="deflate",
    )


def _check_instances(described: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Refuse instances without voxels, of several kinds, or with a compression that is not read."""
    for one in described:
        if not one["has pixels"]:
            kind = modality_of(Frame(0, 0, one["tags"], path))
            raise UnreadableFile(
                path,
                expected="a DICOM image",
                found=f"no voxels (modality {kind})",
                remedy="export the 3D volume as 'Enhanced US Volume' or as a cartesian volume",
            )
    for word in UNIFORM:
        if len({str(d["tags"].get(word)) for d in described}) > 1:
            raise UnreadableFile(
                path,
                expected="images of one series",
                found=f"different values of {word}",
                remedy="give each series a folder of its own",
            )
    for one in described:
        if one["syntax"] not in SYNTAXES:
            raise UnreadableFile(
                path,
                expected="voxels that are not compressed, or by JPEG, JPEG-LS, JPEG 2000 or RLE",
                found=f"transfer syntax {syntax_words(one['syntax'])}",
                remedy="export it without compression",
            )


def _voxel_type(frame: Frame, path: Path) -> tuple[str, float | None]:
    """Return the type of the voxels, and their highest value if dark and bright are exchanged."""
    bits = positive_integer(frame, "BitsAllocated")
    stored = positive_integer(frame, "BitsStored", bits)
    signed = frame.number("PixelRepresentation") == 1
    samples = positive_integer(frame, "SamplesPerPixel", 1)
    meaning = frame.text("PhotometricInterpretation").upper()
    fits = (samples == 1 and meaning in GREY) or (samples == 3 and meaning in COLOUR and bits == 8)
    if bits not in (8, 16, 32) or not 1 <= stored <= bits or not fits:
        raise UnreadableFile(
            path,
            expected="grey values of 8, 16 or 32 bits",
            found=f"{stored} of {bits} bits, {samples} sample{'s' * (samples > 1)} of "
            f"{meaning if meaning in MEANINGS else 'unknown meaning'}",
            remedy="export the volume in grey values",
        )
    inverted = meaning == "MONOCHROME1"
    return f"<{'i' if signed else 'u'}{bits // 8}", 2.0**stored - 1 - signed if inverted else None


def _tissue_frames(frames: list[Frame], path: Path) -> tuple[list[Frame], tuple[str, ...]]:
    """Return the frames of tissue if others (flow, elasticity) are among them, and a remark."""
    kinds = [f.text("DataType") for f in frames]
    if not any(kinds) or set(kinds) == {TISSUE}:
        return frames, ()
    tissue = [f for f, kind in zip(frames, kinds, strict=True) if kind == TISSUE]
    if not tissue:
        raise UnreadableFile(
            path,
            expected="frames of tissue intensity (B-mode)",
            found="other data only",
            remedy="export the B-mode volume",
        )
    return tissue, (f"{len(frames) - len(tissue)} frames of other data than B-mode are left out",)


def _volumes(frames: list[Frame], slices: int, path: Path) -> list[list[Frame]]:
    """Return the frames of each volume of a time series, in the order of time."""
    if slices > 1:
        return [frames[n : n + slices] for n in range(0, len(frames), slices)]
    word = next((w for w in TIMES if all(f.number(w) is not None for f in frames)), None)
    if word is None:
        return [frames]
    groups: dict[float, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(frame.number(word) or 0.0, []).append(frame)
    counts = {len(group) for group in groups.values()}
    if len(counts) > 1:
        raise UnreadableFile(
            path,
            expected="as many frames at each time",
            found=f"{min(counts)} to {max(counts)}",
            remedy="export the sequence again",
        )
    return [groups[time] for time in sorted(groups)]


def _check_same_place(stacks: Sequence[Stack], path: Path) -> None:
    """Refuse a time series whose volumes lie in different places."""
    first = stacks[0].affine
    for other in stacks[1:]:
        if (first is None) != (other.affine is None) or (
            first is not None
            and other.affine is not None
            and np.abs(first - other.affine).max() > SAME_PLACE_MM
        ):
            raise UnreadableFile(
                path,
                expected="volumes of a time series in one place",
                found="different positions",
                remedy="export the volumes one by one",
            )


def _plan(
    instances: list[tuple[int, int]],
    stacks: Sequence[Stack],
    slices: int,
    dtype: str,
    scales: Sequence[tuple[float, float]],
) -> tuple[FramePlan, float, float]:
    """Return the plan of decoding, and the slope and intercept that all frames share."""
    scaled = len(set(scales)) > 1
    pairs = iter(scales)
    volumes = tuple(
        tuple((f.instance, f.index, *next(pairs)) for f in stack.frames) for stack in stacks
    )
    plan = FramePlan(tuple(instances), volumes, slices, scaled, "<f4" if scaled else dtype)
    return plan, *((1.0, 0.0) if scaled else scales[0])


def _sequence_fact(stacks: Sequence[Stack]) -> dict[str, str]:
    if len(stacks) == 1:
        return {}
    times = [stack.frames[0].number("TemporalPositionTimeOffset") for stack in stacks]
    return {"sequence": sequence_words(times)}

"""GE Kretz files (`.vol` of Voluson scanners): the items of a file, and the geometry they state.

A file is a magic word of 16 bytes and a list of items: group and element (16 bits each), the number
of bytes (32 bits), and the bytes, all little endian. Voxels are bytes, the samples along a beam
fastest. In the beam-space variant, the samples lie on a torus: the array is curved, and the whole
array swings about an axis that is not its own centre. The cartesian variant has cubic voxels.

No public document of the maker describes the format. The meaning of the items is what independent
public readers agree on; where they disagree, the functions below say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fetusmap.errors import UnreadableFile
from fetusmap.files.reading import size_of
from fetusmap.geometry import affine_from
from fetusmap.io.volumes.header import VolumeHeader
from fetusmap.io.volumes.kretz_items import (
    DIMENSIONS,
    LATERAL_ANGLES,
    MAGIC,
    OFFSETS,
    RESOLUTION,
    SEQUENCE,
    SWEEP_ANGLES,
    VOXEL_SIZE,
    VOXELS,
    KretzItems,
    ReadAt,
    list_items,
)
from fetusmap.io.volumes.limits import ReadLimits
from fetusmap.types import FloatArray, Shape3
from fetusmap.volume.beams import BeamLattice

NAME = "GE Kretz"
SUFFIXES = (".vol", ".v00", ".v01", ".v02")

MAX_DEPTH_MM = 500.0
MAX_RADIUS_MM = 500.0
RESOLUTION_MM = (0.005, 5.0)
CENTRED_RAD = np.radians(1.0)
"""Distance of the middle of an array of angles from 0 or 90 degrees that needs no remark."""

ASSUMED_SIDES = (
    "a Kretz file does not state which side of the probe is which: left and right follow the usual "
    "convention, so compare one case of this scanner with a known side before you rely on them "
    "(--mirror exchanges them)"
)
UNCOMPRESSED = "open it in 4D View and save it again with 'Wavelet compression' set to 'None'"


@dataclass(frozen=True, eq=False)
class KretzFile:
    """What a Kretz file states about its voxels.

    Attributes:
        shape: (I, J, K) numbers of stored voxels; in beam space the samples of a beam, the beams of
            a plane, and the planes of a sweep.
        frames: number of volumes; they follow each other without a gap.
        voxel_offset: bytes of the file before the first voxel of the first volume.
        lattice: positions of the samples, if the file is in beam space. Angles increase.
        reversed_axes: stored axes (1 lateral, 2 sweep) along which the angles decrease.
        voxel_size_mm: of a cartesian file; None if it does not state it.
        facts: the geometry in words.
        warnings: what had to be assumed, in words.
    """

    shape: Shape3
    frames: int
    voxel_offset: int
    lattice: BeamLattice | None
    reversed_axes: tuple[int, ...] = ()
    voxel_size_mm: float | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def recognise(head: bytes) -> bool:
    """Return whether a file begins like a Kretz file."""
    return head.startswith(MAGIC)


def read_header(file: BinaryIO, path: Path, limits: ReadLimits) -> VolumeHeader:  # noqa: ARG001
    """Read the header of an open Kretz file; the path is for messages.

    Raises:
        UnreadableFile: as `parse_kretz`.
    """

    def read_at(place: int, count: int) -> bytes:
        file.seek(place)
        return file.read(count)

    return header_from_kretz(_parse(read_at, size_of(file), path), path)


def parse_kretz(data: bytes | memoryview, subject: object) -> KretzFile:
    """Read the items of a Kretz file that lies in memory, for example inside of a DICOM file.

    Args:
        data: the whole file, from its magic word on.
        subject: what the file is called in messages.

    Raises:
        UnreadableFile: the data are no Kretz file, are cut short or compressed, or state a geometry
            that is impossible.
    """
    return _parse(lambda place, count: bytes(data[place : place + count]), len(data), subject)


def header_from_kretz(kretz: KretzFile, path: Path, data_start: int = 0) -> VolumeHeader:
    """Return the volume header of a parsed Kretz file.

    Args:
        kretz: as parsed.
        path: the file that holds the voxels.
        data_start: bytes of that file before the magic word.
    """
    affine, doubt = None, ""
    if kretz.lattice is None and kretz.voxel_size_mm is not None:
        affine = affine_from(np.eye(3) * kretz.voxel_size_mm, np.zeros(3))
    elif kretz.lattice is None:
        doubt = "a cartesian Kretz file without a voxel size"
    return VolumeHeader(
        format=NAME + (", cartesian" if kretz.lattice is None else ", beam space"),
        shape=kretz.shape,
        dtype=np.dtype(np.uint8),
        affine=affine,
        data_path=path,
        doubt=doubt,
        skip_file=data_start + kretz.voxel_offset,
        frames=kretz.frames,
        lattice=kretz.lattice,
        reversed_axes=kretz.reversed_axes,
        sides_assumed=ASSUMED_SIDES,
        facts=kretz.facts,
        warnings=kretz.warnings,
    )


def _parse(read_at: ReadAt, size: int, subject: object) -> KretzFile:
    if read_at(0, len(MAGIC)) != MAGIC:
        raise UnreadableFile(
            subject,
            expected=f"a GE Kretz file, which begins with {MAGIC.decode().strip()!r}",
            found="other content",
            remedy="export the volume as .vol again, or as a cartesian DICOM volume",
        )
    return kretz_from_items(KretzItems(list_items(read_at, size, subject), read_at, subject))


def kretz_from_items(items: KretzItems) -> KretzFile:
    """Return what the items of a Kretz file state; places are those in the file.

    Raises:
        UnreadableFile: as `parse_kretz`.
    """
    subject = items.subject
    i, j, k = (items.integer(tag, name) for tag, name in zip(DIMENSIONS, "IJK", strict=True))
    offset, frames = _voxels(items, (i, j, k), subject)
    if LATERAL_ANGLES not in items.found and SWEEP_ANGLES not in items.found:
        return _cartesian(items, (i, j, k), offset, frames, subject)
    theta = items.angles(LATERAL_ANGLES, j, "lateral angles")
    phi = items.angles(SWEEP_ANGLES, k, "sweep angles")
    theta_reversed, phi_reversed = theta[0] > theta[-1], phi[0] > phi[-1]
    lattice = _lattice(items, i, np.sort(theta), np.sort(phi), subject)
    return KretzFile(
        shape=(i, j, k),
        frames=frames,
        voxel_offset=offset,
        lattice=lattice,
        reversed_axes=(*([1] if theta_reversed else []), *([2] if phi_reversed else [])),
        facts=_facts(lattice, frames),
        warnings=tuple(filter(None, (_off_centre(theta, "lateral"), _off_centre(phi, "sweep")))),
    )


def _voxels(items: KretzItems, shape: Shape3, subject: object) -> tuple[int, int]:
    """Return where the voxels begin, and how many volumes there are.

    The voxels of a sequence follow each other in one item. Compressed voxels take fewer bytes than
    there are voxels, or lie in another item.
    """
    tag = SEQUENCE if SEQUENCE in items.found else VOXELS
    place, length = items.found.get(tag, (0, 0))
    voxels = shape[0] * shape[1] * shape[2]
    if not voxels:
        raise items.bad("voxels on each axis", f"shape {shape}", "at least 16")
    frames, rest = divmod(length, voxels)
    if frames < 1:
        raise UnreadableFile(
            subject,
            expected=f"{voxels} uncompressed voxels",
            found=f"{length} bytes: the file was saved with compression" if length else "none",
            remedy=UNCOMPRESSED,
        )
    if rest > 1 or (frames > 1 and tag == VOXELS):  # an odd number may be filled with one byte
        raise UnreadableFile(
            subject,
            expected=f"a whole number of volumes of {voxels} bytes",
            found=f"{length} bytes",
            remedy=UNCOMPRESSED,
        )
    return place, frames


def _cartesian(
    items: KretzItems, shape: Shape3, offset: int, frames: int, subject: object
) -> KretzFile:
    """Return a file of cubic voxels.

    Public readers disagree whether the voxel size is in metres or millimetres. No size is plausible
    in both, so the number itself decides.
    """
    size = None
    if VOXEL_SIZE in items.found:
        value = items.number(VOXEL_SIZE, "voxel size")
        size = value if value >= 0.02 else value * 1000
        if not 0.05 <= size <= 5:
            raise UnreadableFile(
                subject,
                expected="a voxel size of 0.05 to 5 mm",
                found=f"{value:.4g}",
                remedy="export it again",
            )
    facts = {"kind": "GE Voluson volume of cubic voxels, as exported", **_sequence_fact(frames)}
    return KretzFile(shape, frames, offset, None, voxel_size_mm=size, facts=facts)


def _lattice(
    items: KretzItems, samples: int, theta: FloatArray, phi: FloatArray, subject: object
) -> BeamLattice:
    """Return the lattice of a sweep whose angles increase.

    Sample i has the distance resolution * (i + first offset) from the centre of the array, which
    lies -resolution * second offset behind the axis of the sweep.
    """
    step = items.number(RESOLUTION, "radial resolution") * 1000
    if not RESOLUTION_MM[0] <= step <= RESOLUTION_MM[1]:
        raise items.bad("radial resolution", f"{step:.4g} mm", "0.005 to 5 mm of")
    radius = items.number(OFFSETS[0], "first offset") * step
    behind = -items.number(OFFSETS[1], "second offset") * step
    depth = step * (samples - 1)
    if not (0 <= radius <= MAX_RADIUS_MM and abs(behind) <= MAX_RADIUS_MM and depth > 0):
        raise items.bad("the probe", f"{radius:.4g} and {behind:.4g} mm", "plausible radii of")
    if depth > MAX_DEPTH_MM:
        raise items.bad("depth", f"{depth:.4g} mm", f"at most {MAX_DEPTH_MM:g} mm of")
    theta, phi = theta - (theta[0] + theta[-1]) / 2, phi - (phi[0] + phi[-1]) / 2
    if radius * np.cos(theta[-1]) - behind <= 0:
        raise UnreadableFile(
            subject,
            expected="samples in front of the axis of the sweep",
            found=f"an array of radius {radius:.4g} mm, {behind:.4g} mm behind it",
            remedy="copy or export it again",
        )
    ranges = np.arange(samples, dtype=np.float64) * step
    return BeamLattice(radius, radius - behind, ranges, theta, phi)


def _facts(lattice: BeamLattice, frames: int) -> dict[str, str]:
    """Return the geometry in a clinician's words."""
    samples, beams, planes = lattice.shape
    lateral, sweep = (np.degrees(a[-1] - a[0]) for a in (lattice.thetas_rad, lattice.phis_rad))
    return {
        "kind": "GE Voluson volume as acquired (beams of a swept array)",
        "field of view": f"{lateral:.1f} degrees across, sweep of {sweep:.1f} degrees, "
        f"{lattice.ranges_mm[-1]:.1f} mm deep",
        "beams": f"{planes} planes of {beams} beams of {samples} samples, "
        f"{lattice.steps[0]:.3f} mm apart",
        "probe": f"first samples {lattice.probe_radius_mm:.1f} mm from the centre of the array, "
        f"{lattice.motor_radius_mm:.1f} mm from the axis of the sweep",
        **_sequence_fact(frames),
    }


def _sequence_fact(frames: int) -> dict[str, str]:
    return {"sequence": f"{frames} volumes"} if frames > 1 else {}


def _off_centre(angles: FloatArray, name: str) -> str:
    """Return a remark if the middle of the angles is neither 0 nor 90 degrees.

    Public readers disagree about such a file: some take the middle, others 90 degrees as ahead.
    """
    middle = abs(angles[0] + angles[-1]) / 2
    if min(middle, abs(middle - np.pi / 2)) <= CENTRED_RAD:
        return ""
    return (
        f"the {name} angles have their middle at {np.degrees(middle):.1f} degrees, which is taken "
        "as straight ahead"
    )

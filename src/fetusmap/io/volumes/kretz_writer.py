"""Write GE Kretz files: sweeps in beam space, sequences of them, and cubic voxels.

The files have all items that readers need and no others, and no patient data.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fetusmap.errors import BadInput
from fetusmap.files.writing import atomic_path
from fetusmap.geometry import affine_from
from fetusmap.io.volumes.kretz_items import (
    DIMENSIONS,
    END_GROUP,
    LATERAL_ANGLES,
    MAGIC,
    OFFSETS,
    RESOLUTION,
    SEQUENCE,
    SWEEP_ANGLES,
    VOXEL_SIZE,
    VOXELS,
    Tag,
)
from fetusmap.types import Affine, FloatArray, Labels, VoxelArray
from fetusmap.volume.beams import BeamLattice

MAX_ITEM_BYTES = 2**32 - 1


def save_kretz_sweeps(
    sweeps: Sequence[Labels], lattice: BeamLattice, path: Path, *, overwrite: bool = True
) -> None:
    """Write sweeps of one lattice, atomically: one as a volume, several as a sequence.

    The format counts angles from their middle. If those of the lattice are not symmetric, empty
    beams and planes are added on the narrower side, so that no sample moves. The planes are written
    in reverse: lateral, depth and sweep of the lattice form a right-handed frame, in a Kretz file
    lateral, sweep and depth do.

    Args:
        sweeps: (R, T, P) grey levels of each volume.
        lattice: ranges and angles of the samples; evenly spaced ranges.
        path: the file.
        overwrite: whether an existing file may be replaced.

    Raises:
        BadInput: there is no sweep, one has another shape or type, or the file cannot be written.
    """
    for sweep in sweeps:
        if sweep.shape != lattice.shape or sweep.dtype != np.uint8:
            raise BadInput(
                path,
                expected=f"sweeps of 8 bits and the shape {lattice.shape}",
                found=f"{sweep.dtype} of the shape {sweep.shape}",
                remedy="convert the grey levels to 0 to 255",
            )
    theta, before, after = _symmetric(lattice.thetas_rad)
    phi, first, last = _symmetric(lattice.phis_rad)
    padded = [np.pad(sweep, ((0, 0), (before, after), (first, last))) for sweep in sweeps]
    step_m = lattice.steps[0] / 1000
    nearest_mm = lattice.probe_radius_mm + lattice.ranges_mm[0]
    behind_mm = lattice.probe_radius_mm - lattice.motor_radius_mm
    geometry = {
        RESOLUTION: struct.pack("<d", step_m),
        OFFSETS[0]: struct.pack("<d", nearest_mm / 1000 / step_m),
        OFFSETS[1]: struct.pack("<d", -behind_mm / 1000 / step_m),
        # Scanners count from the side: 90 degrees is straight ahead.
        SWEEP_ANGLES: (np.pi / 2 - phi[::-1]).astype("<f8").tobytes(),
        LATERAL_ANGLES: (np.pi / 2 + theta).astype("<f8").tobytes(),
    }
    _write([sweep[:, :, ::-1] for sweep in padded], geometry, path, overwrite)


def save_kretz_voxels(
    voxels: VoxelArray, voxel_size_mm: float, path: Path, *, overwrite: bool = True
) -> None:
    """Write (I, J, K) cubic voxels of 8 bits as a cartesian Kretz file, atomically.

    The format has no place for an origin and for directions.

    Raises:
        BadInput: the voxels have another type, or the file cannot be written.
    """
    if voxels.ndim != 3 or voxels.dtype != np.uint8:
        raise BadInput(
            path,
            expected="a volume of 8 bits",
            found=f"{voxels.ndim} axes of {voxels.dtype}",
            remedy="convert the grey levels to 0 to 255",
        )
    _write([voxels], {VOXEL_SIZE: struct.pack("<d", voxel_size_mm / 1000)}, path, overwrite)


def kretz_from_lattice(lattice: BeamLattice) -> Affine:
    """Return the map from the lattice's frame to the world of a written sweep, see `swept`."""
    axes = [[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]
    return affine_from(axes, [0, 0, lattice.probe_radius_mm])


def _symmetric(angles: FloatArray) -> tuple[FloatArray, int, int]:
    """Return angles with their middle at 0, and how many were added before and after."""
    step, reach = angles[1] - angles[0], max(-angles[0], angles[-1])
    added = [
        np.linspace(reach, end, max(1, int(np.ceil((reach - end) / step))), endpoint=False)
        if reach - end > 1e-9
        else np.zeros(0)
        for end in (-angles[0], angles[-1])
    ]
    whole = np.concatenate([-added[0], angles, added[1][::-1]])
    return whole, len(added[0]), len(added[1])


def _write(
    volumes: Sequence[VoxelArray], geometry: dict[Tag, bytes], path: Path, overwrite: bool
) -> None:
    """Write the items of a file; volumes of the same shape follow each other."""
    if not volumes:
        raise BadInput(path, expected="at least one volume", found="none", remedy="give one")
    shape = volumes[0].shape
    size = len(volumes) * volumes[0].size
    if max(shape) > 65535 or size > MAX_ITEM_BYTES:
        raise BadInput(
            path,
            expected="at most 65535 samples on an axis, and 4 GB in all",
            found=f"{len(volumes)} volumes of the shape {shape}",
            remedy="write fewer of them into one file",
        )
    counts = {tag: struct.pack("<H", n) for tag, n in zip(DIMENSIONS, shape, strict=True)}
    tag = VOXELS if len(volumes) == 1 else SEQUENCE
    with atomic_path(path, overwrite=overwrite) as temporary, temporary.open("wb") as file:
        file.write(MAGIC)
        for (group, element), content in {**counts, **geometry}.items():
            file.write(struct.pack("<HHI", group, element, len(content)) + content)
        file.write(struct.pack("<HHI", *tag, size))
        for volume in volumes:
            file.write(volume.tobytes("F"))
        file.write(struct.pack("<HHI", END_GROUP, 0xFFFF, 0))

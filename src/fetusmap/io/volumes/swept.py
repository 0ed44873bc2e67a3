"""From stored beams to voxels: the grid of a converted sweep, and its scan conversion.

The world of such a volume is that of the probe, because the file knows no patient axes: x is
lateral, y is the direction of the sweep, z is depth, and the origin is the centre of curvature of
the array. A sample at the distance r from that centre, the lateral angle theta and the sweep angle
phi lies at

    x = r sin(theta)
    y = (r cos(theta) - d) sin(phi)
    z = d (1 - cos(phi)) + r cos(theta) cos(phi)

where d is the distance from the centre of the array to the axis of the sweep.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.geometry import Grid, affine_from
from fetusmap.io.volumes.header import VolumeHeader, check_shape
from fetusmap.io.volumes.limits import ReadLimits
from fetusmap.io.volumes.stated_geometry import checked_grid
from fetusmap.types import Triple, VoxelArray
from fetusmap.volume.beams import BeamLattice
from fetusmap.volume.scan_conversion import scan_convert

USUAL_VOXEL_MM = 0.5
SLAB_BYTES = 64 * 1024 * 1024
"""Memory for the values between the two steps of the scan conversion."""


@dataclass(frozen=True)
class Conversion:
    """How a file is read whose own statements are incomplete, wrong, or of beams.

    Attributes:
        voxel_size_mm: spacing of the voxels to which beams are converted; None for 0.5 mm.
        mirror: whether left and right are exchanged.
        force_spacing: whether a given spacing replaces one that the file states; otherwise a file
            that contradicts the given spacing is refused.
    """

    voxel_size_mm: float | None = None
    mirror: bool = False
    force_spacing: bool = False


AS_STORED = Conversion()


def converted_grid(
    header: VolumeHeader,
    path: Path,
    limits: ReadLimits,
    spacing_mm: Triple | None = None,
    conversion: Conversion = AS_STORED,
) -> tuple[Grid, tuple[str, ...]]:
    """Return the grid of the volume as it will be read, whether it is stored as voxels or as beams.

    Args:
        header: as read.
        path: for messages.
        limits: plausible spacing, and how many voxels there may be.
        spacing_mm: spacing of stored voxels, if the file states none.
        conversion: voxel size of converted beams, whether to mirror, and whether the given spacing
            replaces a stated one.

    Returns:
        The grid, and a warning for each statement that was replaced, assumed, or not used.

    Raises:
        UnreadableFile: the geometry or the size is refused.
        BadInput: the voxel size is not plausible, a spacing is given for beams or contradicts the
            file, or a file that states its orientation is to be mirrored.
    """
    if header.lattice is None:
        grid, notes = checked_grid(
            header, path, limits, spacing_mm, force_spacing=conversion.force_spacing
        )
        if conversion.voxel_size_mm is not None:
            notes += ("the voxel size is not used, because the file holds voxels",)
    elif spacing_mm is None:
        size = _checked_size(conversion.voxel_size_mm, limits)
        grid, notes = swept_grid(header.lattice, size), ()
        check_shape(header.shape, 4, path, limits)  # beams are converted in single precision
        check_shape(grid.shape, header.dtype.itemsize, path, limits)
        _check_expansion(header, grid, path, limits)
    else:
        raise BadInput(
            path,
            expected="no spacing, because the geometry of the beams states all lengths",
            found=f"a spacing of {' x '.join(f'{s:g}' for s in spacing_mm)} mm",
            remedy="leave it out; --voxel-size sets the size of the voxels",
        )
    if not conversion.mirror:
        return grid, (*notes, *([header.sides_assumed] if header.sides_assumed else []))
    if not header.sides_assumed:
        raise BadInput(
            path,
            expected="a file that leaves its sides open, if it is to be mirrored",
            found=f"{header.format}, which states its orientation",
            remedy="leave --mirror out",
        )
    mirrored = Grid(grid.shape, affine_from(np.diag([-1.0, 1.0, 1.0]), np.zeros(3)) @ grid.affine)
    return mirrored, (*notes, "mirrored as asked: left and right are exchanged")


def swept_grid(lattice: BeamLattice, voxel_size_mm: float) -> Grid:
    """Return the smallest grid of cubic voxels that holds all samples of a sweep.

    Its axes are x, y and z of this module; the angles of the lattice have their middle at 0.
    """
    return _world_from_lattice(lattice, _lattice_grid(lattice, voxel_size_mm))


def convert_beams(
    beams: VoxelArray,
    lattice: BeamLattice,
    reversed_axes: tuple[int, ...] = (),
    voxel_size_mm: float | None = None,
) -> VoxelArray:
    """Convert (R, T, P) stored samples to the voxels of `swept_grid`, by slabs to save memory."""
    values = np.flip(beams, reversed_axes).astype(np.float32, order="C")
    grid = _lattice_grid(lattice, voxel_size_mm or USUAL_VOXEL_MM)
    width, depth, length = grid.shape
    voxels = np.empty((width, length, depth), np.uint8)
    between = 4 * (depth + length) * lattice.shape[2]  # bytes for one lateral position
    step = max(1, SLAB_BYTES // between)
    for start in range(0, width, step):
        stop = min(start + step, width)
        slab = grid.crop((start, 0, 0), (stop, depth, length))
        voxels[start:stop] = scan_convert(values, lattice, slab).transpose(0, 2, 1)
    return voxels


def _lattice_grid(lattice: BeamLattice, voxel_size_mm: float) -> Grid:
    """Return the grid of a sweep in the frame of its lattice: lateral, depth, sweep."""
    theta, phi = lattice.thetas_rad[-1], lattice.phis_rad[-1]
    first, last = lattice.ranges_mm[0], lattice.ranges_mm[-1]
    width = (lattice.probe_radius_mm + last) * np.sin(theta)
    length = (lattice.motor_radius_mm + last) * np.sin(phi)
    # The last beam of the last plane begins nearest to the probe.
    top = lattice.to_world([first, theta, phi])[1]
    low, high = np.array([-width, top, -length]), np.array([width, last, length])
    shape = np.maximum(16, np.ceil((high - low) / voxel_size_mm).astype(np.int64) + 1)
    return Grid.centered([int(n) for n in shape], voxel_size_mm, (low + high) / 2)


def _world_from_lattice(lattice: BeamLattice, grid: Grid) -> Grid:
    """Return a grid of the lattice's frame in the order and with the origin of the file's world."""
    (i, j, k), (x, y, z) = grid.shape, grid.origin_mm
    return Grid.from_spacing(
        (i, k, j), float(grid.spacing_mm[0]), (x, z, y + lattice.probe_radius_mm)
    )


def _check_expansion(header: VolumeHeader, grid: Grid, path: Path, limits: ReadLimits) -> None:
    """Refuse few samples that would become very many voxels, as for compressed files."""
    ratio = grid.voxel_count / header.data_bytes
    if grid.voxel_count > limits.free_bytes and ratio > limits.max_ratio:
        raise UnreadableFile(
            path,
            expected=f"at most {limits.max_ratio:.0f} voxels for each stored sample",
            found=f"{ratio:.0f}, {grid.voxel_count} voxels in all",
            remedy="choose larger voxels with --voxel-size",
        )


def _checked_size(voxel_size_mm: float | None, limits: ReadLimits) -> float:
    """Return the size of the voxels, if it is plausible."""
    if voxel_size_mm is None:
        return USUAL_VOXEL_MM
    low, high = limits.spacing_mm
    if not low <= voxel_size_mm <= high:  # NaN is neither
        raise BadInput(
            "voxel size",
            expected=f"{low:g} to {high:g} mm",
            found=f"{voxel_size_mm:g} mm",
            remedy="give the size of a voxel in mm, such as 0.5",
        )
    return float(voxel_size_mm)

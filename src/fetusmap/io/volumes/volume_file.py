"""Volumes in and out: NIfTI, NRRD and MetaImage.

Each format's module holds its reader and its writer. Other readers were measured to fill a
truncated file with zeros, and another writer to report success on a full disk, so both are ours;
the tests hold every file against SimpleITK and nibabel.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.files.names import VOLUME_SUFFIXES, case_name, format_suffix, suffix_of
from fetusmap.files.reading import check_regular_file
from fetusmap.files.writing import atomic_path
from fetusmap.geometry import Grid
from fetusmap.io.sandbox.decode import check_finite, decode_voxels
from fetusmap.io.volumes import metaimage, nifti, nrrd
from fetusmap.io.volumes.header import (
    VolumeHeader,
    check_geometry,
    check_shape,
    check_size,
    checked_grid,
)
from fetusmap.io.volumes.limits import DEFAULT_LIMITS, ReadLimits
from fetusmap.types import Triple
from fetusmap.volume import Volume

HEADER_READERS: dict[str, Callable[[Path, ReadLimits], VolumeHeader]] = {
    ".nii": nifti.read_header,
    ".nii.gz": nifti.read_header,
    ".nrrd": nrrd.read_header,
    ".nhdr": nrrd.read_header,
    ".mha": metaimage.read_header,
    ".mhd": metaimage.read_header,
}
WRITERS: dict[str, Callable[[Volume, np.dtype[np.generic], Path], None]] = {
    ".nii.gz": nifti.write_volume,
    ".nii": nifti.write_volume,
    ".nrrd": nrrd.write_volume,
    ".mha": metaimage.write_volume,
}
WRITABLE_SUFFIXES = tuple(WRITERS)


def load_volume(
    path: str | Path,
    *,
    spacing_mm: Triple | None = None,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> Volume:
    """Read a volume file, bounded in size, memory and time.

    Args:
        path: `.nii`, `.nii.gz`, `.nrrd`, `.nhdr`, `.mha` or `.mhd`.
        spacing_mm: overrides the file's spacing; recorded in the volume's warnings.
        limits: how much the file may ask for.

    Returns:
        The volume in LPS mm, its file's facts, and a warning for everything doubtful.

    Raises:
        UnreadableFile: with what was expected, what was found, and what to do.
    """
    path = Path(path)
    header = read_volume_header(path, limits=limits)
    with np.errstate(all="ignore"):  # what overflows is refused in words
        grid, overridden = checked_grid(header, path, limits, spacing_mm)
        array = decode_voxels(header, path, limits)
    return Volume(
        array,
        grid,
        name=case_name(path),
        facts={
            "format": header.format,
            "stored as": header.dtype.newbyteorder("=").name,
            **header.facts,
        },
        warnings=(*header.warnings, *overridden),
    )


def read_volume_header(path: str | Path, *, limits: ReadLimits = DEFAULT_LIMITS) -> VolumeHeader:
    """Read and check what a volume file says about its size and type, without its voxels.

    Raises:
        UnreadableFile: not a volume file, or one that asks for too much.
    """
    path = Path(path)
    check_regular_file(path, follow_links=limits.follow_links)
    suffix = suffix_of(path, VOLUME_SUFFIXES)
    if not suffix:
        raise UnreadableFile(
            path,
            expected=f"a volume file ({', '.join(VOLUME_SUFFIXES)})",
            found=f"the suffix {path.suffix!r}",
            remedy="convert it to NIfTI, NRRD or MetaImage",
        )
    with np.errstate(all="ignore"):
        header = HEADER_READERS[suffix](path, limits)
    check_size(header, path, limits)
    return header


def load_grid(
    path: str | Path, *, spacing_mm: Triple | None = None, limits: ReadLimits = DEFAULT_LIMITS
) -> Grid:
    """Read only where a file's voxels are, as `load_volume` would find it."""
    path = Path(path)
    with np.errstate(all="ignore"):
        return checked_grid(read_volume_header(path, limits=limits), path, limits, spacing_mm)[0]


def save_volume(
    volume: Volume,
    path: str | Path,
    *,
    overwrite: bool = True,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> None:
    """Write a volume, atomically; compressed where the format can.

    What `load_volume` with the same limits would refuse is not written. The same volume gives the
    same bytes.

    Args:
        volume: integers of at most 32 bits, or finite floats; float16 is written as float32.
        path: `.nii`, `.nii.gz`, `.nrrd` or `.mha`.
        overwrite: replace an existing file.
        limits: what may be written, as for reading.

    Raises:
        BadInput: an unknown suffix, a volume that could not be read back, a place that cannot be
            written, or an existing file.
    """
    path = Path(path)
    suffix = format_suffix(path, WRITABLE_SUFFIXES, "volume")
    dtype = _written_type(volume, path)
    check_shape(volume.grid.shape, dtype.itemsize, path, limits)
    check_geometry(volume.grid.affine, path, limits)
    check_finite(volume.array.reshape(-1, order="A"), path)
    with atomic_path(path, overwrite=overwrite) as temporary:
        WRITERS[suffix](volume, dtype, temporary)


def _written_type(volume: Volume, path: Path) -> np.dtype[np.generic]:
    """The type on disk: that of the array, native, with float16 widened."""
    dtype = volume.array.dtype
    if dtype.kind == "f" and dtype.itemsize == 2:
        dtype = np.dtype(np.float32)
    if dtype.itemsize > (8 if dtype.kind == "f" else 4):
        raise BadInput(
            path,
            expected="integers of at most 32 bits or floats of at most 64",
            found=dtype.name,
            remedy="convert the voxels, for example with array.astype('int32')",
        )
    return dtype.newbyteorder("=")

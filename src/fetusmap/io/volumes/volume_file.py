"""Reading and writing of volume files: NIfTI, NRRD and MetaImage.

Each format's module holds its reader and its writer. They belong to this package because another
reader was measured to fill a truncated file with zeros, and another writer to report success on a
full disk. The tests compare every file with SimpleITK and nibabel.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from fetusmap.errors import BadInput
from fetusmap.files.names import format_suffix
from fetusmap.files.writing import atomic_path
from fetusmap.geometry import Grid
from fetusmap.io.sandbox.decode import check_finite, decode_voxels
from fetusmap.io.volumes import metaimage, nifti, nrrd
from fetusmap.io.volumes.header import VolumeHeader, check_shape
from fetusmap.io.volumes.limits import DEFAULT_LIMITS, ReadLimits
from fetusmap.io.volumes.source import (
    OpenedSource,
    Source,
    count_frames,
    only_source,
    open_source,
)
from fetusmap.io.volumes.stated_geometry import check_geometry
from fetusmap.io.volumes.swept import AS_STORED, Conversion, convert_beams, converted_grid
from fetusmap.types import Triple
from fetusmap.volume import Volume

WRITERS: dict[str, Callable[[Volume, np.dtype[np.generic], Path], None]] = {
    ".nii.gz": nifti.write_volume,
    ".nii": nifti.write_volume,
    ".nrrd": nrrd.write_volume,
    ".mha": metaimage.write_volume,
}
WRITABLE_SUFFIXES = tuple(WRITERS)


def load_volume(
    source: str | Path | Source,
    *,
    spacing_mm: Triple | None = None,
    conversion: Conversion = AS_STORED,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> Volume:
    """Read a volume, with limits on its size, memory and time.

    Args:
        source: path of a NIfTI, NRRD, MetaImage, DICOM or GE Kretz file, of a folder with one
            volume such as a DICOM series, or a `Source`. The format is recognised by the content;
            a name that contradicts it gives a warning.
        spacing_mm: the spacing of a file that states none; the volume's warnings record it.
        conversion: voxel size for a file that holds beams, whether to mirror a file that leaves
            its sides open, and whether the given spacing replaces one that the file states.
        limits: how large the volume may be.

    Returns:
        The volume in LPS mm, what its file states, and a warning for everything doubtful.

    Raises:
        UnreadableFile: the file is not a volume, is damaged, or exceeds the limits.
        BadInput: the given spacing contradicts the one that the file states.
    """
    source = _source(source)
    with open_source(source, limits) as opened:
        return volume_of(
            source, opened, spacing_mm=spacing_mm, conversion=conversion, limits=limits
        )


def load_sequence(
    source: str | Path | Source,
    *,
    spacing_mm: Triple | None = None,
    conversion: Conversion = AS_STORED,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> Iterator[Volume]:
    """Yield the volumes of a 4D file in order, one in memory at a time; a 3D file has one.

    Args:
        source: the file or the folder; the number of each volume becomes part of its name.
        spacing_mm: see `load_volume`.
        conversion: see `load_volume`.
        limits: how large each volume may be.

    Raises:
        UnreadableFile: the file is not a volume file; a damaged volume raises when it is its turn.
    """
    whole = _source(source)
    count = count_frames(whole.path, limits)
    sources = [replace(whole, frame=n) for n in range(count)] if count > 1 else [whole]
    return (
        load_volume(each, spacing_mm=spacing_mm, conversion=conversion, limits=limits)
        for each in sources
    )


def volume_of(
    source: Source,
    opened: OpenedSource,
    *,
    spacing_mm: Triple | None = None,
    conversion: Conversion = AS_STORED,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> Volume:
    """Decode the volume of an open source, as `load_volume` does."""
    header = opened.header
    with np.errstate(all="ignore"):  # a header that overflows is refused in words
        grid, overridden = converted_grid(header, source.path, limits, spacing_mm, conversion)
        array = decode_voxels(header, opened.data, source.path, limits)
        if header.lattice is not None:
            array = convert_beams(
                array, header.lattice, header.reversed_axes, conversion.voxel_size_mm
            )
    return Volume(
        array,
        grid,
        name=source.name,
        facts={
            "format": header.format,
            "stored as": header.dtype.newbyteorder("=").name,
            **header.facts,
        },
        warnings=(*header.warnings, *overridden),
    )


def read_volume_header(
    source: str | Path | Source, *, limits: ReadLimits = DEFAULT_LIMITS
) -> VolumeHeader:
    """Read and check the header of a volume, without its voxels.

    Raises:
        UnreadableFile: the file is not a volume, or its header announces more than the limits.
    """
    with open_source(_source(source), limits) as opened:
        return opened.header


def load_grid(
    source: str | Path | Source,
    *,
    spacing_mm: Triple | None = None,
    conversion: Conversion = AS_STORED,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> Grid:
    """Read only the grid of a volume, as `load_volume` would return it."""
    source = _source(source)
    header = read_volume_header(source, limits=limits)
    with np.errstate(all="ignore"):
        return converted_grid(header, source.path, limits, spacing_mm, conversion)[0]


def _source(source: str | Path | Source) -> Source:
    if isinstance(source, Source):
        return source
    path = Path(source)
    is_folder = os.path.isdir(path)  # noqa: PTH112 - unlike is_dir() it does not raise
    return only_source(path) if is_folder else Source(path)


def save_volume(
    volume: Volume,
    path: str | Path,
    *,
    overwrite: bool = True,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> None:
    """Write a volume atomically; compressed, except as `.nii`.

    A volume that `load_volume` with the same limits would refuse is not written. The same volume
    gives the same bytes.

    Args:
        volume: integers of at most 32 bits, or finite floats; float16 is written as float32.
        path: `.nii`, `.nii.gz`, `.nrrd` or `.mha`.
        overwrite: whether an existing file may be replaced.
        limits: how large the volume may be, as for reading.

    Raises:
        BadInput: the suffix is unknown, the volume could not be read back, the place cannot be
            written, or the file exists and may not be replaced.
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
    """Return the type on disk: that of the array in native byte order; float16 becomes float32."""
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

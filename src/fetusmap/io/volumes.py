"""Volumes in and out: NIfTI, NRRD and MetaImage.

Headers are read by our own small parsers and voxels by a bounded child process. Files are written
by SimpleITK, so that every file of ours has passed through a second, independent implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813

from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.io import metaimage, nifti, nrrd
from fetusmap.io.decode import decode_voxels
from fetusmap.io.files import (
    VOLUME_SUFFIXES,
    atomic_path,
    case_name,
    check_regular_file,
    suffix_of,
)
from fetusmap.io.header import VolumeHeader, check_size, checked_grid
from fetusmap.io.limits import DEFAULT_LIMITS, ReadLimits
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
WRITABLE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")


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
    grid, overridden = checked_grid(header, path, limits, spacing_mm)
    array = decode_voxels(header, path, limits)
    return Volume(
        array,
        grid,
        name=case_name(path),
        facts={
            "format": header.format,
            "voxel type": header.dtype.newbyteorder("=").name,
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
    header = HEADER_READERS[suffix](path, limits)
    check_size(header, path, limits)
    return header


def save_volume(volume: Volume, path: str | Path, *, overwrite: bool = True) -> None:
    """Write a volume, atomically; compressed where the format can.

    Args:
        volume: any integer type up to 32 bits, or float; float16 is written as float32.
        path: `.nii`, `.nii.gz`, `.nrrd` or `.mha`.
        overwrite: replace an existing file.

    Raises:
        BadInput: an unknown suffix, a sheared grid, a folder that cannot be written, or an
            existing file.
    """
    path = Path(path)
    suffix = suffix_of(path, WRITABLE_SUFFIXES)
    if not suffix:
        raise BadInput(
            path,
            expected=f"one of {', '.join(WRITABLE_SUFFIXES)}",
            found=repr(path.suffix),
            remedy="choose a volume format by its suffix",
        )
    if volume.grid.shear > DEFAULT_LIMITS.max_shear:
        raise BadInput(
            path,
            expected="a grid with right angles",
            found=f"a sheared one (cosine {volume.grid.shear:.3f} between two axes)",
            remedy="resample the volume onto a box first",
        )
    if volume.array.dtype == np.float16:
        volume = replace(volume, array=volume.array.astype(np.float32))
    # ITK's arrays run [k, j, i]: the same memory with the axes named the other way round.
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array.T))
    image.SetSpacing(volume.grid.spacing_mm.tolist())
    image.SetDirection(volume.grid.direction.ravel().tolist())
    image.SetOrigin(volume.grid.origin_mm.tolist())
    with atomic_path(path, overwrite=overwrite) as temporary:
        sitk.WriteImage(image, str(temporary), useCompression=suffix != ".nii")

"""`VolumeHeader`: what a volume file states about its voxels, and the checks of these statements.

Each format's module reads its header into a `VolumeHeader` without reading a voxel. The checks are
the same for all formats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.files.names import is_plain_name
from fetusmap.files.reading import is_link
from fetusmap.geometry import Grid, affine_from, check_affine
from fetusmap.geometry.affine import direction_of, shear_of, spacing_of
from fetusmap.io.volumes.frame_plan import FramePlan
from fetusmap.io.volumes.limits import ReadLimits
from fetusmap.types import Affine, ArrayLike, FloatArray, Shape3, Triple
from fetusmap.volume.beams import BeamLattice

OVERRIDE = "give the true spacing with --spacing X Y Z"
MAX_SPACING_DIFFERENCE = 0.01
"""Relative difference up to which two statements of a spacing agree."""

Compression = Literal["none", "gzip", "gzip twice", "zlib", "deflate", "bzip2", "dicom"]


@dataclass(frozen=True)
class VolumeHeader:
    """A file's own description of its voxels.

    Attributes:
        format: name for people, such as "NIfTI-1".
        shape: (I, J, K), the first index varying fastest in the file.
        dtype: type on disk, with byte order.
        affine: (4, 4) world_from_index in LPS mm, or None when the file gives no orientation.
        data_path: the file with the voxels.
        doubt: why the affine is not used unless the caller gives a spacing, or "".
        conflict: what is wrong with the affine and cannot be corrected by a spacing, or "".
        skip_file: bytes of the data file before the (compressed) voxels; with `voxels_at_end`, the
            smallest possible number of them.
        voxels_at_end: whether the voxels are the last bytes of the data file.
        skip_stream: bytes of the decompressed stream before the first voxel.
        compression: how the voxels are compressed.
        slope, intercept: intensity = slope * stored + intercept.
        facts: further statements of the file, in words.
        warnings: what the reader had to assume, in words.
        first_axis_fastest: whether the first index varies fastest in the file, else the last one.
        described_by: a document beside the data file that states all this; of raw voxels only.
        following_bytes: bytes of the decompressed stream after the voxels, of other volumes.
        frames: number of volumes in the file; they follow each other without a gap.
        lattice: positions of the stored samples, if they are beams before scan conversion. Then
            `shape` counts samples, beams and planes, and there is no affine.
        reversed_axes: axes of the stored samples along which the angles decrease.
        sides_assumed: if the file leaves open which of two mirror images is right, the remark
            about the convention that is assumed, else "".
        plan: which frames of which instances are decoded; of DICOM only.
    """

    format: str
    shape: Shape3
    dtype: np.dtype[np.generic]
    affine: Affine | None
    data_path: Path
    doubt: str = ""
    conflict: str = ""
    skip_file: int = 0
    voxels_at_end: bool = False
    skip_stream: int = 0
    compression: Compression = "none"
    slope: float = 1.0
    intercept: float = 0.0
    facts: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    first_axis_fastest: bool = True
    described_by: Path | None = None
    following_bytes: int = 0
    frames: int = 1
    lattice: BeamLattice | None = None
    reversed_axes: tuple[int, ...] = ()
    sides_assumed: str = ""
    plan: FramePlan | None = None

    @property
    def data_bytes(self) -> int:
        """Bytes of the stored voxels, as a Python integer that no header can overflow."""
        i, j, k = self.shape
        return i * j * k * self.dtype.itemsize

    @property
    def is_scaled(self) -> bool:
        """Whether intensities differ from the stored values; scaled voxels become float32."""
        return (self.slope, self.intercept) != (1.0, 0.0)

    def voxel_offset(self, file_bytes: int) -> int:
        """Return the bytes before the (compressed) voxels in a data file of that size."""
        if self.voxels_at_end:
            return max(self.skip_file, file_bytes - self.data_bytes)
        return self.skip_file

    def of_frame(self, frame: int, path: Path) -> VolumeHeader:
        """Return the header of one volume of a sequence, counted from 0; the path is for messages.

        Raises:
            UnreadableFile: the file has no such volume.
        """
        if not 0 <= frame < self.frames:
            raise UnreadableFile(
                path,
                expected=f"a frame from 0 to {self.frames - 1}",
                found=f"frame {frame}",
                remedy="choose one of them" if self.frames > 1 else "leave the frame out",
            )
        plan = None if self.plan is None else self.plan.of_volume(frame)
        skip = frame * self.data_bytes if plan is None else 0
        skip_file, skip_stream, following = self.skip_file, self.skip_stream, 0
        if self.compression == "none":
            skip_file += skip
        elif plan is None:
            skip_stream += skip
            following = (self.frames - 1 - frame) * self.data_bytes
        facts = {**self.facts, "frame": f"{frame} of 0 to {self.frames - 1}"}
        return replace(
            self,
            skip_file=skip_file,
            skip_stream=skip_stream,
            following_bytes=following,
            frames=1,
            facts=facts,
            plan=plan,
        )


def check_size(header: VolumeHeader, file_bytes: int, path: Path, limits: ReadLimits) -> None:
    """Refuse a volume that is too small, too large, cut short, or compressed implausibly well.

    Args:
        header: as read.
        file_bytes: size of the data file.
        path: for messages.
        limits: what the file may ask for.

    Raises:
        UnreadableFile: a number is out of bounds; the error states it.
    """
    widest = max(header.dtype.itemsize, 4 if header.is_scaled else 0)
    check_shape(header.shape, widest, path, limits)
    available = file_bytes - header.voxel_offset(file_bytes)
    needed = header.data_bytes + header.skip_stream
    unpacked = needed + header.following_bytes + (header.frames - 1) * header.data_bytes
    if available < (needed if header.compression == "none" else 1):
        raise UnreadableFile(
            path,
            expected=f"{needed} bytes of voxels",
            found=f"{max(available, 0)} (the file is cut short)",
            remedy="copy or export it again",
        )
    ratio = unpacked / available
    if header.compression != "none" and unpacked > limits.free_bytes and ratio > limits.max_ratio:
        raise UnreadableFile(
            path,
            expected=f"a compression ratio of at most {limits.max_ratio:.0f}",
            found=f"{ratio:.0f} ({available} bytes for {unpacked})",
            remedy="decompress it yourself if you trust it",
        )


def check_shape(shape: Shape3, itemsize: int, path: Path, limits: ReadLimits) -> None:
    """Refuse too few voxels on an axis, or too many in total; for reading and for writing.

    Raises:
        UnreadableFile: a number is out of bounds; the error states it.
    """
    if min(shape) < limits.min_axis:
        raise UnreadableFile(
            path,
            expected=f"at least {limits.min_axis} voxels on each of three axes",
            found=f"shape {shape}",
            remedy="give the whole 3D volume, not a slice or a thumbnail",
        )
    voxels = shape[0] * shape[1] * shape[2]
    if voxels > limits.max_voxels or voxels * itemsize > limits.max_bytes:
        raise UnreadableFile(
            path,
            expected=f"at most {limits.max_voxels} voxels and {limits.max_bytes} bytes",
            found=f"{voxels} voxels, {voxels * itemsize} bytes",
            remedy="crop or downsample the volume, or raise the limits for a file you trust",
        )


def checked_grid(
    header: VolumeHeader,
    path: Path,
    limits: ReadLimits,
    spacing_mm: Triple | None,
    *,
    force_spacing: bool = False,
) -> tuple[Grid, tuple[str, ...]]:
    """Return the header's grid, with the caller's spacing if there is one.

    Args:
        header: as read.
        path: for messages.
        limits: plausible spacing and shear.
        spacing_mm: replaces the spacing of the file; directions and origin are kept if the file
            has any.
        force_spacing: whether the given spacing may contradict one that the file states.

    Returns:
        The grid, and a warning for each statement of the file that was replaced or assumed.

    Raises:
        UnreadableFile: the file has no orientation, or `check_geometry` refuses its geometry.
        BadInput: the given spacing is not three positive numbers, or it contradicts a plausible
            spacing of the file and is not forced.
    """
    if header.conflict:
        raise UnreadableFile(
            path,
            expected="one orientation and position",
            found=header.conflict,
            remedy="mend the header with the program that wrote it",
        )
    if spacing_mm is not None:
        spacing = _checked_spacing(spacing_mm)
        stated = _stated_spacing(header, limits)
        if stated is not None and not force_spacing:
            _check_agreement(spacing, stated, path)
        affine, warnings = _override_spacing(header.affine, spacing, stated)
        warnings += (f"not used: {header.doubt}",) if header.doubt else ()
    elif header.affine is None or header.doubt:
        raise UnreadableFile(
            path,
            expected="a spacing and an orientation (without them lengths and sides are unknown)",
            found=header.doubt or "none",
            remedy=OVERRIDE,
        )
    else:
        affine, warnings = header.affine, ()
    check_geometry(affine, path, limits)
    return Grid(header.shape, affine), warnings


def check_geometry(affine: Affine, path: Path, limits: ReadLimits) -> None:
    """Refuse an affine that is not a box of plausible voxels; for reading and for writing.

    Raises:
        UnreadableFile: the affine is not finite, singular or sheared, or has an implausible
            spacing.
    """
    try:
        check_affine(affine, path)
    except BadInput as error:
        raise UnreadableFile(
            path,
            expected="a finite, invertible affine",
            found=f"{np.array2string(affine[:3], precision=3, separator=',')}",
            remedy=OVERRIDE,
        ) from error
    spacing = spacing_of(affine)
    low, high = limits.spacing_mm
    rounding = 1e-6  # of single precision, in which NIfTI keeps its numbers
    if not ((spacing >= low * (1 - rounding)) & (spacing <= high * (1 + rounding))).all():
        raise UnreadableFile(
            path,
            expected=f"a spacing of {low} to {high} mm",
            found=f"{_text(spacing)} mm",
            remedy=OVERRIDE,
        )
    if shear_of(affine) > limits.max_shear:
        raise UnreadableFile(
            path,
            expected="axes at right angles",
            found=f"a sheared affine (cosine {shear_of(affine):.3f} between two axes)",
            remedy="resample it onto a box first",
        )


def _checked_spacing(spacing_mm: Triple) -> Triple:
    """Return the caller's spacing if it is three positive numbers."""
    values = np.asarray(spacing_mm, dtype=np.float64)
    if values.shape != (3,) or not (np.isfinite(values) & (values > 0)).all():
        raise BadInput(
            "spacing",
            expected="three positive numbers of millimetres",
            found=repr(spacing_mm),
            remedy="give X Y Z",
        )
    return float(values[0]), float(values[1]), float(values[2])


def _stated_spacing(header: VolumeHeader, limits: ReadLimits) -> FloatArray | None:
    """Return the spacing that the file states without a doubt, if it is a plausible one."""
    if header.affine is None or header.doubt or not np.isfinite(header.affine).all():
        return None
    spacing = spacing_of(header.affine)
    low, high = limits.spacing_mm
    return spacing if ((spacing >= low) & (spacing <= high)).all() else None


def spacings_agree(first: ArrayLike, second: ArrayLike) -> bool:
    """Return whether two spacings, each of one or three numbers, differ by at most 1 %."""
    return bool(np.allclose(first, second, rtol=MAX_SPACING_DIFFERENCE, atol=0))


def _check_agreement(spacing_mm: Triple, stated_mm: FloatArray, path: Path) -> None:
    """Refuse a given spacing that contradicts the file, which may be right."""
    if not spacings_agree(spacing_mm, stated_mm):
        raise BadInput(
            path,
            expected=f"the spacing that the file states, {_text(stated_mm)} mm, or no other",
            found=f"{_text(spacing_mm)} mm given",
            remedy="leave --spacing out, or add --force-spacing if the file is wrong",
        )


def _override_spacing(
    affine: Affine | None, spacing_mm: Triple, stated_mm: FloatArray | None
) -> tuple[Affine, tuple[str, ...]]:
    """Return the affine with the caller's spacing along the file's directions, or along L, P, S."""
    given = f"spacing {_text(spacing_mm)} mm given by the caller"
    if stated_mm is not None:
        given += f", where the file states {_text(stated_mm)} mm"
    spacing = np.array(spacing_mm, dtype=np.float64)
    if affine is not None and np.isfinite(affine).all() and spacing_of(affine).all():
        return affine_from(direction_of(affine) * spacing, affine[:3, 3]), (given,)
    assumed = "no usable orientation in the file: axes taken as left, posterior, superior"
    return affine_from(np.diag(spacing), np.zeros(3)), (given, assumed)


def real_dtype(path: Path, dtype: DTypeLike | None, found: str) -> np.dtype[np.generic]:
    """Return a supported voxel type.

    Raises:
        UnreadableFile: `dtype` is None, because the file's type is not one grey value per voxel.
    """
    if dtype is None:
        raise UnreadableFile(
            path,
            expected="one integer or floating-point value per voxel",
            found=found,
            remedy="convert it to one grey value per voxel",
        )
    return np.dtype(dtype)


def detached_data(header_path: Path, name: str, limits: ReadLimits) -> Path:
    """Return the data file that a detached header names.

    Raises:
        UnreadableFile: the name reaches outside the header's folder, the file is a symbolic link,
            or detached files are not allowed at all.
    """
    if not limits.allow_detached:
        raise UnreadableFile(
            header_path,
            expected="a file that holds its own voxels",
            found="a header that names another file",
            remedy="write it as one .nrrd, .mha or .nii.gz",
        )
    name = name.removeprefix("./")
    data = header_path.with_name(name) if is_plain_name(name) else None
    if data is None or is_link(data):
        raise UnreadableFile(
            header_path,
            expected="voxels in a file beside the header",
            found=f"data file {name!r}" + (", a link" if data is not None else ""),
            remedy="put both files into one folder",
        )
    return data


def _text(spacing: object) -> str:
    return " x ".join(f"{v:.4g}" for v in np.asarray(spacing))

"""`VolumeHeader`: what a volume file states about its voxels, and the checks of their number.

Each format's module reads its header into a `VolumeHeader` without reading a voxel. The checks are
the same for all formats; those of the geometry are in `stated_geometry`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

from fetusmap.errors import UnreadableFile
from fetusmap.files.names import is_plain_name
from fetusmap.files.reading import is_link
from fetusmap.io.volumes.frame_plan import FramePlan
from fetusmap.io.volumes.interleaving import Interleaving
from fetusmap.io.volumes.limits import ReadLimits
from fetusmap.types import Affine, Shape3, Triple
from fetusmap.volume.beams import BeamLattice

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
        spacing_mm: spacing that a file without an orientation states, or None.
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
        frames: number of volumes in the file; they follow each other without a gap, or alternate.
        interleaved: how the voxels of several volumes alternate, if they do.
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
    interleaved: Interleaving | None = None
    spacing_mm: Triple | None = None

    @property
    def data_bytes(self) -> int:
        """Bytes of the voxels of one volume, as a Python integer that no header can overflow."""
        i, j, k = self.shape
        return i * j * k * self.dtype.itemsize

    @property
    def stored_bytes(self) -> int:
        """Bytes from the first voxel of the volume, or of all volumes that alternate, to the last.

        A file with several volumes counts them all, until `of_frame` chooses one.
        """
        count = self.frames if self.interleaved is None else self.interleaved.count
        return count * self.data_bytes

    @property
    def is_scaled(self) -> bool:
        """Whether intensities differ from the stored values; scaled voxels become float32."""
        return (self.slope, self.intercept) != (1.0, 0.0)

    def voxel_offset(self, file_bytes: int) -> int:
        """Return the bytes before the (compressed) voxels in a data file of that size."""
        if self.voxels_at_end:
            return max(self.skip_file, file_bytes - self.stored_bytes - self.following_bytes)
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
        interleaved = None if self.interleaved is None else replace(self.interleaved, number=frame)
        skip_file, skip_stream, following = self.skip_file, self.skip_stream, 0
        if plan is None and interleaved is None:
            following = (self.frames - 1 - frame) * self.data_bytes
            if self.compression == "none":
                skip_file += frame * self.data_bytes
            else:
                skip_stream += frame * self.data_bytes
        facts = {**self.facts, "frame": f"{frame} of 0 to {self.frames - 1}"}
        return replace(
            self,
            skip_file=skip_file,
            skip_stream=skip_stream,
            following_bytes=following,
            frames=1,
            facts=facts,
            plan=plan,
            interleaved=interleaved,
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
    needed = header.stored_bytes + header.skip_stream
    unpacked = needed + header.following_bytes
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

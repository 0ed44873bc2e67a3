"""Fixtures for the tests of files: headers packed by hand, other readers, grids and poses.

All are fixtures of the session, because helper modules cannot be imported here, and because
hypothesis needs fixtures that live longer than one example.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from fetusmap.anatomy import Pose, load_skeleton
from fetusmap.geometry import Grid
from fetusmap.io import load_volume

SHAPE = (16, 17, 18)
NIFTI_CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768}


@pytest.fixture(scope="session")
def phantom() -> Callable[..., np.ndarray[Any, Any]]:
    """Voxels over the whole range of a type, without any symmetry."""

    def make(
        shape: tuple[int, int, int] = SHAPE, dtype: str = "u1", seed: int = 0
    ) -> np.ndarray[Any, Any]:
        rng = np.random.default_rng(seed)
        kind = np.dtype(dtype)
        if kind.kind == "f":
            array = rng.normal(0, 1000, shape).astype(kind)
            extremes = np.finfo(kind).min, np.finfo(kind).max
        else:
            info = np.iinfo(kind)
            array = rng.integers(info.min, info.max, shape, kind.newbyteorder("="), endpoint=True)
            array = array.astype(kind)
            extremes = info.min, info.max
        array[0, 0, 0], array[-1, -1, -1] = extremes
        return array

    return make


@pytest.fixture(scope="session")
def read_simpleitk() -> Callable[[Path], SimpleNamespace]:
    """SimpleITK's view of a file: voxels [i, j, k], LPS affine, and `to_world`."""

    def read(path: Path) -> SimpleNamespace:
        image = sitk.ReadImage(str(path))
        affine = np.eye(4)
        affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
        affine[:3, 3] = image.GetOrigin()
        return SimpleNamespace(
            array=sitk.GetArrayFromImage(image).T,
            affine=affine,
            to_world=lambda indices: np.array(
                [
                    image.TransformContinuousIndexToPhysicalPoint(list(map(float, i)))
                    for i in indices
                ]
            ),
        )

    return read


@pytest.fixture(scope="session")
def read_nibabel() -> Callable[[Path], SimpleNamespace]:
    """Nibabel's view of a file, turned from RAS to LPS."""

    def read(path: Path) -> SimpleNamespace:
        image = nib.load(path)
        affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
        return SimpleNamespace(
            array=np.asanyarray(image.dataobj),
            affine=affine,
            to_world=lambda indices: nib.affines.apply_affine(affine, indices),
        )

    return read


@pytest.fixture(scope="session")
def craft() -> SimpleNamespace:
    """Files packed by hand, byte by byte: `nifti`, `nrrd`, `metaimage`, `gzip_with_zeros`."""
    return SimpleNamespace(
        nifti=_pack_nifti, nrrd=_pack_nrrd, metaimage=_pack_metaimage, gzip_with_zeros=_gzip_zeros
    )


@pytest.fixture(scope="session")
def good(craft: SimpleNamespace, phantom: Callable[..., np.ndarray[Any, Any]]) -> dict[str, bytes]:
    """A good file of each attached format, with voxels that do not compress to nothing."""
    voxels = phantom().tobytes("F")
    packed = zlib.compress(voxels)
    size = {"CompressedData": "True", "CompressedDataSize": str(len(packed))}
    return {
        ".nii": craft.nifti(voxels=voxels),
        ".nii.gz": gzip.compress(craft.nifti(voxels=voxels)),
        ".nrrd": craft.nrrd({"encoding": "gzip"}, gzip.compress(voxels)),
        ".mha": craft.metaimage(size, packed),
    }


@pytest.fixture(scope="session")
def grids() -> st.SearchStrategy[Grid]:
    """Oblique, left- and right-handed, anisotropic grids of ultrasound scale."""
    entry = st.floats(-1, 1)

    @st.composite
    def draw_grid(draw: st.DrawFn) -> Grid:
        shape = draw(st.tuples(*[st.integers(16, 21)] * 3))
        quaternion = draw(
            st.tuples(*[entry] * 4).filter(lambda q: np.linalg.norm(q) > 0.1), label="quaternion"
        )
        signs = draw(st.tuples(*[st.sampled_from([1.0, -1.0])] * 3), label="flips")
        spacing = draw(st.tuples(*[st.floats(0.1, 4.0)] * 3), label="spacing")
        origin = draw(st.tuples(*[st.floats(-500, 500)] * 3), label="origin")
        direction = Rotation.from_quat(quaternion).as_matrix() * np.array(signs)
        return Grid.from_spacing(shape, spacing, origin, direction)

    return draw_grid()


@pytest.fixture(scope="session")
def poses() -> st.SearchStrategy[Pose]:
    """Poses of fetus-16 with any landmark absent and any confidence."""
    skeleton = load_skeleton()
    count = len(skeleton)

    @st.composite
    def draw_pose(draw: st.DrawFn) -> Pose:
        positions = draw(hnp.arrays(np.float64, (count, 3), elements=st.floats(-1e4, 1e4)))
        absent = draw(hnp.arrays(np.bool_, count))
        positions[absent] = np.nan
        confidence = draw(hnp.arrays(np.float64, count, elements=st.floats(0, 1)))
        return Pose(skeleton, positions, confidence)

    return draw_pose()


def _pack_nifti(
    *,
    dim: tuple[int, ...] = (3, *SHAPE, 1, 1, 1, 1),
    dtype: str = "u1",
    datatype: int | None = None,
    pixdim: tuple[float, ...] = (1, 1, 1, 1, 0, 0, 0, 0),
    codes: tuple[int, int] = (0, 1),
    quatern: tuple[float, ...] = (0, 0, 0),
    qoffset: tuple[float, ...] = (0, 0, 0),
    srow: tuple[float, ...] = (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0),
    vox_offset: float = 352,
    scaling: tuple[float, float] = (1, 0),
    units: int = 2,
    magic: bytes = b"n+1\0",
    size: int = 348,
    order: str = "<",
    voxels: bytes | None = None,
) -> bytes:
    """A NIfTI-1 file, fields at the offsets of nifti1.h; zeros for voxels unless they are given."""
    head = bytearray(352)
    for spec, offset, values in (
        ("i", 0, (size,)),
        ("8h", 40, dim),
        ("h", 70, (NIFTI_CODES[dtype] if datatype is None else datatype,)),
        ("h", 72, (8 * np.dtype(dtype).itemsize,)),
        ("8f", 76, pixdim),
        ("f", 108, (vox_offset,)),
        ("2f", 112, scaling),
        ("B", 123, (units,)),
        ("2h", 252, codes),
        ("3f", 256, quatern),
        ("3f", 268, qoffset),
        ("12f", 280, srow),
    ):
        struct.pack_into(order + spec, head, offset, *values)
    head[344:348] = magic
    if voxels is None:
        voxels = bytes(int(np.prod(dim[1:4])) * np.dtype(dtype).itemsize)
    return bytes(head) + voxels


def _pack_nrrd(
    changes: Mapping[str, str | None] | None = None,
    voxels: bytes | None = None,
    *,
    magic: str = "NRRD0004",
    end: str = "\n",
    remarks: tuple[str, ...] = (),
) -> bytes:
    """An attached NRRD of unsigned bytes; `changes` replaces, adds or (None) drops fields."""
    fields = {
        "type": "uint8",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": " ".join(map(str, SHAPE)),
        "space directions": "(1,0,0) (0,1,0) (0,0,1)",
        "kinds": "domain domain domain",
        "encoding": "raw",
        "space origin": "(0,0,0)",
        **(changes or {}),
    }
    lines = [
        magic,
        *remarks,
        *(f"{key}: {text}" for key, text in fields.items() if text is not None),
    ]
    head = "".join(line + end for line in (*lines, "")).encode()
    return head + (bytes(int(np.prod(SHAPE))) if voxels is None else voxels)


def _pack_metaimage(
    changes: Mapping[str, str | None] | None = None,
    voxels: bytes | None = None,
    *,
    end: str = "\n",
) -> bytes:
    """An attached MetaImage of unsigned bytes; `changes` as for NRRD."""
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "0 0 0",
        "ElementSpacing": "1 1 1",
        "DimSize": " ".join(map(str, SHAPE)),
        "ElementType": "MET_UCHAR",
        **(changes or {}),
    }
    data_file = fields.pop("ElementDataFile", "LOCAL")
    if data_file is not None:
        fields["ElementDataFile"] = data_file
    head = "".join(f"{key} = {text}{end}" for key, text in fields.items() if text is not None)
    return head.encode() + (bytes(int(np.prod(SHAPE))) if voxels is None else voxels)


def _gzip_zeros(head: bytes, zeros: int, wrapper: str = "gzip") -> bytes:
    """One gzip (or zlib) stream of `head` and at least `zeros` zero bytes, with right check sums.

    A full flush makes a deflate block that may be repeated: gigabytes are packed in no time.
    """
    block = bytes(1 << 24)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    repeated = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    last = packer.flush(zlib.Z_FINISH)
    count = -(-zeros // len(block))
    deflated = first + repeated * count + last
    size = len(head) + count * len(block)
    if wrapper == "zlib":
        total = zlib.adler32(head)
        for _ in range(count):
            total = zlib.adler32(block, total)
        return b"\x78\x9c" + deflated + struct.pack(">I", total)
    total = zlib.crc32(head)
    for _ in range(count):
        total = zlib.crc32(block, total)
    tail = struct.pack("<II", total, size & 0xFFFFFFFF)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + deflated + tail


@pytest.fixture
def agrees(read_simpleitk):
    """A function that checks that SimpleITK reads the same voxels at the same places."""

    def agrees(path, array):
        corners = np.argwhere(np.ones((2, 2, 2))) * (np.array(array.shape) - 1)
        ours, theirs = load_volume(path), read_simpleitk(path)
        np.testing.assert_array_equal(ours.array, array)
        np.testing.assert_array_equal(theirs.array, array)
        assert ours.array.dtype == array.dtype.newbyteorder("=")
        assert np.abs(ours.grid.to_world(corners) - theirs.to_world(corners)).max() < 1e-3
        return ours

    return agrees

"""Anti-aliased resampling of a volume onto any grid.

If the axes of the target are parallel to those of the source, one axis after the other is
resampled, each by one matrix product. Any other target is interpolated linearly from such an
axis-aligned, smoothed version of the region that the target covers.

The filter is the triangle of linear interpolation. Where the target is coarser than the source, the
triangle is widened to the step of the target. Its weights are corrected so that they reproduce
constants and ramps exactly: a blob keeps its centre of mass for any ratio of the two spacings.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from scipy import ndimage

from fetusmap.errors import BadInput
from fetusmap.geometry import Grid
from fetusmap.types import Affine, BoolArray, FloatArray, IntArray, Shape3, VoxelArray
from fetusmap.volume.volume import Volume

Interpolation = Literal["linear", "nearest"]

MAX_AXIS_DEVIATION_VOXELS = 1e-6
"""Largest deviation over the whole target, in source voxels, at which axes count as parallel."""

OUTPUTS_PER_BLOCK = 8
"""Number of neighbouring outputs along an axis that are computed by one matrix product."""


def resample(
    volume: Volume,
    grid: Grid,
    *,
    interpolation: Interpolation = "linear",
    antialias: bool = True,
    outside: float = 0.0,
) -> Volume:
    """Resample a volume onto another grid.

    Args:
        volume: the source.
        grid: the target grid, with any spacing, orientation and extent.
        interpolation: "linear" for intensities, which returns float32; "nearest" for labels, which
            keeps the type and the values of the source and never smooths.
        antialias: widen the linear filter where the target is coarser than the source.
        outside: value of target voxels whose centre lies outside the box of the source.

    Returns:
        A volume on `grid`. If the axes of both grids are parallel, its memory order is that of the
        source.

    Raises:
        BadInput: the interpolation is unknown, or the voxels cannot hold the value `outside`.
    """
    kind = volume.array.dtype
    if interpolation == "nearest" and not _holds(kind, outside):
        raise BadInput(
            "value outside",
            expected=f"a value that {kind.name} can hold",
            found=f"{outside}",
            remedy="choose another, or convert the labels first",
        )
    if interpolation not in ("linear", "nearest"):
        raise BadInput(
            "interpolation",
            expected="'linear' or 'nearest'",
            found=repr(interpolation),
            remedy="use 'linear' for intensities and 'nearest' for labels",
        )
    index_from_index = volume.grid.index_from_world @ grid.affine
    order = _aligned_axes(index_from_index, grid.shape)
    if order is not None:
        array = _resample_aligned(
            volume.array, index_from_index, order, grid.shape, interpolation, antialias
        )
    else:
        array = _resample_oblique(
            volume.array, index_from_index, grid.shape, interpolation, antialias
        )
    return replace(
        volume, array=_fill_outside(array, volume.grid, index_from_index, outside), grid=grid
    )


def _aligned_axes(index_from_index: Affine, shape: Shape3) -> tuple[int, int, int] | None:
    """Return for each target axis the source axis parallel to it; None for an oblique target."""
    linear = index_from_index[:3, :3]
    order = np.abs(linear).argmax(axis=0)
    if len(set(order.tolist())) < 3:
        return None
    deviation = linear.copy()
    deviation[order, [0, 1, 2]] = 0
    if (np.abs(deviation) @ np.array(shape)).max() > MAX_AXIS_DEVIATION_VOXELS:
        return None
    return int(order[0]), int(order[1]), int(order[2])


def _resample_aligned(
    array: VoxelArray,
    index_from_index: Affine,
    order: tuple[int, int, int],
    shape: Shape3,
    interpolation: Interpolation,
    antialias: bool,
) -> VoxelArray:
    """Resample onto a target whose axis t is parallel to source axis order[t]."""
    positions = [
        index_from_index[s, 3] + index_from_index[s, t] * np.arange(shape[t])
        for t, s in enumerate(order)
    ]
    aligned = array.transpose(order)
    if interpolation == "nearest":
        picks = [_nearest(p, n) for p, n in zip(positions, aligned.shape, strict=True)]
        return np.asarray(aligned[np.ix_(*picks)])
    widths = [
        max(1.0, abs(float(index_from_index[s, t]))) if antialias else 1.0
        for t, s in enumerate(order)
    ]
    return _filter_axes(
        aligned,
        [linear_weights(p, n, w) for p, n, w in zip(positions, aligned.shape, widths, strict=True)],
    )


def _resample_oblique(
    array: VoxelArray,
    index_from_index: Affine,
    shape: Shape3,
    interpolation: Interpolation,
    antialias: bool,
) -> VoxelArray:
    """Resample onto a target whose axes are not parallel to those of the source.

    One source voxel along axis a moves |column a of target_from_source| target voxels; its inverse
    is the width of the filter that the target needs there. Half of it is the step of an
    intermediate, axis-aligned array (its filter narrowed so that both filters together have the
    right variance), from which SciPy interpolates linearly. For targets up to 1.4 times coarser
    than the source, that linear interpolation is the only filter.
    """
    if interpolation == "nearest":
        return _pick_nearest(array, index_from_index, shape)
    target_from_source = np.linalg.inv(index_from_index[:3, :3])
    widths = np.maximum(1.0, 1.0 / np.linalg.norm(target_from_source, axis=0))
    if not antialias:
        widths = np.ones(3)
    first, last = _index_bounds(index_from_index, shape, array.shape)
    counts = np.ceil((last - first) / np.maximum(1.0, widths / 2)).astype(int) + 1
    # Steps that end exactly on the last sample, so that nothing is clipped at the border.
    steps = np.where(counts > 1, (last - first) / np.maximum(counts - 1, 1), 1.0)
    first_widths = np.maximum(1.0, np.sqrt(np.maximum(widths**2 - steps**2, 0)))

    weights = [
        linear_weights(first[a] + steps[a] * np.arange(counts[a]), array.shape[a], first_widths[a])
        for a in range(3)
    ]
    middle_from_target = np.diag(np.append(1 / steps, 1.0)) @ index_from_index
    middle_from_target[:3, 3] -= first / steps
    return _interpolate_linearly(_filter_axes(array, weights), middle_from_target, shape)


def _interpolate_linearly(array: VoxelArray, index_from_index: Affine, shape: Shape3) -> VoxelArray:
    """Interpolate linearly with SciPy; beyond the edge the edge voxel is repeated."""
    return np.asarray(
        ndimage.affine_transform(
            array,
            index_from_index[:3, :3],
            index_from_index[:3, 3],
            output_shape=shape,
            order=1,
            mode="nearest",
            prefilter=False,
        )
    )


def _pick_nearest(array: VoxelArray, index_from_index: Affine, shape: Shape3) -> VoxelArray:
    """Return the value of the nearest voxel, of any type; computed one target slab at a time."""
    picked = np.empty(shape, dtype=array.dtype)
    for i, slab in enumerate(picked):
        index = [_index_along(index_from_index, a, shape, i) for a in range(3)]
        slab[...] = array[tuple(_nearest(p, n) for p, n in zip(index, array.shape, strict=True))]
    return picked


def _index_along(index_from_index: Affine, axis: int, shape: Shape3, i: int) -> FloatArray:
    """Return the (J, K) source index along `axis` of the target voxels [i, :, :]."""
    row = index_from_index[axis]
    across = row[1] * np.arange(shape[1])[:, None] + row[2] * np.arange(shape[2])[None, :]
    return np.asarray(row[3] + row[0] * i + across)


def _holds(kind: np.dtype[np.generic], value: float) -> bool:
    """Whether a voxel type can hold a value."""
    if kind.kind == "f":
        return True
    limits = np.iinfo(kind.str)
    return bool(np.isfinite(value)) and value == int(value) and limits.min <= value <= limits.max


def _index_bounds(
    index_from_index: Affine, shape: Shape3, source_shape: tuple[int, ...]
) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and highest source index that the target needs, inside the source."""
    linear, offset = index_from_index[:3, :3], index_from_index[:3, 3]
    reach = linear * (np.array(shape) - 1)
    low = offset + np.minimum(reach, 0).sum(axis=1)
    high = offset + np.maximum(reach, 0).sum(axis=1)
    limit = np.array(source_shape) - 1.0
    return np.clip(np.floor(low), 0, limit), np.clip(np.ceil(high), 0, limit)


def linear_weights(positions: FloatArray, count: int, width: float) -> FloatArray:
    """Return the (M, count) weights of `count` samples for values at M fractional `positions`.

    Each row is a triangle of half-width `width` samples around its position, times a straight line
    that makes the row sum to 1 and puts its centre of mass at the position. Constants and ramps are
    therefore exact, also at the borders. A position beyond the first or last sample gets the value
    of that sample.
    """
    centers = np.clip(positions, 0, count - 1)
    offsets = np.arange(count) - centers[:, None]
    tent = np.maximum(0.0, 1.0 - np.abs(offsets) / width)
    mass, first, second = (np.sum(tent * offsets**n, axis=1) for n in range(3))
    spread = mass * second - first**2
    # With a single sample under the triangle there is no slope to correct.
    single = spread < 1e-9
    scale = 1.0 / np.where(single, mass, spread)
    constant = np.where(single, 1.0, second) * scale
    slope = np.where(single, 0.0, -first) * scale
    return np.asarray(tent * (constant[:, None] + slope[:, None] * offsets), dtype=np.float64)


def _filter_axes(array: VoxelArray, weights: list[FloatArray]) -> VoxelArray:
    """Apply one weight matrix per axis, float32, in the memory order of `array`.

    An output needs only a few neighbouring samples, so a weight matrix is a band along its
    diagonal. It is applied in blocks of outputs that leave out nearly all of the zeros. All three
    axes of a block are filtered while it is in the cache.
    """
    order = np.argsort([-abs(s) for s in array.strides], kind="stable")
    slow, middle, fast = (weights[a].astype(np.float32) for a in order)
    dense = array.transpose(order)
    result = np.empty((len(slow), len(middle), len(fast)), dtype=np.float32)
    across = [_blocks(middle), _blocks(fast)]
    used = tuple(slice(min(c.start for _, c in b), max(c.stop for _, c in b)) for b in across)
    for rows, columns in _blocks(slow):
        voxels = dense[columns, used[0], used[1]].astype(np.float32)
        planes = slow[rows, columns] @ voxels.reshape(len(voxels), -1)
        planes = planes.reshape(-1, *voxels.shape[1:])
        lines = np.empty((len(planes), len(middle), planes.shape[2]), dtype=np.float32)
        for some, samples in across[0]:
            near = planes[:, samples.start - used[0].start : samples.stop - used[0].start]
            lines[:, some] = middle[some, samples] @ near
        for some, samples in across[1]:
            near = lines[..., samples.start - used[1].start : samples.stop - used[1].start]
            result[rows, :, some] = near @ fast[some, samples].T
    return np.asarray(result.transpose(np.argsort(order)))


def _blocks(weights: FloatArray) -> list[tuple[slice, slice]]:
    """Return blocks of outputs, each with the range of samples that any of them needs."""
    blocks = []
    for start in range(0, len(weights), OUTPUTS_PER_BLOCK):
        rows = slice(start, start + OUTPUTS_PER_BLOCK)
        columns = np.flatnonzero(weights[rows].any(axis=0))
        blocks.append((rows, slice(int(columns[0]), int(columns[-1]) + 1)))
    return blocks


def _nearest(positions: FloatArray, count: int) -> IntArray:
    """Return the index of the nearest sample; exactly between two samples, the lower one."""
    return np.clip(np.ceil(positions - 0.5), 0, count - 1).astype(np.int64)


def _fill_outside(
    array: VoxelArray, source: Grid, index_from_index: Affine, outside: float
) -> VoxelArray:
    """Write `outside` into target voxels whose centre is not in the source's box."""
    corners = np.array([[0, n - 1] for n in array.shape])
    ends = np.stack(np.meshgrid(*corners, indexing="ij"), axis=-1).reshape(8, 3)
    reached = ends @ index_from_index[:3, :3].T + index_from_index[:3, 3]
    rim = 0.5 + MAX_AXIS_DEVIATION_VOXELS
    if (reached >= -rim).all() and (reached <= np.array(source.shape) - 1 + rim).all():
        return array
    filled = array.copy()
    high = np.array(source.shape) - 1 + rim
    for i, slab in enumerate(filled):
        missing: BoolArray = np.zeros(slab.shape, dtype=bool)
        for a in range(3):
            index = _index_along(index_from_index, a, array.shape, i)
            missing |= (index < -rim) | (index > high[a])
        slab[missing] = outside
    return filled

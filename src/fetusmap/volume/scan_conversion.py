"""Scan conversion: resample beam data to voxels.

The geometry is separable, so two sparse matrix products do it: (range, theta) to (x, rho), then
(rho, phi) to (y, z).
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from fetusmap.geometry import Grid
from fetusmap.types import Field, FloatArray, Labels
from fetusmap.volume.beams import BeamLattice


def scan_convert(
    values: Field, lattice: BeamLattice, grid: Grid
) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """Resample grey levels to the voxels of a grid; voxels outside of the swept field become 0.

    The interpolation is linear. Along the beam, values are averaged over a voxel if the samples are
    denser than the voxels.

    Args:
        values: (R, T, P) grey levels, 0 to 255.
        lattice: ranges and angles of the samples.
        grid: grid of cubic voxels whose axes i, j, k are x, y, z of the lattice's frame.

    Returns:
        (I, J, K) uint8 voxels.
    """
    xs, ys, zs = _axes(grid)
    spacing = float(grid.spacing_mm[0])
    rhos = _rhos(lattice, ys, zs, spacing)
    rows, thetas, phis = lattice.shape
    first = _plane_matrix(lattice, xs, rhos, spacing)
    turned = (first @ values.reshape(rows * thetas, phis)).reshape(len(rhos), len(xs), phis)
    stacked = np.ascontiguousarray(turned.transpose(0, 2, 1)).reshape(len(rhos) * phis, len(xs))
    second = _sweep_matrix(lattice, ys, zs, rhos)
    voxels = np.empty((len(ys), len(zs), len(xs)), np.uint8)
    block = 4 * len(zs)
    for start in range(0, len(ys) * len(zs), block):
        part = second[start : start + block] @ stacked
        part += np.float32(0.5)
        voxels.reshape(-1, len(xs))[start : start + block] = part
    return np.ascontiguousarray(voxels.transpose(2, 0, 1))


def scan_convert_labels(
    labels: Labels, lattice: BeamLattice, grid: Grid
) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """Assign the label of the nearest sample to each voxel; 0 outside of the swept field."""
    xs, ys, zs = _axes(grid)
    voxels = np.zeros(grid.shape, np.uint8)
    y, z = np.meshgrid(ys, zs, indexing="ij")
    for i, x in enumerate(xs):
        beam = lattice.to_beam(np.stack([np.full_like(y, x), y, z], axis=-1))
        where = [
            (beam[..., n] - axis[0]) / (axis[1] - axis[0])
            for n, axis in enumerate((lattice.ranges_mm, lattice.thetas_rad, lattice.phis_rad))
        ]
        inside = np.all(
            [(k >= 0) & (k <= n - 1) for k, n in zip(where, labels.shape, strict=True)], axis=0
        )
        voxels[i][inside] = labels[tuple(np.round(k[inside]).astype(np.int64) for k in where)]
    return voxels


def _axes(grid: Grid) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the x, y and z coordinates of the voxels."""
    start, step = grid.origin_mm, grid.spacing_mm
    axes = [start[n] + step[n] * np.arange(grid.shape[n]) for n in range(3)]
    return axes[0], axes[1], axes[2]


def _rhos(lattice: BeamLattice, ys: FloatArray, zs: FloatArray, spacing: float) -> FloatArray:
    """Return the values of rho between the two steps."""
    depth = ys + lattice.motor_radius_mm
    reach = float(lattice.probe_radius_mm + lattice.ranges_mm[0])
    nearest = reach * float(np.cos(np.abs(lattice.thetas_rad).max()))
    nearest += lattice.motor_radius_mm - lattice.probe_radius_mm
    low = max(float(depth.min()), min(lattice.motor_radius_mm * 0.2, max(nearest, 0.0)))
    high = float(np.hypot(depth.max(), np.abs(zs).max()))
    # Beyond the last range there is nothing to convert.
    far = lattice.ranges_mm[-1] + lattice.motor_radius_mm
    return np.arange(low - spacing, min(high, far) + spacing, spacing)


def _plane_matrix(
    lattice: BeamLattice, xs: FloatArray, rhos: FloatArray, spacing: float
) -> sparse.csr_array:
    """Return the (rho * x, R * T) weights of the first step."""
    depth = rhos[:, None] + lattice.probe_radius_mm - lattice.motor_radius_mm
    theta = np.arctan2(xs, depth).ravel()
    reach = np.hypot(xs, depth).ravel() - lattice.probe_radius_mm
    step = lattice.steps[0]
    along = _tent(reach, lattice.ranges_mm, max(1.0, spacing / step))
    across = _tent(theta, lattice.thetas_rad, 1.0)
    return _product(along, across, lattice.shape[1], lattice.shape[0] * lattice.shape[1])


def _sweep_matrix(
    lattice: BeamLattice, ys: FloatArray, zs: FloatArray, rhos: FloatArray
) -> sparse.csr_array:
    """Return the (y * z, rho * P) weights of the second step."""
    depth = ys[:, None] + lattice.motor_radius_mm
    along = _tent(np.hypot(depth, zs).ravel(), rhos, 1.0)
    across = _tent(np.arctan2(zs, depth).ravel(), lattice.phis_rad, 1.0)
    phis = lattice.shape[2]
    return _product(along, across, phis, len(rhos) * phis)


def _tent(points: FloatArray, axis: FloatArray, half_width: float) -> tuple[FloatArray, FloatArray]:
    """Return (N, W) indices and weights of a tent filter; points off the axis get zero weights."""
    where = _index_on(axis, points)
    count = int(np.ceil(2 * half_width))
    first = np.floor(where - half_width).astype(np.int64) + 1
    index = first[:, None] + np.arange(count)
    weights = np.maximum(1 - np.abs(index - where[:, None]) / half_width, 0)
    weights[(index < 0) | (index >= len(axis))] = 0
    total = weights.sum(axis=1, keepdims=True)
    inside = (where >= 0) & (where <= len(axis) - 1)
    weights = np.where(inside[:, None] & (total > 0), weights / np.maximum(total, 1e-12), 0)
    return np.clip(index, 0, len(axis) - 1), weights


def _index_on(axis: FloatArray, points: FloatArray) -> FloatArray:
    """Return the (N,) fractional indices of points on an increasing axis; beyond it -1 or more."""
    where = (points - axis[0]) / (axis[1] - axis[0])
    if np.allclose(np.diff(axis), axis[1] - axis[0], rtol=1e-6, atol=0):
        return np.asarray(where)
    return np.interp(points, axis, np.arange(len(axis)), left=-1.0, right=float(len(axis)))


def _product(
    along: tuple[FloatArray, FloatArray],
    across: tuple[FloatArray, FloatArray],
    columns: int,
    width: int,
) -> sparse.csr_array:
    """Return the products of the weights of two axes as a sparse matrix over the plane."""
    index = along[0][:, :, None] * columns + across[0][:, None, :]
    weights = along[1][:, :, None] * across[1][:, None, :]
    rows, size = len(index), index.shape[1] * index.shape[2]
    return sparse.csr_array(
        (
            weights.reshape(-1).astype(np.float32),
            index.reshape(-1).astype(np.int32),
            np.arange(0, rows * size + 1, size, dtype=np.int32),
        ),
        shape=(rows, width),
    )

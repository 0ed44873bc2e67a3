"""Beam coordinates of a mechanically swept curved array, and the positions of its samples.

A sample has a range r from the surface of the array (mm), a lateral angle theta, and a sweep
angle phi (radians):

    x = (Rp + r) sin(theta)          lateral
    rho = (Rp + r) cos(theta) - Rp + Rm
    y = rho cos(phi) - Rm            depth
    z = rho sin(phi)                 sweep

Rp is the radius of curvature of the array and Rm the radius of the motor's sweep. The origin is
the middle of the array's surface when the sweep angle is 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fetusmap.types import ArrayLike, Field, FloatArray, Points3

Box = tuple[slice, slice, slice]
ROWS_PER_BLOCK = 8  # ranges that are processed together, so that they stay in the cache


def row_blocks(rows: int) -> Iterator[slice]:
    """Yield slices of eight ranges; the last one has up to nine, so that no block has only one."""
    first = 0
    while first < rows:
        last = rows if rows - first <= ROWS_PER_BLOCK + 1 else first + ROWS_PER_BLOCK
        yield slice(first, last)
        first = last


def change_along(values: Field, step: float) -> Field:
    """Return the derivative of (r, t, p) values along the beams, per mm; 1 for a single range."""
    return np.gradient(values, step, axis=0) if len(values) > 1 else np.ones_like(values)


@dataclass(frozen=True, eq=False)
class BeamLattice:
    """Samples of a sweep: all combinations of evenly spaced ranges, lateral and sweep angles.

    Attributes:
        probe_radius_mm: radius of curvature of the array, Rp.
        motor_radius_mm: radius of the sweep, Rm.
        ranges_mm: (R,) distances from the surface of the array.
        thetas_rad: (T,) lateral angles.
        phis_rad: (P,) sweep angles.
    """

    probe_radius_mm: float
    motor_radius_mm: float
    ranges_mm: FloatArray
    thetas_rad: FloatArray
    phis_rad: FloatArray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return the number of ranges, lateral angles and sweep angles, (R, T, P)."""
        return len(self.ranges_mm), len(self.thetas_rad), len(self.phis_rad)

    @property
    def steps(self) -> tuple[float, float, float]:
        """Return the distances of neighbouring samples: mm, radians, radians."""
        r, t, p = self.ranges_mm, self.thetas_rad, self.phis_rad
        return float(r[1] - r[0]), float(t[1] - t[0]), float(p[1] - p[0])

    def decimated(self, factors: tuple[int, int, int]) -> BeamLattice:
        """Return the lattice of every n-th sample along each axis, beginning with the first."""
        r, t, p = factors
        return BeamLattice(
            self.probe_radius_mm,
            self.motor_radius_mm,
            self.ranges_mm[::r],
            self.thetas_rad[::t],
            self.phis_rad[::p],
        )

    @cached_property
    def _plane(self) -> tuple[Field, Field]:
        """Return (R, T) x and rho of the image plane, which the sweep rotates."""
        reach = self.probe_radius_mm + self.ranges_mm[:, None]
        x = reach * np.sin(self.thetas_rad)
        rho = reach * np.cos(self.thetas_rad) - self.probe_radius_mm + self.motor_radius_mm
        return x.astype(np.float32), rho.astype(np.float32)

    def positions(self, box: Box) -> tuple[Field, Field, Field]:
        """Return x (r, t, 1), y and z (r, t, p) of the samples in a box, mm."""
        x, rho = (plane[box[:2]][..., None] for plane in self._plane)
        phi = self.phis_rad[box[2]].astype(np.float32)
        return x, rho * np.cos(phi) - np.float32(self.motor_radius_mm), rho * np.sin(phi)

    def to_world(self, beam: ArrayLike) -> Points3:
        """Convert (..., 3) range, theta, phi into (..., 3) points, mm."""
        r, theta, phi = np.moveaxis(np.asarray(beam, dtype=np.float64), -1, 0)
        reach = self.probe_radius_mm + r
        rho = reach * np.cos(theta) - self.probe_radius_mm + self.motor_radius_mm
        return np.stack(
            [reach * np.sin(theta), rho * np.cos(phi) - self.motor_radius_mm, rho * np.sin(phi)],
            axis=-1,
        )

    def to_beam(self, points_mm: ArrayLike) -> FloatArray:
        """Convert (..., 3) points, mm, into (..., 3) range, theta, phi; inverse of `to_world`."""
        x, y, z = np.moveaxis(np.asarray(points_mm, dtype=np.float64), -1, 0)
        phi = np.arctan2(z, y + self.motor_radius_mm)
        depth = np.hypot(y + self.motor_radius_mm, z) + self.probe_radius_mm - self.motor_radius_mm
        theta = np.arctan2(x, depth)
        return np.stack([np.hypot(x, depth) - self.probe_radius_mm, theta, phi], axis=-1)

    def contains(self, points_mm: ArrayLike) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Return (...) whether each point lies in the swept field."""
        beam = self.to_beam(points_mm)
        low = np.array([a[0] for a in (self.ranges_mm, self.thetas_rad, self.phis_rad)])
        high = np.array([a[-1] for a in (self.ranges_mm, self.thetas_rad, self.phis_rad)])
        return np.asarray(((beam >= low) & (beam <= high)).all(axis=-1))

    def boxes_around(
        self, centers_mm: FloatArray, radii_mm: FloatArray, margin_mm: float = 0.0
    ) -> list[Box | None]:
        """Return boxes of the samples that may lie within a margin of the hulls of balls.

        The convex hull of balls is slightly larger in beam coordinates than the box around the
        balls. The difference is smaller than the margin if neighbouring balls are not much farther
        apart than they are large.

        Args:
            centers_mm: (N, B, 3) centres of the B balls of each of N hulls.
            radii_mm: (N, B) radii of the balls.
            margin_mm: margin around the hulls.

        Returns:
            N boxes; None for a hull outside the lattice.
        """
        beam = self.to_beam(centers_mm)
        reach = np.maximum(radii_mm + margin_mm, 1e-3)
        arm = np.maximum(self.probe_radius_mm + beam[..., 0] - reach, 1.0)
        swing = np.maximum(
            np.hypot(centers_mm[..., 1] + self.motor_radius_mm, centers_mm[..., 2]) - reach, 1.0
        )
        spread = np.stack([reach, reach / arm, reach / swing], axis=-1)
        start = np.array([self.ranges_mm[0], self.thetas_rad[0], self.phis_rad[0]])
        low = ((beam - spread).min(axis=1) - start) / self.steps
        high = ((beam + spread).max(axis=1) - start) / self.steps
        first = np.maximum(np.ceil(low), 0).astype(np.int64)
        last = np.minimum(np.floor(high) + 1, self.shape).astype(np.int64)
        return [
            (slice(*r), slice(*t), slice(*p)) if some else None
            for (r, t, p), some in zip(
                np.stack([first, last], axis=-1).tolist(), (first < last).all(axis=1), strict=True
            )
        ]

    def coarsest_step_mm(self, points_mm: Points3) -> FloatArray:
        """Return the (...) largest distance between neighbouring samples around (..., 3) points."""
        r = np.maximum(self.to_beam(points_mm)[..., 0], 0)
        step, turn, swing = self.steps
        across = np.maximum(turn * (self.probe_radius_mm + r), swing * (self.motor_radius_mm + r))
        return np.maximum(step, across)

    def directions(self, points_mm: Points3) -> FloatArray:
        """Return (..., 3) unit vectors along the beams through (..., 3) points."""
        beam = self.to_beam(points_mm)
        ahead = self.to_world(beam + np.array([1.0, 0, 0])) - self.to_world(beam)
        return np.asarray(ahead / np.linalg.norm(ahead, axis=-1, keepdims=True))

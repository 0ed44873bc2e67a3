"""Solid shapes, defined by their signed distance in mm, negative inside.

Coordinates are given as three arrays that broadcast to each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from fetusmap.types import Field, FloatArray, Points3, RotationMatrix

_STEPS = np.array([s for s in product((-1.0, 0.0, 1.0), repeat=3) if any(s)])
DIRECTIONS = _STEPS / np.linalg.norm(_STEPS, axis=1, keepdims=True)
"""(26, 3) unit vectors to the faces, edges and corners of a cube."""


@dataclass(frozen=True, eq=False)
class RoundCone:
    """A capsule whose radius changes linearly between its ends; a ball if they coincide."""

    start: FloatArray
    end: FloatArray
    start_radius: float
    end_radius: float

    def distance(self, x: Field, y: Field, z: Field) -> Field:
        """Return the signed distance, mm: exact for equal radii, else to first order."""
        step = (self.end - self.start).astype(np.float32)
        square = float(step @ step)
        x, y, z = (
            x - np.float32(self.start[0]),
            y - np.float32(self.start[1]),
            z - np.float32(self.start[2]),
        )
        if square < 1e-8:
            return np.asarray(np.sqrt(x * x + y * y + z * z) - np.float32(self.start_radius))
        along = np.clip((x * step[0] + y * step[1] + z * step[2]) / np.float32(square), 0, 1)
        x, y, z = x - along * step[0], y - along * step[1], z - along * step[2]
        radius = np.float32(self.start_radius) + along * np.float32(
            self.end_radius - self.start_radius
        )
        return np.asarray(np.sqrt(x * x + y * y + z * z) - radius)

    def balls(self) -> tuple[FloatArray, FloatArray]:
        """Return (2, 3) centres and (2,) radii of balls whose hull contains the shape."""
        return np.stack([self.start, self.end]), np.array([self.start_radius, self.end_radius])

    def surface_points(self) -> Points3:
        """Return (52, 3) points on the balls at both ends."""
        return np.concatenate(
            [self.start + self.start_radius * DIRECTIONS, self.end + self.end_radius * DIRECTIONS]
        )

    def transformed(self, rotation: RotationMatrix, shift: FloatArray) -> RoundCone:
        """Return the rotated and shifted shape."""
        return replace(self, start=rotation @ self.start + shift, end=rotation @ self.end + shift)


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """An ellipsoid whose semi-axes are parallel to the columns of `axes`."""

    center: FloatArray
    axes: RotationMatrix
    semi_axes: FloatArray

    def distance(self, x: Field, y: Field, z: Field) -> Field:
        """Return the signed distance, mm, to first order: q (q - 1) / |grad(q^2 / 2)|.

        q is the distance from the centre over that of the surface in the same direction.
        """
        x, y, z = self.local(x, y, z)
        x, y, z = x * x, y * y, z * z
        first = (1 / self.semi_axes**2).astype(np.float32)
        second = (1 / self.semi_axes**4).astype(np.float32)
        level = np.sqrt(x * first[0] + y * first[1] + z * first[2])
        slope = np.sqrt(x * second[0] + y * second[1] + z * second[2])
        # At the centre both vanish; the distance to the surface is the smallest semi-axis there.
        least = np.float32(self.semi_axes.min())
        with np.errstate(invalid="ignore"):
            ratio = np.where(slope > 1e-6, level / slope, least)
        return np.asarray((level - 1) * ratio)

    def local(self, x: Field, y: Field, z: Field) -> tuple[Field, Field, Field]:
        """Return coordinates along the ellipsoid's own axes from its centre, mm."""
        cx, cy, cz = self.center.astype(np.float32)
        x, y, z = x - cx, y - cy, z - cz
        first, second, third = self.axes.T.astype(np.float32)
        return (
            x * first[0] + y * first[1] + z * first[2],
            x * second[0] + y * second[1] + z * second[2],
            x * third[0] + y * third[1] + z * third[2],
        )

    def balls(self) -> tuple[FloatArray, FloatArray]:
        """Return (2, 3) centres and (2,) radii: twice the ball around the ellipsoid."""
        return np.stack([self.center, self.center]), np.full(2, self.semi_axes.max())

    def surface_points(self) -> Points3:
        """Return (26, 3) points on the surface in all directions."""
        return np.asarray(self.center + (DIRECTIONS * self.semi_axes) @ self.axes.T)

    def transformed(self, rotation: RotationMatrix, shift: FloatArray) -> Ellipsoid:
        """Return the rotated and shifted shape."""
        return replace(self, center=rotation @ self.center + shift, axes=rotation @ self.axes)


Shape = RoundCone | Ellipsoid


def ball(center: FloatArray, radius: float) -> RoundCone:
    """Return a ball as a round cone of no length."""
    return RoundCone(center, center, radius, radius)


def smooth_union(first: Field, second: Field, blend_mm: float) -> Field:
    """Return the distance to the union of two solids, rounded where they meet.

    min(a, b) - max(k - |a - b|, 0)^2 / 4k: Quilez' polynomial smooth minimum.
    """
    near = np.maximum(np.float32(blend_mm) - np.abs(first - second), 0)
    return np.asarray(np.minimum(first, second) - near * near * np.float32(0.25 / blend_mm))

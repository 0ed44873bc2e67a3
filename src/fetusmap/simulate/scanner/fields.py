"""Compute distances to the body and to the walls around it on a coarse lattice of beams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fetusmap.simulate.body.body import Body
from fetusmap.simulate.body.shapes import Shape, smooth_union
from fetusmap.simulate.scanner.probe import Probe
from fetusmap.simulate.scanner.smoothing import smooth
from fetusmap.simulate.scene.scene import Scene
from fetusmap.simulate.scene.uterus import Uterus, placenta_profile
from fetusmap.types import Field, Points3
from fetusmap.volume.beams import BeamLattice, Box

MAX_DISTANCE_COMPUTED_MM = 9.0
"""Farther from a solid, the distance to it is not computed."""

FAR_MM = 1000.0


@dataclass(frozen=True, eq=False)
class Fields:
    """Signed distances on a lattice, mm, negative inside.

    Attributes:
        body: distance to the skin of the fetus.
        sac: distance to the wall of the sac.
        placenta: distance to the outer side of placenta and decidua.
        amnion: distance to the amnion, or None if it lies on the wall.
        texture: slow random variation inside the media, mean 0, standard deviation 1.
    """

    body: Field
    sac: Field
    placenta: Field
    amnion: Field | None
    texture: Field


@dataclass(frozen=True, eq=False)
class Placement:
    """Coordinates of the samples of a lattice, relative to a fetus that moves during the sweep.

    Attributes:
        lattice: lattice of the samples.
        motion_mm: (P, 3) displacement of the fetus at each sweep angle.
    """

    lattice: BeamLattice
    motion_mm: Points3

    @classmethod
    def of(cls, lattice: BeamLattice, probe: Probe) -> Placement:
        """Return the placement of the samples during the sweep of a probe."""
        phis = lattice.phis_rad
        part = (phis - phis[0]) / (phis[-1] - phis[0])
        return cls(lattice, probe.motion_mm(part).astype(np.float32))

    def still(self, box: Box) -> tuple[Field, Field, Field]:
        """Return x, y, z of the samples in a box, mm: coordinates for what does not move."""
        return self.lattice.positions(box)

    def moving(self, box: Box) -> tuple[Field, Field, Field]:
        """Return x, y, z minus the motion, mm: coordinates for what moves with the fetus."""
        x, y, z = self.lattice.positions(box)
        mx, my, mz = self.motion_mm[box[2]].T
        return x - mx, y - my, z - mz

    def boxes(
        self, shapes: Sequence[Shape], margin_mm: float, *, moves: bool = True
    ) -> list[Box | None]:
        """Return for each shape the box of samples that may lie within a margin of it."""
        if not shapes:
            return []
        centers, radii = (np.stack(part) for part in zip(*(s.balls() for s in shapes), strict=True))
        if moves:
            spread = (self.motion_mm.max(axis=0) - self.motion_mm.min(axis=0)) / 2
            middle = (self.motion_mm.max(axis=0) + self.motion_mm.min(axis=0)) / 2
            centers, margin_mm = centers + middle, margin_mm + float(np.linalg.norm(spread))
        return self.lattice.boxes_around(centers, radii, margin_mm)

    def box(self, shape: Shape, margin_mm: float, *, moves: bool = True) -> Box | None:
        """Return the box of samples that may lie within a margin of one shape."""
        return self.boxes([shape], margin_mm, moves=moves)[0]


def compute_fields(placement: Placement, body: Body, scene: Scene, probe: Probe) -> Fields:
    """Compute all distances on the lattice of the placement, which should be coarse."""
    whole = (slice(None),) * 3
    skin = _body_distance(placement, body, probe)
    x, y, z = placement.still(whole)
    uterus = scene.uterus
    sac = uterus.sac.transformed(probe.rotation, probe.shift_mm)
    ellipsoid = sac.distance(x, y, z) + _bumps(uterus, probe, x, y, z)
    wall = smooth_union(ellipsoid, skin - np.float32(uterus.clearance_mm), 3.0)
    amnion = None
    if uterus.amnion_gap_mm > 0.8:
        inner = ellipsoid + np.float32(uterus.amnion_gap_mm)
        amnion = smooth_union(inner, skin - np.float32(0.5 * uterus.clearance_mm), 3.0)
    own = [part / np.float32(s) for part, s in zip(sac.local(x, y, z), sac.semi_axes, strict=True)]
    towards = sum(
        part * np.float32(d) for part, d in zip(own, uterus.placenta_direction, strict=True)
    )
    length = np.sqrt(own[0] ** 2 + own[1] ** 2 + own[2] ** 2)
    cosine = towards / np.maximum(length, np.float32(1e-6))
    thickness = uterus.decidua_mm + uterus.placenta_mm * placenta_profile(
        cosine, uterus.placenta_cosine
    )
    return Fields(
        body=skin,
        sac=wall,
        placenta=wall - thickness.astype(np.float32),
        amnion=amnion,
        texture=_texture(placement.lattice, scene.texture_seed),
    )


def _bumps(uterus: Uterus, probe: Probe, x: Field, y: Field, z: Field) -> Field:
    """Return how far the uneven wall lies inside a smooth ellipsoid, mm."""
    total = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)
    for row in uterus.bumps:
        wave = probe.rotation @ row[:3]
        phase = row[3] - wave @ probe.shift_mm
        along = x * np.float32(wave[0]) + y * np.float32(wave[1]) + z * np.float32(wave[2])
        total += np.float32(row[4]) * np.sin(along + np.float32(phase))
    return total


def _body_distance(placement: Placement, body: Body, probe: Probe) -> Field:
    """Return the distance to the skin: head and trunk joined softly, limbs more firmly."""
    distance = np.full(placement.lattice.shape, FAR_MM, dtype=np.float32)
    soft, firm = 0.036 * body.crl_mm, 0.016 * body.crl_mm
    for shapes, blend in ((body.outline, soft), (body.limbs, firm)):
        placed = [shape.transformed(probe.rotation, probe.shift_mm) for shape in shapes]
        boxes = placement.boxes(placed, MAX_DISTANCE_COMPUTED_MM)
        for shape, box in zip(placed, boxes, strict=True):
            if box is not None:
                own = shape.distance(*placement.moving(box))
                distance[box] = smooth_union(distance[box], own, blend)
    return distance


def _texture(lattice: BeamLattice, seed: int) -> Field:
    """Return smooth noise on two scales, about 3 mm and 10 mm."""
    rng = np.random.Generator(np.random.SFC64(seed))
    step, turn, swing = lattice.steps
    middle = float(np.mean(lattice.ranges_mm))
    arms = (
        step,
        turn * (lattice.probe_radius_mm + middle),
        swing * (lattice.motor_radius_mm + middle),
    )
    fine = smooth(
        rng.standard_normal(lattice.shape, dtype=np.float32),
        (1.3 / arms[0], 2.0 / arms[1], 2.0 / arms[2]),
    )
    knots = [max(2, int(n * arm / 9)) for n, arm in zip(lattice.shape, arms, strict=True)]
    coarse = rng.standard_normal(knots, dtype=np.float32)
    for axis, count in enumerate(lattice.shape):
        where = np.linspace(0, knots[axis] - 1, count)[:, None]
        weights = np.maximum(1 - np.abs(where - np.arange(knots[axis])), 0).astype(np.float32)
        coarse = np.moveaxis(np.tensordot(weights, coarse, axes=(1, axis)), 0, axis)
    mixed = fine / fine.std() + coarse / max(float(coarse.std()), 1e-6)
    return np.ascontiguousarray(mixed / mixed.std(), dtype=np.float32)


class Upsampler:
    """Interpolates fields from a decimated lattice to the full one, some rows at a time.

    The interpolation is linear between nodes that coincide with samples of the full lattice, so
    that it shifts nothing.
    """

    def __init__(self, factors: tuple[int, int, int], coarse_shape: tuple[int, int, int]) -> None:
        self.factors = factors
        self._across = [_linear(n, f) for n, f in zip(coarse_shape[1:], factors[1:], strict=True)]

    def spread(self, coarse: Field) -> Field:
        """Interpolate across the beams; along the beams the field stays coarse."""
        theta, phi = self._across
        spread = coarse if self.factors[2] == 1 else coarse @ phi.T
        return np.asarray(spread if self.factors[1] == 1 else np.matmul(theta, spread))

    def rows(self, spread: Field, first: int, last: int) -> Field:
        """Return rows `first` to `last` (excluded) of the full field, from a result of `spread`."""
        factor = self.factors[0]
        low = first // factor
        high = min(-(-(last - 1) // factor), len(spread) - 1)
        where = np.arange(first, last) / factor - low
        weights = np.maximum(1 - np.abs(where[:, None] - np.arange(high - low + 1)), 0).astype(
            np.float32
        )
        block = spread[low : high + 1]
        flat = weights @ block.reshape(len(block), -1)
        return np.asarray(flat.reshape(last - first, *block.shape[1:]))


def _linear(nodes: int, factor: int) -> Field:
    """Return ((nodes - 1) * factor + 1, nodes) weights of linear interpolation."""
    where = np.arange((nodes - 1) * factor + 1)[:, None] / factor
    return np.asarray(np.maximum(1 - np.abs(where - np.arange(nodes)), 0), dtype=np.float32)

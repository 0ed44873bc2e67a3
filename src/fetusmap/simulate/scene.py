"""What lies around the fetus: sac, placenta, uterus, cord, and the mother's layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull

from fetusmap.geometry import random_rotations
from fetusmap.simulate.body import Body
from fetusmap.simulate.draws import log_normal, unit_vectors
from fetusmap.simulate.fetus import Fetus, mean_sac_ml
from fetusmap.simulate.shapes import Ellipsoid
from fetusmap.simulate.tables import table
from fetusmap.types import FloatArray, Points3


@dataclass(frozen=True, eq=False)
class Uterus:
    """The sac and its walls, in the fetus' frame.

    Attributes:
        sac: the ellipsoid; the space within `clearance_mm` of the body belongs to it too.
        bumps: (B, 5) waves of the wall: wave vector (1/mm), phase, amplitude (mm).
        clearance_mm: fluid between body and wall at least.
        amnion_gap_mm: how far the amnion still is from the wall; 0 when it has joined it.
        placenta_direction: (3,) unit vector from the sac's middle.
        placenta_cosine: cosine of the half angle that the placenta covers.
        placenta_mm: its largest thickness.
        decidua_mm: lining all around.
        myometrium_mm: muscle around all of it.
    """

    sac: Ellipsoid
    bumps: FloatArray
    clearance_mm: float
    amnion_gap_mm: float
    placenta_direction: FloatArray
    placenta_cosine: float
    placenta_mm: float
    decidua_mm: float
    myometrium_mm: float


@dataclass(frozen=True, eq=False)
class Mother:
    """Layers under the probe; depth is measured along the beams.

    Attributes:
        skin_mm, fat_mm, muscle_mm: mean thicknesses.
        waves: (3, 6) amplitude (part of the thickness), two frequencies (per radian) and three
            phases of the undulation of each layer.
        bladder: (5,) how far it lies aside, laterally and along the sweep, and its semi-axes, mm;
            None when it is empty.
        fascia: (F, 5) sheets in the wall: depth (part of it), strength, two frequencies, a phase.
        loops: (L, 5) bowel and other neighbours of the uterus: direction, radius, which medium.
        gas: (G, 4) directions and sizes of pockets of bowel gas around the uterus.
    """

    skin_mm: float
    fat_mm: float
    muscle_mm: float
    waves: FloatArray
    bladder: FloatArray | None
    fascia: FloatArray
    loops: FloatArray
    gas: FloatArray

    @property
    def wall_mm(self) -> float:
        """Skin, fat and muscle together."""
        return self.skin_mm + self.fat_mm + self.muscle_mm


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything around the fetus.

    Attributes:
        uterus: sac and walls.
        mother: layers and neighbours.
        cord_mm: (C, 3) the cord's axis in the fetus' frame, from the navel to the placenta.
        cord_radius_mm: of the cord.
        yolk_sac_mm: (3,) middle of the yolk sac, or None when it is gone.
        yolk_sac_radius_mm: its radius.
        texture_seed: of the slow variation of echo levels inside the media.
    """

    uterus: Uterus
    mother: Mother
    cord_mm: Points3
    cord_radius_mm: float
    yolk_sac_mm: FloatArray | None
    yolk_sac_radius_mm: float
    texture_seed: int


def draw_scene(rng: np.random.Generator, fetus: Fetus, body: Body) -> Scene:
    """Draw the surroundings of a fetus.

    Args:
        rng: the scene's generator.
        fetus: whose age and size give the volumes.
        body: its solids, which give the sac its shape: never what a field of view cuts off.
    """
    mother = _draw_mother(rng)
    numbers = table("biometry")["volume_ml"]
    age, crl = np.array([fetus.gestational_age_days]), np.array([fetus.crl_mm])
    mean_ml = float(mean_sac_ml(age, crl)[0])
    sac_ml = mean_ml * float(log_normal(rng, numbers["sac_cv"], 1)[0])
    sac = _sac_around(rng, body, 1000 * sac_ml)
    uterus = _draw_uterus(rng, fetus, sac)
    yolk = bool(rng.random() < np.clip((12.6 - fetus.weeks) / 1.8, 0, 0.9))
    return Scene(
        uterus=uterus,
        mother=mother,
        cord_mm=_draw_cord(rng, fetus, body, uterus),
        cord_radius_mm=max(0.8, (0.69 * fetus.weeks - 4.76) / 2 * float(rng.uniform(0.85, 1.15))),
        yolk_sac_mm=_on_wall(rng, uterus) if yolk else None,
        yolk_sac_radius_mm=float(rng.uniform(2.0, 3.0)),
        texture_seed=int(rng.integers(2**63)),
    )


def _sac_around(rng: np.random.Generator, body: Body, volume_mm3: float) -> Ellipsoid:
    """An ellipsoid that holds the body, of a given volume where the body leaves it room.

    It is the smallest one around the body mixed with one of any shape and direction: a sac does not
    copy the body that floats in it. A body that is too large makes its sac larger.
    """
    shapes = (*body.outline, *body.limbs)
    points = np.concatenate([shape.surface_points() for shape in shapes])
    tight = smallest_ellipsoid(points)
    ratios, turn = rng.uniform(0.75, 1.3, 3), random_rotations(rng, 1)[0]
    part, slack, aside = rng.uniform(0, 1), rng.uniform(1.03, 1.15), rng.uniform(-0.6, 0.6, 3)
    own = (tight.axes * tight.semi_axes**2) @ tight.axes.T
    size = tight.semi_axes.prod() ** (1 / 3)
    other = (turn * (size * ratios) ** 2) @ turn.T
    target = volume_mm3 / (4 / 3 * np.pi)
    for _ in range(6):
        squares, axes = np.linalg.eigh((1 - part) * own + part * other)
        away = ((points - tight.center) @ axes) ** 2 / squares
        semi = np.sqrt(squares * away.sum(axis=1).max()) * slack ** (1 / 3)
        if semi.prod() <= target:
            break
        part /= 2  # closer to the body's own shape there is more room
    axes[:, 0] *= np.sign(np.linalg.det(axes))
    # The real root of (a + t)(b + t)(c + t) = target: how much the walls can move out.
    roots = np.roots(np.poly(-semi) - np.array([0, 0, 0, max(target, semi.prod())]))
    room = max(0.0, float(roots[np.abs(roots.imag) < 1e-6].real.max()))
    return Ellipsoid(tight.center + axes @ aside * room, axes, semi + room)


def smallest_ellipsoid(points_mm: Points3, tolerance: float = 0.01) -> Ellipsoid:
    """The ellipsoid of least volume around (N, 3) points, to a relative tolerance.

    Khachiyan's algorithm with the step of Kumar and Yildirim (2005): weights of the points grow
    where they lie farthest out, until all lie inside.
    """
    # Only corners of the convex hull can touch it.
    points_mm = points_mm[ConvexHull(points_mm).vertices]
    count, dimension = points_mm.shape
    lifted = np.concatenate([points_mm, np.ones((count, 1))], axis=1)
    weights = np.full(count, 1 / count)
    for _ in range(1000):
        inverse = np.linalg.inv(lifted.T @ (lifted * weights[:, None]))
        far = ((lifted @ inverse) * lifted).sum(axis=1)
        outermost = int(far.argmax())
        excess = far[outermost] - dimension - 1
        if excess < tolerance * (dimension + 1):
            break
        step = excess / ((dimension + 1) * (far[outermost] - 1))
        weights *= 1 - step
        weights[outermost] += step
    center = weights @ points_mm
    spread = (points_mm - center).T @ ((points_mm - center) * weights[:, None]) * dimension
    squares, axes = np.linalg.eigh(spread)
    axes[:, 0] *= np.sign(np.linalg.det(axes))
    return Ellipsoid(center, axes, np.sqrt(squares))


def _draw_uterus(rng: np.random.Generator, fetus: Fetus, sac: Ellipsoid) -> Uterus:
    numbers = table("biometry")["volume_ml"]
    weeks, volumes = numbers["placenta_weeks"], numbers["placenta"]
    slope = (volumes[1] - volumes[0]) / (weeks[1] - weeks[0])
    mean_ml = max(25.0, volumes[0] + slope * (fetus.weeks - weeks[0]))
    volume = 1000 * mean_ml * float(log_normal(rng, numbers["placenta_cv"], 1)[0])
    cosine = float(np.cos(np.radians(rng.uniform(62, 88))))
    radius = float(sac.semi_axes.prod() ** (1 / 3))
    return Uterus(
        sac=sac,
        bumps=np.column_stack(
            [
                unit_vectors(rng, 4) * 2 * np.pi / rng.uniform(22, 60, (4, 1)),
                rng.uniform(0, 2 * np.pi, 4),
                rng.uniform(0.1, 1.0, 4),
            ]
        ),
        clearance_mm=float(rng.uniform(1.5, 3.0)),
        amnion_gap_mm=max(0.0, float(rng.normal(1.35 * (13.2 - fetus.weeks), 1.0))),
        placenta_direction=unit_vectors(rng, 1)[0],
        placenta_cosine=cosine,
        placenta_mm=_thickness(volume, radius, cosine),
        decidua_mm=float(rng.uniform(1.0, 2.5)),
        myometrium_mm=float(rng.uniform(7, 12)),
    )


def placenta_profile(cosine: FloatArray, limit: float) -> FloatArray:
    """Thickness over the largest one, by the cosine of the angle to the placenta's middle."""
    inside = np.clip((cosine - limit) / (1 - limit), 0, 1)
    return np.asarray(np.sqrt(inside * (2 - inside)))


def _thickness(volume_mm3: float, radius_mm: float, limit: float) -> float:
    """The largest thickness of a cap of that volume on a sphere."""
    cosine = np.linspace(limit, 1, 65)
    profile = placenta_profile(cosine, limit)
    low, high = 0.0, 80.0
    for _ in range(40):
        middle = (low + high) / 2
        shell = ((radius_mm + middle * profile) ** 3 - radius_mm**3) / 3
        if 2 * np.pi * np.trapezoid(shell, cosine) < volume_mm3:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _draw_mother(rng: np.random.Generator) -> Mother:
    waves = np.column_stack(
        [
            rng.uniform(0.05, 0.25, 3),
            rng.uniform(1.5, 7.0, (3, 2)),
            rng.uniform(0, 2 * np.pi, (3, 3)),
        ]
    )
    side = 1.0 if rng.random() < 0.5 else -1.0
    bladder = np.array([rng.uniform(-35, 35), side * rng.uniform(30, 60), *rng.uniform(9, 24, 3)])
    pockets = int(rng.integers(0, 7))
    sheets, loops = int(rng.integers(3, 12)), int(rng.integers(4, 14))
    gas = np.column_stack([unit_vectors(rng, pockets), rng.uniform(3, 9, pockets)])
    return Mother(
        skin_mm=float(rng.uniform(1.2, 2.5)),
        fat_mm=float(min(4.0 + rng.gamma(4.0, 3.0), 40.0)),
        muscle_mm=float(rng.uniform(4, 10)),
        waves=waves,
        bladder=bladder if rng.random() < 0.3 else None,
        fascia=np.column_stack(
            [
                rng.uniform(0.15, 0.97, sheets),
                rng.uniform(0.15, 1.0, sheets),
                rng.uniform(3, 14, (sheets, 2)),
                rng.uniform(0, 2 * np.pi, sheets),
            ]
        ),
        loops=np.column_stack(
            [unit_vectors(rng, loops), rng.uniform(5, 15, loops), rng.uniform(0, 1, loops)]
        ),
        gas=gas,
    )


def _draw_cord(
    rng: np.random.Generator, fetus: Fetus, body: Body, uterus: Uterus, count: int = 48
) -> Points3:
    """A coiled curve from the navel to the placenta."""
    sac = uterus.sac
    outward = body.navel_direction + 0.4 * unit_vectors(rng, 1)[0]
    free = unit_vectors(rng, 2) * (sac.semi_axes * rng.uniform(0.4, 0.85, (2, 1)))
    knots = np.stack(
        [
            body.navel_mm,
            body.navel_mm + outward * 0.2 * fetus.crl_mm,
            *(sac.center + free @ sac.axes.T),
            sac.center + sac.axes @ (uterus.placenta_direction * sac.semi_axes),
        ]
    )
    t = np.linspace(0, 1, count)[:, None]
    weights = [
        np.array([1, 4, 6, 4, 1])[n] * t**n * (1 - t) ** (4 - n) for n in range(5)
    ]  # Bernstein
    path = sum(weight * knot for weight, knot in zip(weights, knots, strict=True))
    turns, phase = rng.uniform(3, 7), rng.uniform(0, 2 * np.pi)
    angle = 2 * np.pi * turns * t + phase
    coil = np.concatenate([np.cos(angle), np.sin(angle), np.sin(angle + 1)], axis=1)
    return np.asarray(path + coil * 0.02 * fetus.crl_mm * np.sin(np.pi * t))


def _on_wall(rng: np.random.Generator, uterus: Uterus) -> FloatArray:
    sac = uterus.sac
    part = 1 - (0.5 * uterus.amnion_gap_mm + 1.0) / sac.semi_axes.min()
    return np.asarray(sac.center + sac.axes @ (unit_vectors(rng, 1)[0] * sac.semi_axes * part))

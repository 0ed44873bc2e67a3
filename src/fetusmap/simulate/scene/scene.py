"""Draw the surroundings of a fetus as one scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fetusmap.simulate.body.body import Body
from fetusmap.simulate.body.fetus import Fetus, mean_sac_ml
from fetusmap.simulate.draws import log_normal, unit_vectors
from fetusmap.simulate.scene.mother import Mother, draw_mother
from fetusmap.simulate.scene.sac import draw_sac_around
from fetusmap.simulate.scene.uterus import Uterus, draw_uterus
from fetusmap.simulate.tables import table
from fetusmap.types import FloatArray, Points3


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything around the fetus.

    Attributes:
        uterus: amniotic sac and walls of the uterus.
        mother: layers of the abdominal wall and neighbours of the uterus.
        cord_mm: (C, 3) axis of the cord in the body frame, from the navel to the placenta.
        cord_radius_mm: radius of the cord.
        yolk_sac_mm: (3,) centre of the yolk sac, or None if it has disappeared.
        yolk_sac_radius_mm: radius of the yolk sac.
        texture_seed: seed of the slow variation of echo levels inside the media.
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
        rng: generator of the scene.
        fetus: age and size determine the volumes.
        body: solids of the whole fetus, around which the sac is drawn.
    """
    mother = draw_mother(rng)
    numbers = table("body/measures")["volume_ml"]
    age, crl = np.array([fetus.gestational_age_days]), np.array([fetus.crl_mm])
    mean_ml = float(mean_sac_ml(age, crl)[0])
    sac_ml = mean_ml * float(log_normal(rng, numbers["sac_cv"], 1)[0])
    sac = draw_sac_around(rng, body, 1000 * sac_ml)
    uterus = draw_uterus(rng, fetus, sac)
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


def _draw_cord(
    rng: np.random.Generator, fetus: Fetus, body: Body, uterus: Uterus, count: int = 48
) -> Points3:
    """Draw a coiled curve from the navel to the placenta."""
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
    """Draw a point between amnion and wall of the sac."""
    sac = uterus.sac
    part = 1 - (0.5 * uterus.amnion_gap_mm + 1.0) / sac.semi_axes.min()
    return np.asarray(sac.center + sac.axes @ (unit_vectors(rng, 1)[0] * sac.semi_axes * part))

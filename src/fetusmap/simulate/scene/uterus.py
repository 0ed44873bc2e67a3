"""Draw the placenta and the walls of the uterus around the amniotic sac."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fetusmap.simulate.body.fetus import Fetus
from fetusmap.simulate.body.shapes import Ellipsoid
from fetusmap.simulate.draws import log_normal, unit_vectors
from fetusmap.simulate.tables import table
from fetusmap.types import FloatArray


@dataclass(frozen=True, eq=False)
class Uterus:
    """Amniotic sac and its walls, in the body frame.

    Attributes:
        sac: ellipsoid; the space within `clearance_mm` of the body belongs to the sac, too.
        bumps: (B, 5) waves of the wall: wave vector (1/mm), phase, amplitude (mm).
        clearance_mm: smallest thickness of the fluid between body and wall.
        amnion_gap_mm: distance between amnion and wall; 0 after they have fused.
        placenta_direction: (3,) unit vector from the centre of the sac.
        placenta_cosine: cosine of the half angle that the placenta covers.
        placenta_mm: largest thickness of the placenta.
        decidua_mm: thickness of the decidua all around the sac.
        myometrium_mm: thickness of the muscle around the decidua.
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


def draw_uterus(rng: np.random.Generator, fetus: Fetus, sac: Ellipsoid) -> Uterus:
    """Draw the walls and the placenta around a sac."""
    numbers = table("body/measures")["volume_ml"]
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
    """Return thickness over largest thickness, by the cosine of the angle to the middle."""
    inside = np.clip((cosine - limit) / (1 - limit), 0, 1)
    return np.asarray(np.sqrt(inside * (2 - inside)))


def _thickness(volume_mm3: float, radius_mm: float, limit: float) -> float:
    """Return the largest thickness of a placenta of a given volume on a sphere."""
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

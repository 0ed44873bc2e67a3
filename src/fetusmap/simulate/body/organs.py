"""Build the organs of chest and belly; stomach and apex of the heart are on the left (-x)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fetusmap.simulate.body.fetus import Fetus
from fetusmap.simulate.body.part import Part
from fetusmap.simulate.body.shapes import Ellipsoid, RoundCone, ball
from fetusmap.simulate.body.trunk import Trunk
from fetusmap.simulate.media import Medium


def organs(fetus: Fetus, trunk: Trunk) -> Iterator[Part]:
    """Yield nuchal fluid, lungs, liver, bowel, kidneys, heart, stomach and bladder."""
    details = fetus.details
    # Organs grow with the trunk: they keep their share of its girth.
    unit = fetus.crl_mm * trunk.girth_mm / (0.172 * fetus.crl_mm)

    def organ(
        t: float, right: float, ventral: float, semi: tuple[float, float, float], medium: Medium
    ) -> Part:
        center = trunk.middle(t, right, ventral)
        return Part(Ellipsoid(center, trunk.frame(t), np.array(semi) * unit), medium, within=True)

    yield Part(nuchal_fluid(fetus, trunk), Medium.NUCHAL_FLUID, within=True)
    for sign in (-1, 1):
        yield organ(0.74, 0.42 * sign, 0.02, (0.052, 0.075, 0.085), Medium.LUNG)
    yield organ(0.55, 0.22, 0.12, (0.11, 0.085, 0.058), Medium.LIVER)
    yield organ(0.33, 0.0, 0.12, (0.085, 0.065, 0.075), Medium.BOWEL)
    for sign in (-1, 1):
        yield organ(0.36, 0.42 * sign, -0.38, (0.024, 0.024, 0.042), Medium.KIDNEY)
    beat = details["heart"]
    yield organ(0.72, -0.12, 0.30, (0.055 * beat, 0.055 * beat, 0.060 * beat), Medium.MYOCARDIUM)
    tilt = trunk.frame(0.72) @ np.array([-0.5, 0.55, -0.35])
    heart = trunk.middle(0.72, -0.12, 0.30)
    for side in (-1, 1):
        across = trunk.frame(0.72) @ np.array([0.8, 0.6, 0.0]) * (0.019 * unit * side)
        yield Part(
            RoundCone(heart + across - tilt * 0.02 * unit, heart + across + tilt * 0.04 * unit,
                      0.017 * unit, 0.011 * unit),
            Medium.HEART,
        )  # fmt: skip
    full = details["stomach"]
    yield organ(0.52, -0.45, 0.08, (0.040 * full, 0.055 * full, 0.036 * full), Medium.STOMACH)
    full = details["bladder"]
    yield organ(0.06, 0.0, 0.25, (0.030 * full, 0.030 * full, 0.038 * full), Medium.FETAL_BLADDER)


def nuchal_fluid(fetus: Fetus, trunk: Trunk) -> Ellipsoid:
    """Return the nuchal translucency: fluid between the column and the skin of the neck."""
    crl, nt = fetus.crl_mm, fetus.details["nuchal_translucency_mm"]
    semi = np.array([0.060 * crl, 0.5 * nt, 0.11 * crl])
    return Ellipsoid(trunk.at(0.97, ventral=-0.05 * crl - 0.5 * nt), trunk.frame(0.98), semi)


def nape(fetus: Fetus, trunk: Trunk) -> Ellipsoid:
    """Return the bulge of the skin over the nuchal translucency, 1 mm thick in the middle."""
    crl, nt = fetus.crl_mm, fetus.details["nuchal_translucency_mm"]
    deep = 0.5 * nt + 0.045 * crl
    semi = np.array([0.078 * crl, deep + 1.0, 0.125 * crl])
    return Ellipsoid(trunk.at(0.97, ventral=-0.05 * crl - nt + deep), trunk.frame(0.98), semi)


def hernia(fetus: Fetus, trunk: Trunk) -> tuple[Part, ...]:
    """Return the physiological hernia: bowel in the root of the cord, until about 12 weeks."""
    part = float(np.clip((12.3 - fetus.weeks) / 1.5, 0, 1))
    if part <= 0.1:
        return ()
    center = trunk.middle(0.33, ventral=0.95)
    return (Part(ball(center, 0.062 * fetus.crl_mm * part**0.5), Medium.BOWEL),)

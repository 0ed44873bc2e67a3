"""Paint the skull with sutures and fontanelle, and the brain inside."""

from __future__ import annotations

import numpy as np

from fetusmap.simulate.body.body import Body
from fetusmap.simulate.body.shapes import Ellipsoid
from fetusmap.simulate.media import Medium, set_medium
from fetusmap.simulate.scanner.fields import Placement
from fetusmap.simulate.tables import table
from fetusmap.types import BoolArray, Field, Labels
from fetusmap.volume.beams import change_along

SUTURE_HALF_WIDTH_MM = 0.9  # before the ossification of the skull narrows it


def paint_head(
    label: Labels,
    specular: Field,
    placement: Placement,
    head: Ellipsoid,
    body: Body,
) -> None:
    """Paint skull, brain, ventricles, choroid plexus and falx into the head's samples.

    Args:
        label: media of the full lattice, changed in place.
        specular: specular reflections of the full lattice, changed in place.
        placement: placement of that lattice.
        head: outer surface of the skull in the probe's frame; x right, y towards the face.
        body: gives size and ossification.
    """
    box = placement.box(head, 1.0)
    if box is None:
        return
    coordinates = placement.moving(box)
    distance = head.distance(*coordinates)
    x, y, z = head.local(*coordinates)
    a, b, c = (float(s) for s in head.semi_axes)
    step, levels = placement.lattice.steps[0], table("scanner/specular")
    thickness = max(0.012 * body.crl_mm, 0.75 * step)
    facing = np.minimum(np.abs(change_along(distance, step)), 1)
    # The vault is the skull without face and base.
    vault = (z > -0.5 * c + 0.55 * y * c / b) | (y < -0.25 * b)
    shell = (distance > -thickness) & (distance < 0) & vault & (z > -0.8 * c)
    bone = shell & ~_sutures(x, y, z, (a, b, c), body)
    inside = (distance < -thickness) & vault
    own, shine = label[box], specular[box]
    set_medium(own, Medium.BRAIN, where=inside)
    _paint_brain(own, x, y, z, (a, b, c), inside, body.brain)
    set_medium(own, Medium.CARTILAGE, where=shell)
    set_medium(own, Medium.SKULL, where=bone)
    bright = (0.10 + 0.90 * facing**4) * np.float32(levels["skull"] * body.ossification)
    np.copyto(shine, bright, where=bone)
    # The falx is a sheet; it is bright where its normal, the x axis of the head, is parallel to
    # the beam.
    across = change_along(x, step) ** 2
    sheet = np.maximum(1 - (x / np.float32(0.7)) ** 2, 0) * inside
    sheet *= (z > 0.05 * c - 0.3 * np.abs(y) * c / b) & (np.abs(y) < 0.85 * b)
    np.maximum(shine, sheet * np.float32(levels["falx"]) * (0.1 + 0.9 * across), out=shine)


def _sutures(
    x: Field, y: Field, z: Field, semi: tuple[float, float, float], body: Body
) -> BoolArray:
    """Return the gaps: sagittal, metopic, coronal and lambdoid suture, and the large fontanelle."""
    _, b, c = semi
    gap = np.float32(SUTURE_HALF_WIDTH_MM * (1.5 - 0.7 * min(body.ossification, 1.0)))
    top = z > 0.1 * c
    middle = (np.abs(x) < gap) & (top | (y > 0))
    coronal = (np.abs(y - 0.22 * b - 0.15 * z) < gap) & (z > -0.1 * c)
    lambdoid = (np.abs(y + 0.62 * b + 0.25 * np.abs(x)) < gap) & (z > -0.1 * c)
    fontanelle = (x**2 + (y - 0.34 * b) ** 2 < (0.05 * body.crl_mm) ** 2) & top
    return np.asarray(middle | coronal | lambdoid | fontanelle)


def _paint_brain(
    label: Labels,
    x: Field,
    y: Field,
    z: Field,
    semi: tuple[float, float, float],
    inside: BoolArray,
    sizes: tuple[float, float, float],
) -> None:
    """Paint ventricles with choroid plexus, thalami, midbrain, cerebellum and the fluid around it.

    Before 14 weeks the plexus nearly fills the lateral ventricles. Places are fractions of the
    semi-axes of the skull: |x| to the side, y to the face, z to the crown.

    Args:
        label: media of the samples, changed in place.
        x: coordinates to the right in the head, mm.
        y: coordinates to the face, mm.
        z: coordinates to the crown, mm.
        semi: semi-axes of the skull, mm.
        inside: the samples within the skull.
        sizes: relative sizes of plexus, midbrain and cerebellum.
    """
    plexus, midbrain, cerebellum = sizes
    side, front, high = np.abs(x) / semi[0], y / semi[1], z / semi[2]
    for medium, size, (cx, cy, cz), (sx, sy, sz) in (
        (Medium.VENTRICLE, 1.0, (0.42, -0.05, 0.28), (0.30, 0.68, 0.42)),
        (Medium.CHOROID_PLEXUS, plexus, (0.42, -0.07, 0.27), (0.25, 0.58, 0.35)),
        # Large cistern, fourth ventricle, midbrain, thalami, third ventricle, cerebellum.
        (Medium.VENTRICLE, 1.0, (0.0, -0.66, -0.45), (0.42, 0.16, 0.22)),
        (Medium.BRAIN, midbrain, (0.0, -0.30, -0.36), (0.15, 0.20, 0.36)),
        (Medium.VENTRICLE, 1.0, (0.0, -0.47, -0.42), (0.13, 0.11, 0.18)),
        (Medium.THALAMUS, midbrain, (0.19, 0.0, -0.16), (0.19, 0.28, 0.20)),
        (Medium.VENTRICLE, 1.0, (0.0, 0.02, -0.14), (0.04, 0.22, 0.16)),
        (Medium.CEREBELLUM, cerebellum, (0.23, -0.55, -0.38), (0.21, 0.13, 0.17)),
    ):
        within = ((side - cx) / (sx * size)) ** 2
        within = within + ((front - cy) / (sy * size)) ** 2 + ((high - cz) / (sz * size)) ** 2 < 1
        set_medium(label, medium, where=inside & within)

"""Paint the maternal abdominal wall with its fascia, and bladder, bowel and gas."""

from __future__ import annotations

import numpy as np

from fetusmap.simulate.body.part import Part
from fetusmap.simulate.body.shapes import Ellipsoid, ball
from fetusmap.simulate.media import Medium, reflectivity, set_medium
from fetusmap.simulate.scanner.fields import Placement
from fetusmap.simulate.scanner.probe import Probe
from fetusmap.simulate.scene.mother import Mother
from fetusmap.simulate.scene.scene import Scene
from fetusmap.simulate.tables import table
from fetusmap.types import Field, FloatArray, Labels
from fetusmap.volume.beams import change_along

SHEET_HALF_WIDTH_MM = 0.6  # half the painted thickness of a sheet of fascia


def maternal_layers(
    mother: Mother, thetas: FloatArray, phis: FloatArray
) -> list[tuple[Medium, Field]]:
    """Return each layer with the range where it ends, (T, P) mm, the deepest layer first."""
    theta, phi = thetas[:, None], phis[None, :]
    depth = np.zeros((len(thetas), len(phis)))
    layers = []
    thicknesses = (mother.skin_mm, mother.fat_mm, mother.muscle_mm)
    media = (Medium.SKIN, Medium.FAT, Medium.MUSCLE)
    for medium, thickness, wave in zip(media, thicknesses, mother.waves, strict=True):
        size, across, along, *phases = wave
        ripple = (np.sin(across * theta + phases[0]) + np.sin(along * phi + phases[1])
                  + np.sin(across * theta - along * phi + phases[2])) / 2  # fmt: skip
        depth = depth + thickness * np.maximum(0.3, 1 + size * ripple)
        layers.append((medium, depth.astype(np.float32)))
    return layers[::-1]


def maternal_sheets(
    mother: Mother, layers: list[tuple[Medium, Field]], thetas: FloatArray, phis: FloatArray
) -> list[tuple[Field, Field]]:
    """Return ranges (T, P), mm, and strengths (T, P) of the reflectors in the abdominal wall.

    These are the ends of the layers and sheets of fascia. Their brightness varies from place to
    place, because sheets of fibres are nowhere quite even.
    """
    theta, phi = thetas[:, None], phis[None, :]
    whole = layers[0][1]
    sheets = []
    ends = [(end / whole.mean(), 0.6) for _, end in layers]
    rows = [(part, strength, mother.fascia[n % len(mother.fascia)][2:])
            for n, (part, strength) in enumerate(ends)]  # fmt: skip
    rows += [(np.float32(row[0]), float(row[1]), row[2:]) for row in mother.fascia]
    for part, strength, (across, along, phase) in rows:
        wave = np.sin(2.3 * across * theta + phase) * np.sin(1.7 * along * phi - phase)
        wave = wave + np.sin(across * theta + along * phi + 2 * phase)
        uneven = strength * np.clip(0.55 + 0.4 * wave, 0.05, 1.2)
        depth = whole.mean() * part + 0.03 * whole.mean() * np.sin(along * theta + across * phi)
        sheets.append((np.asarray(depth, np.float32), np.asarray(uneven, np.float32)))
    return sheets


def paint_layers(
    label: Labels,
    specular: Field,
    ranges: Field,
    layers: list[tuple[Medium, Field]],
    sheets: list[tuple[Field, Field]],
) -> None:
    """Paint the abdominal wall and its reflecting sheets over some ranges.

    Args:
        label: (r, T, P) media at those ranges, changed in place.
        specular: (r, T, P) specular reflections, changed in place.
        ranges: (r,) mm.
        layers: result of `maternal_layers`.
        sheets: result of `maternal_sheets`.
    """
    levels = table("scanner/specular")
    bright = levels["surface"] * levels["wall"] * reflectivity(Medium.FAT, Medium.MUSCLE)
    for medium, end in layers:
        inside = ranges[:, None, None] < end
        set_medium(label, medium, where=inside)
        np.copyto(specular, 0, where=inside)
    for end, strength in sheets:
        beyond = (ranges[:, None, None] - end) * np.float32(1 / SHEET_HALF_WIDTH_MM)
        specular += np.maximum(1 - beyond * beyond, 0) * (strength * np.float32(bright))


def maternal_neighbours(scene: Scene, probe: Probe) -> list[Part]:
    """Return bladder and loops of bowel beside the uterus, in the probe's frame."""
    mother = scene.mother
    sac, reach = _sac(scene, probe)
    neighbours = []
    if mother.bladder is not None:
        aside, along, *semi = mother.bladder
        center = np.array([aside, mother.wall_mm + semi[1] + 2, along])
        solid = Ellipsoid(center, np.eye(3), np.array(semi))
        neighbours.append(Part(solid, Medium.MATERNAL_BLADDER))
    for *direction, size, kind in mother.loops:
        center = sac.center + np.array(direction) * (reach + 3.0 + 0.6 * size)
        if center[1] > mother.wall_mm + 3:
            medium = (Medium.FAT, Medium.MUSCLE, Medium.MATERNAL_BOWEL)[int(3 * kind)]
            neighbours.append(Part(ball(center, float(size)), medium))
    return neighbours


def paint_gas(
    label: Labels, specular: Field, placement: Placement, scene: Scene, probe: Probe
) -> None:
    """Paint pockets of bowel gas: the near side is bright, and everything behind is dark."""
    sac, reach = _sac(scene, probe)
    for *direction, size in scene.mother.gas:
        center = sac.center + np.array(direction) * (reach + 2.0 + size)
        blob = ball(center, float(size))
        box = placement.box(blob, 1.0, moves=False)
        if center[1] < scene.mother.wall_mm + 3 or box is None:
            continue
        distance = blob.distance(*placement.still(box))
        gas = (distance < 0) & (label[box] == Medium.VISCERA)
        set_medium(label[box], Medium.GAS, where=gas)
        facing = np.clip(-change_along(distance, placement.lattice.steps[0]), 0, 1)
        shine = np.maximum(1 - (distance / 0.9) ** 2, 0) * facing**2
        specular[box] = np.maximum(
            specular[box], shine * gas * np.float32(table("scanner/specular")["gas"])
        )


def _sac(scene: Scene, probe: Probe) -> tuple[Ellipsoid, float]:
    """Return the sac in the probe's frame, and the largest radius of the uterus, mm."""
    sac = scene.uterus.sac.transformed(probe.rotation, probe.shift_mm)
    walls = scene.uterus.myometrium_mm + scene.uterus.decidua_mm
    return sac, float(sac.semi_axes.max()) + walls

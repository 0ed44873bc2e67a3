"""Assign a medium and the amplitude of specular reflection to every sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from fetusmap.simulate.body.body import Body
from fetusmap.simulate.body.part import Part
from fetusmap.simulate.body.shapes import Ellipsoid, RoundCone, Shape, ball
from fetusmap.simulate.media import SOFT, Medium, reflectivity, set_medium
from fetusmap.simulate.scanner.fields import Fields, Placement, Upsampler
from fetusmap.simulate.scanner.head import paint_head
from fetusmap.simulate.scanner.maternal import (
    maternal_layers,
    maternal_neighbours,
    maternal_sheets,
    paint_gas,
    paint_layers,
)
from fetusmap.simulate.scanner.probe import Probe
from fetusmap.simulate.scene.scene import Scene
from fetusmap.simulate.tables import table
from fetusmap.types import Field, FloatArray, Labels
from fetusmap.volume.beams import row_blocks

INTERFACE_HALF_WIDTH_MM = 0.45  # of an interface at right angles to the beam
FLUIDS = (Medium.AMNIOTIC_FLUID, Medium.COELOMIC_FLUID)


@dataclass(frozen=True, eq=False)
class Painting:
    """Media and specular reflections on the full lattice.

    Attributes:
        label: (R, T, P) uint8 numbers of `Medium`.
        specular: (R, T, P) amplitude that interfaces reflect back to the probe.
    """

    label: Labels
    specular: Field


def paint(
    placement: Placement,
    upsampler: Upsampler,
    fields: Fields,
    body: Body,
    scene: Scene,
    probe: Probe,
) -> Painting:
    """Label every sample of the full lattice; small structures come last and cover large ones."""
    shape = placement.lattice.shape
    painting = Painting(np.empty(shape, np.uint8), np.empty(shape, np.float32))
    _paint_spaces(painting, placement, upsampler, fields, scene)
    neighbours = maternal_neighbours(scene, probe)
    _paint_parts(painting, placement, neighbours, over=(Medium.VISCERA,), moves=False)
    paint_gas(painting.label, painting.specular, placement, scene, probe)
    _paint_cord(painting, placement, scene, probe)
    # Limbs are painted again, because the coarse lattice would lose the thinnest ones.
    fine = [Part(shape, Medium.FETAL_TISSUE) for shape in (*body.limbs, *body.fine)]
    _paint_parts(painting, placement, _placed(fine, probe), over=FLUIDS)
    head = body.head.transformed(probe.rotation, probe.shift_mm)
    paint_head(painting.label, painting.specular, placement, head, body)
    _paint_parts(painting, placement, _placed(body.parts, probe))
    return painting


def _placed(parts: Sequence[Part], probe: Probe) -> list[Part]:
    """Return parts of the body in the probe's frame."""
    return [
        replace(part, shape=part.shape.transformed(probe.rotation, probe.shift_mm))
        for part in parts
    ]


def _paint_spaces(
    painting: Painting,
    placement: Placement,
    upsampler: Upsampler,
    fields: Fields,
    scene: Scene,
) -> None:
    """Paint body, fluids, walls and layers with their interfaces, from the distances to them."""
    lattice, uterus = placement.lattice, scene.uterus
    body, sac, placenta = (
        upsampler.spread(field) for field in (fields.body, fields.sac, fields.placenta)
    )
    amnion = None if fields.amnion is None else upsampler.spread(fields.amnion)
    layers = maternal_layers(scene.mother, lattice.thetas_rad, lattice.phis_rad)
    sheets = maternal_sheets(scene.mother, layers, lattice.thetas_rad, lattice.phis_rad)
    deepest = float(layers[0][1].max()) + 1
    ranges = lattice.ranges_mm.astype(np.float32)
    step = lattice.steps[0]
    levels = table("scanner/specular")
    skin = levels["surface"] * reflectivity(Medium.AMNIOTIC_FLUID, Medium.FETAL_TISSUE)
    serosa = levels["surface"] * levels["serosa"]
    serosa *= reflectivity(Medium.MYOMETRIUM, Medium.VISCERA)
    rows = len(ranges)
    for block in row_blocks(rows):
        first, last = block.start, block.stop
        beyond = min(last + 1, rows)  # one more row, for the derivative along the beam
        label, specular = painting.label[first:last], painting.specular[first:last]
        skin_at = upsampler.rows(body, first, beyond)
        sac_at = upsampler.rows(sac, first, beyond)
        outer_at = upsampler.rows(placenta, first, beyond)
        label.fill(Medium.VISCERA)
        in_decidua = outer_at[: last - first] < 0
        in_placenta = outer_at[: last - first] < -np.float32(uterus.decidua_mm)
        outer_at -= np.float32(uterus.myometrium_mm)
        set_medium(label, Medium.MYOMETRIUM, where=outer_at[: last - first] < 0)
        set_medium(label, Medium.DECIDUA, where=in_decidua)
        set_medium(label, Medium.PLACENTA, where=in_placenta)
        in_sac = sac_at[: last - first] < 0
        set_medium(label, Medium.AMNIOTIC_FLUID, where=in_sac)
        np.multiply(_interface(skin_at, step, last - first), np.float32(skin), out=specular)
        specular += _interface(sac_at, step, last - first) * np.float32(levels["sac"] * skin)
        specular += _interface(outer_at, step, last - first) * np.float32(serosa)
        if amnion is not None:
            membrane = upsampler.rows(amnion, first, beyond)
            outside = in_sac & (membrane[: last - first] > 0)
            set_medium(label, Medium.COELOMIC_FLUID, where=outside)
            sheet = _interface(membrane, step, last - first) * np.float32(levels["amnion"] * skin)
            specular += sheet * in_sac
        set_medium(label, Medium.FETAL_TISSUE, where=skin_at[: last - first] < 0)
        if ranges[first] < deepest:
            paint_layers(label, specular, ranges[first:last], layers, sheets)


def _interface(distance: Field, step: float, rows: int) -> Field:
    """Return the specular reflection of a surface at distance 0, from 0 to 1.

    S = (1 - (d / w)^2)+ (0.1 + 0.9 cos^4) with cos = dd/dr: it is strongest where the surface is at
    right angles to the beam. A surface parallel to the beam would alias into a comb, so it is
    widened there.

    Args:
        distance: signed distance, (rows or rows + 1, T, P): one row more than needed, except at
            the end of the lattice.
        step: distance between rows, mm.
        rows: number of rows of the result.
    """
    facing = np.empty_like(distance[:rows])
    known = min(rows, len(distance) - 1)
    np.subtract(distance[1 : known + 1], distance[:known], out=facing[:known])
    facing[known:] = facing[known - 1 : known]
    facing *= np.float32(1 / step)
    np.abs(facing, out=facing)
    np.minimum(facing, 1, out=facing)
    width = facing * np.float32(-1.6 * INTERFACE_HALF_WIDTH_MM)
    width += np.float32(2.6 * INTERFACE_HALF_WIDTH_MM)
    profile = distance[:rows] / width
    profile *= profile
    np.subtract(1, profile, out=profile)
    np.maximum(profile, 0, out=profile)
    facing *= facing
    facing *= facing
    facing *= np.float32(0.9)
    facing += np.float32(0.1)
    profile *= facing
    return profile


def _paint_cord(painting: Painting, placement: Placement, scene: Scene, probe: Probe) -> None:
    """Paint the cord and the yolk sac where there is fluid."""
    path, radius = probe.to_world(scene.cord_mm), scene.cord_radius_mm
    ends = list(pairwise(path))
    tube = [Part(RoundCone(a, b, radius, radius), Medium.CORD) for a, b in ends]
    _paint_parts(painting, placement, tube, over=FLUIDS)
    if radius > 1.0:
        thin = 0.4 * radius
        vessel = [Part(RoundCone(a, b, thin, thin), Medium.CORD_VESSEL) for a, b in ends]
        _paint_parts(painting, placement, vessel, over=(Medium.CORD,))
    if scene.yolk_sac_mm is not None:
        center = probe.to_world(scene.yolk_sac_mm)
        shell = Part(ball(center, scene.yolk_sac_radius_mm), Medium.YOLK_SAC)
        _paint_parts(painting, placement, [shell], over=FLUIDS)
        inside = Part(ball(center, scene.yolk_sac_radius_mm - 0.9), Medium.COELOMIC_FLUID)
        _paint_parts(painting, placement, [inside], over=(Medium.YOLK_SAC,))


def _paint_parts(
    painting: Painting,
    placement: Placement,
    parts: Sequence[Part],
    *,
    over: tuple[Medium, ...] = (),
    moves: bool = True,
) -> None:
    """Assign the medium of each part to those of its samples that have one of the media `over`.

    Without `over` a part covers every medium, or only soft fetal media if it has the flag `within`.
    Parts thinner than the distance of the samples are thickened, so that none falls between them.
    """
    if not parts:
        return
    bone = table("scanner/specular")["bone"]
    centers = np.stack([part.shape.balls()[0].mean(axis=0) for part in parts])
    least = 0.55 * placement.lattice.coarsest_step_mm(centers)
    beams = placement.lattice.directions(centers)
    shapes = [_thickened(part.shape, float(mm)) for part, mm in zip(parts, least, strict=True)]
    boxes = placement.boxes(shapes, 0.5, moves=moves)
    for part, shape, box, beam in zip(parts, shapes, boxes, beams, strict=True):
        if box is None:
            continue
        distance = shape.distance(*(placement.moving(box) if moves else placement.still(box)))
        chosen = distance < 0
        label = painting.label[box]
        allowed = SOFT if part.within else over
        if allowed:
            chosen &= np.isin(label, allowed)
        filled = _filled(part.shape, shape)
        thin = part.medium == Medium.LONG_BONE and filled < 0.5
        set_medium(label, Medium.THIN_BONE if thin else part.medium, where=chosen)
        if part.specular > 0:
            shine = bone * part.specular * filled * _across_beam(shape, beam)
            painting.specular[box] = np.maximum(painting.specular[box], chosen * np.float32(shine))


def _thickened(shape: Shape, least_mm: float) -> Shape:
    if isinstance(shape, Ellipsoid):
        return replace(shape, semi_axes=np.maximum(shape.semi_axes, least_mm))
    return replace(
        shape,
        start_radius=max(shape.start_radius, least_mm),
        end_radius=max(shape.end_radius, least_mm),
    )


def _filled(shape: Shape, painted: Shape) -> float:
    """Return the cross-section of a bone over the cross-section that was painted for it."""
    if isinstance(shape, Ellipsoid) or isinstance(painted, Ellipsoid):
        return 1.0
    return float(((shape.start_radius + shape.end_radius)
                  / (painted.start_radius + painted.end_radius)) ** 2)  # fmt: skip


def _across_beam(shape: Shape, beam: FloatArray) -> float:
    """Return the reflected part of the echo: sin^6 of the angle between beam and bone."""
    if isinstance(shape, Ellipsoid):
        return 1.0
    axis = shape.end - shape.start
    square = float(axis @ axis)
    return 0.15 + 0.85 * (1 - float(beam @ axis) ** 2 / square) ** 3 if square > 1e-12 else 1.0

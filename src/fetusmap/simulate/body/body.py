"""Build the solids of a fetus in its own frame: skin, organs and bones."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fetusmap.simulate.body.ends import rump_center
from fetusmap.simulate.body.face import face_outline, face_parts, small_face
from fetusmap.simulate.body.fetus import Fetus
from fetusmap.simulate.body.flesh import fingers_and_toes, limb_flesh
from fetusmap.simulate.body.measures import SIDES
from fetusmap.simulate.body.organs import hernia, nape, organs
from fetusmap.simulate.body.part import Part
from fetusmap.simulate.body.shapes import Ellipsoid, RoundCone, Shape, ball
from fetusmap.simulate.body.skeleton_bones import bones
from fetusmap.simulate.body.trunk import Trunk
from fetusmap.types import FloatArray


@dataclass(frozen=True)
class Body:
    """The solids of a fetus, ready to be placed in a scene.

    Attributes:
        outline: head and trunk, joined smoothly.
        limbs: limbs, joined less smoothly, so that an arm on the belly remains visible.
        fine: fingers, toes, nose and other parts that are too small for the coarse lattice.
        parts: organs and bones; later ones replace earlier ones where they overlap.
        head: outer surface of the skull.
        brain: relative sizes of choroid plexus, midbrain and cerebellum (1 is the mean).
        crl_mm: crown-rump length, to which everything scales.
        ossification: ossified part of the skull, 0 to 1; the difficulty knob may raise it above 1.
        navel_mm: (3,) point where the cord leaves the body.
        navel_direction: (3,) direction of the cord there.
    """

    outline: tuple[Shape, ...]
    limbs: tuple[Shape, ...]
    fine: tuple[Shape, ...]
    parts: tuple[Part, ...]
    head: Ellipsoid
    brain: tuple[float, float, float]
    crl_mm: float
    ossification: float
    navel_mm: FloatArray
    navel_direction: FloatArray


def build_body(fetus: Fetus) -> Body:
    """Build the solids of a fetus from its posture and measures; nothing is drawn at random."""
    measures = fetus.measures
    trunk = Trunk(fetus, measures["abdominal_circumference"] / (2 * np.pi))
    head = skull_surface(fetus)
    bowel = hernia(fetus, trunk)
    return Body(
        outline=(
            *head_and_trunk(trunk),
            *face_outline(fetus, head),
            nape(fetus, trunk),
            *(part.shape for part in bowel),
        ),
        limbs=tuple(shape for side in SIDES for shape in limb_flesh(fetus, side)),
        fine=(
            *(shape for side in SIDES for shape in fingers_and_toes(fetus, side)),
            *small_face(fetus, head),
        ),
        parts=(*organs(fetus, trunk), *bowel, *face_parts(fetus, head), *bones(fetus, trunk, head)),
        head=head,
        brain=(measures["plexus"], measures["midbrain"], measures["cerebellum"]),
        crl_mm=fetus.crl_mm,
        ossification=fetus.ossification,
        navel_mm=trunk.middle(0.33, ventral=0.95),
        navel_direction=trunk.frame(0.33)[:, 1],
    )


def skull_surface(fetus: Fetus) -> Ellipsoid:
    """Return the outer surface of the skull, without scalp and face."""
    size = fetus.measures
    semi = np.array(
        [size["biparietal_diameter"], size["occipitofrontal_diameter"], size["head_height"]]
    )
    return Ellipsoid(fetus.posture["head"][0], fetus.posture.frames["head"][0], semi / 2)


def head_and_trunk(trunk: Trunk) -> list[Shape]:
    """Return head and trunk; Falcon et al. (2005) measured the volume of these parts."""
    fetus, crl, measures = trunk.fetus, trunk.fetus.crl_mm, trunk.fetus.measures
    skull = skull_surface(fetus)
    shapes: list[Shape] = [Ellipsoid(skull.center, skull.axes, skull.semi_axes + measures["scalp"])]
    stops = np.linspace(0.05, 0.92, 8)
    for a, b in pairwise(float(t) for t in stops):
        (near, near_aside), (far, far_aside) = trunk.section(a), trunk.section(b)
        for sign in (-1.0, 1.0):
            start = trunk.middle(a) + trunk.frame(a)[:, 0] * sign * near_aside
            end = trunk.middle(b) + trunk.frame(b)[:, 0] * sign * far_aside
            shapes.append(RoundCone(start, end, near, far))
    shapes.append(_rump(fetus))
    thick = 0.085 * crl * measures["neck_girth"]
    root = trunk.at(0.95, ventral=0.035 * crl)
    base = skull.center + skull.axes @ (np.array([0, -0.03, -0.12]) * crl)
    shapes.append(RoundCone(root, base, thick, thick))
    return shapes


def _rump(fetus: Fetus) -> Shape:
    """Return the rump, a ball on whose median circle the landmark lies."""
    measures = {name: np.array([fetus.measures[name]]) for name in ("rump_ventral", "rump_caudal")}
    step = rump_center(measures, fetus.posture.frames["sacrum"])
    return ball(fetus.posture["sacrum"][0] + step[0], fetus.measures["rump_radius"])

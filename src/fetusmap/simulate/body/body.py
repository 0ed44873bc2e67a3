"""Build the solids of a fetus in its own frame: skin, organs and bones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fetusmap.simulate.body.fetus import Fetus
from fetusmap.simulate.body.posture import SIDES
from fetusmap.simulate.body.shapes import Ellipsoid, RoundCone, Shape, ball
from fetusmap.simulate.body.skeleton_bones import bones
from fetusmap.simulate.body.trunk import Trunk
from fetusmap.simulate.media import Medium
from fetusmap.types import FloatArray


@dataclass(frozen=True)
class Part:
    """A solid of one medium.

    Attributes:
        shape: its surface, mm.
        medium: its medium.
        specular: specular reflection of beams at right angles to its axis, 0 to 1.
        within: whether it replaces only soft media of the body.
    """

    shape: Shape
    medium: Medium
    specular: float = 0.0
    within: bool = False


@dataclass(frozen=True)
class Body:
    """The solids of a fetus, ready to be placed in a scene.

    Attributes:
        outline: head and trunk, joined smoothly.
        limbs: limbs, joined less smoothly, so that an arm on the belly remains visible.
        fine: fingers, toes, nose and other parts that are too small for the coarse lattice.
        parts: organs and bones; later ones replace earlier ones where they overlap.
        head: outer surface of the skull.
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
    crl_mm: float
    ossification: float
    navel_mm: FloatArray
    navel_direction: FloatArray


def build_body(fetus: Fetus) -> Body:
    """Build the solids of a fetus from its posture and sizes; nothing is drawn at random."""
    trunk = Trunk(fetus, fetus.sizes_mm["abdominal_circumference"] / (2 * np.pi))
    head = skull_surface(fetus)
    limbs = [shape for side in SIDES for shape in _limbs(fetus, side)]
    fine = [shape for side in SIDES for shape in _fingers(fetus, side)]
    face, small_face = _face(fetus)
    hernia = [part.shape for part in _hernia(fetus, trunk)]
    return Body(
        outline=(
            head,
            *face,
            *head_and_trunk(trunk)[1:],
            _nuchal(fetus, trunk, skin_mm=1.0),
            *hernia,
        ),
        limbs=tuple(limbs),
        fine=(*fine, *small_face),
        parts=(*_organs(fetus, trunk), *_hernia(fetus, trunk), *_face_parts(fetus),
               *(Part(*bone) for bone in bones(fetus, trunk))),
        head=head,
        crl_mm=fetus.crl_mm,
        ossification=fetus.ossification,
        navel_mm=trunk.middle(0.33, ventral=0.95),
        navel_direction=trunk.frame(0.33)[:, 1],
    )  # fmt: skip


def skull_surface(fetus: Fetus) -> Ellipsoid:
    """Return the outer surface of the skull, without the face."""
    size = fetus.sizes_mm
    semi = np.array(
        [size["biparietal_diameter"], size["occipitofrontal_diameter"], size["head_height"]]
    )
    return Ellipsoid(fetus.posture["head"][0], fetus.posture.frames["head"][0], semi / 2)


def head_and_trunk(trunk: Trunk) -> list[Shape]:
    """Return skull and trunk; Falcon et al. (2005) measured the volume of these parts."""
    fetus, crl = trunk.fetus, trunk.fetus.crl_mm
    shapes: list[Shape] = [skull_surface(fetus)]
    stops = (-0.04, 0.2, 0.42, 0.62, 0.8, 0.93)
    for a, b in pairwise(stops):
        shapes.append(RoundCone(trunk.middle(a), trunk.middle(b), trunk.radius(a), trunk.radius(b)))
    nape = trunk.at(0.95, ventral=0.035 * crl)
    base = fetus.posture["head"][0] - fetus.posture.frames["head"][0] @ [0, 0.03 * crl, 0.12 * crl]
    shapes.append(RoundCone(nape, base, 0.085 * crl, 0.085 * crl))
    return shapes


def _limbs(fetus: Fetus, side: str) -> Iterator[Shape]:
    """Yield shoulder, arm, palm, hip, leg and foot of one side."""
    crl, at = fetus.crl_mm, {n: fetus.posture[n][0] for n in _names(side)}
    shoulder, elbow, wrist, hip, knee, ankle = at.values()
    neck, sacrum = fetus.posture["neck"][0], fetus.posture["sacrum"][0]
    hand, foot = (fetus.posture.frames[f"{side}_{end}"][0] for end in ("hand", "foot"))
    belly = fetus.posture.frames["pelvis"][0][:, 1]
    yield RoundCone(neck + 0.55 * (shoulder - neck), shoulder, 0.055 * crl, 0.050 * crl)
    yield RoundCone(shoulder, elbow, 0.046 * crl, 0.036 * crl)
    yield RoundCone(elbow, wrist, 0.036 * crl, 0.026 * crl)
    palm = wrist - hand @ [0, 0, 0.042 * crl]
    yield Ellipsoid(palm, hand, np.array([0.030, 0.016, 0.040]) * crl)
    yield RoundCone(sacrum + belly * 0.05 * crl, hip, 0.075 * crl, 0.072 * crl)
    yield RoundCone(hip, knee, 0.068 * crl, 0.048 * crl)
    yield RoundCone(knee, ankle, 0.046 * crl, 0.030 * crl)
    heel, toes = (
        ankle - foot @ [0, 0.015 * crl, 0.012 * crl],
        ankle + foot @ (np.array([0, 0.085, -0.018]) * crl),
    )
    yield RoundCone(heel, toes, 0.026 * crl, 0.019 * crl)


def _fingers(fetus: Fetus, side: str) -> Iterator[Shape]:
    """Yield fingers, thumb and toes of one side."""
    crl = fetus.crl_mm
    hand, foot = (fetus.posture.frames[f"{side}_{end}"][0] for end in ("hand", "foot"))
    wrist, ankle = fetus.posture[f"{side}_wrist"][0], fetus.posture[f"{side}_ankle"][0]
    medial = -1.0 if side == "right" else 1.0
    curl = np.radians(fetus.details["finger_curl_deg"])
    for number in range(4):
        across = (number - 1.5) * 0.0155
        root = wrist + hand @ (np.array([across, 0, -0.075]) * crl)
        middle = root + hand @ (np.array([across * 0.3, np.sin(curl), -np.cos(curl)]) * 0.026 * crl)
        tip = middle + hand @ (np.array([0, np.sin(2 * curl), -np.cos(2 * curl)]) * 0.024 * crl)
        yield RoundCone(root, middle, 0.0085 * crl, 0.008 * crl)
        yield RoundCone(middle, tip, 0.008 * crl, 0.007 * crl)
    # If the palm faces the belly, the thumb is on the lateral side of the hand.
    root = wrist + hand @ (np.array([-medial * 0.022, 0.004, -0.028]) * crl)
    yield RoundCone(root, root + hand @ (np.array([-medial * 0.02, 0.02, -0.022]) * crl),
                    0.0095 * crl, 0.0075 * crl)  # fmt: skip
    for number in range(5):
        root = ankle + foot @ (np.array([(number - 2) * 0.0095, 0.092, -0.02]) * crl)
        yield RoundCone(root, root + foot @ (np.array([0, 0.017, 0]) * crl),
                        0.0075 * crl, 0.0065 * crl)  # fmt: skip


def _face(fetus: Fetus) -> tuple[list[Shape], list[Shape]]:
    """Return the jaw for the outline; nose, lips, chin and ears for the fine shapes."""
    crl, semi = fetus.crl_mm, skull_surface(fetus).semi_axes
    point = _in_head(fetus)
    front = float(semi[1])
    frame = fetus.posture.frames["head"][0]
    jaw: list[Shape] = [
        Ellipsoid(point(0, front - 0.085 * crl, -0.165 * crl), frame,
                  np.array([0.082, 0.078, 0.065]) * crl),
    ]  # fmt: skip
    small: list[Shape] = [
        RoundCone(point(0, front - 0.016 * crl, -0.065 * crl),
                  point(0, front + 0.022 * crl, -0.108 * crl), 0.013 * crl, 0.019 * crl),
        RoundCone(point(-0.02 * crl, front - 0.005 * crl, -0.15 * crl),
                  point(0.02 * crl, front - 0.005 * crl, -0.15 * crl), 0.012 * crl, 0.012 * crl),
        ball(point(0, front - 0.012 * crl, -0.2 * crl), 0.026 * crl),
    ]  # fmt: skip
    for sign in (-1, 1):
        x = float(semi[0]) * sign
        small.append(Ellipsoid(point(x * 0.97, -0.02 * crl, -0.10 * crl), frame,
                               np.array([0.012, 0.022, 0.032]) * crl))  # fmt: skip
    return jaw, small


def _face_parts(fetus: Fetus) -> Iterator[Part]:
    """Yield eyes with lenses, and the mouth."""
    crl, front = fetus.crl_mm, float(skull_surface(fetus).semi_axes[1])
    point = _in_head(fetus)
    for sign in (-1, 1):
        center = point(sign * 0.068 * crl, front - 0.065 * crl, -0.062 * crl)
        yield Part(ball(center, 0.033 * crl), Medium.EYE)
        lens = point(sign * 0.068 * crl, front - 0.045 * crl, -0.062 * crl)
        yield Part(ball(lens, 0.012 * crl), Medium.LENS)
    yield Part(
        RoundCone(point(-0.035 * crl, front - 0.055 * crl, -0.155 * crl),
                  point(0.035 * crl, front - 0.055 * crl, -0.155 * crl), 0.011 * crl, 0.011 * crl),
        Medium.MOUTH,
    )  # fmt: skip


def _organs(fetus: Fetus, trunk: Trunk) -> Iterator[Part]:
    """Yield the organs of chest and belly; stomach and apex of the heart are on the left (-x)."""
    crl, details = fetus.crl_mm, fetus.details

    def organ(
        t: float, right: float, ventral: float, semi: tuple[float, float, float], medium: Medium
    ) -> Part:
        center = trunk.middle(t, right, ventral)
        return Part(Ellipsoid(center, trunk.frame(t), np.array(semi) * crl), medium, within=True)

    yield Part(_nuchal(fetus, trunk, skin_mm=0.0), Medium.NUCHAL_FLUID, within=True)
    for sign in (-1, 1):
        yield organ(0.76, 0.42 * sign, 0.02, (0.052, 0.075, 0.085), Medium.LUNG)
    yield organ(0.55, 0.22, 0.12, (0.11, 0.085, 0.058), Medium.LIVER)
    yield organ(0.33, 0.0, 0.12, (0.085, 0.065, 0.075), Medium.BOWEL)
    for sign in (-1, 1):
        yield organ(0.36, 0.42 * sign, -0.38, (0.024, 0.024, 0.042), Medium.KIDNEY)
    beat = details["heart"]
    yield organ(0.74, -0.12, 0.30, (0.055 * beat, 0.055 * beat, 0.060 * beat), Medium.MYOCARDIUM)
    tilt = trunk.frame(0.74) @ np.array([-0.5, 0.55, -0.35])
    heart = trunk.middle(0.74, -0.12, 0.30)
    for side in (-1, 1):
        across = trunk.frame(0.74) @ np.array([0.8, 0.6, 0.0]) * (0.019 * crl * side)
        yield Part(
            RoundCone(heart + across - tilt * 0.02 * crl, heart + across + tilt * 0.04 * crl,
                      0.017 * crl, 0.011 * crl),
            Medium.HEART,
        )  # fmt: skip
    full = details["stomach"]
    yield organ(0.52, -0.45, 0.08, (0.040 * full, 0.055 * full, 0.036 * full), Medium.STOMACH)
    full = details["bladder"]
    yield organ(0.06, 0.0, 0.25, (0.030 * full, 0.030 * full, 0.038 * full), Medium.FETAL_BLADDER)


def _nuchal(fetus: Fetus, trunk: Trunk, skin_mm: float) -> Ellipsoid:
    """Return the nuchal fluid, enlarged by the thickness of the skin above it."""
    crl, nt = fetus.crl_mm, fetus.details["nuchal_translucency_mm"]
    semi = np.array([0.085 * crl, 0.5 * nt, 0.12 * crl]) + skin_mm
    return Ellipsoid(trunk.at(0.93, ventral=-0.05 * crl - 0.5 * nt), trunk.frame(0.95), semi)


def _hernia(fetus: Fetus, trunk: Trunk) -> Iterator[Part]:
    """Yield the physiological hernia: bowel in the root of the cord, until about 12 weeks."""
    part = float(np.clip((12.3 - fetus.weeks) / 1.5, 0, 1))
    if part > 0.1:
        yield Part(ball(trunk.middle(0.33, ventral=0.95), 0.062 * fetus.crl_mm * part**0.5),
                   Medium.BOWEL)  # fmt: skip


def _in_head(fetus: Fetus) -> Callable[[float, float, float], FloatArray]:
    """Return a function from points in the frame of the head, mm, to the body frame."""
    center, frame = fetus.posture["head"][0], fetus.posture.frames["head"][0]

    def point(x: float, y: float, z: float) -> FloatArray:
        return np.asarray(center + frame @ np.array([x, y, z]))

    return point


def _names(side: str) -> tuple[str, ...]:
    return tuple(
        f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    )

"""Build the bones of a fetus as capsules: limbs, vertebrae, ribs, girdles, jaw."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from fetusmap.simulate.body.fetus import Fetus
from fetusmap.simulate.body.posture import SIDES
from fetusmap.simulate.body.shapes import RoundCone, Shape
from fetusmap.simulate.body.trunk import Trunk
from fetusmap.simulate.media import Medium
from fetusmap.simulate.tables import table
from fetusmap.types import FloatArray

Bone = tuple[Shape, Medium, float]

# Age at which a bone is half ossified, weeks, and its specular reflection when it is ossified.
LONG, FLAT, VERTEBRA, RIB, SMALL = (9.5, 1.0), (11.0, 0.7), (10.5, 0.6), (11.3, 0.45), (12.0, 0.35)
VERTEBRAE, RIBS = 30, 11


def bones(fetus: Fetus, trunk: Trunk) -> Iterator[Bone]:
    """Yield all bones but the skull; bones that are not ossified yet are cartilage."""
    shaft = table("body/biometry")["shaft"]
    crl, at = fetus.crl_mm, fetus.posture
    thick = 0.0105 * crl
    for side in SIDES:
        sign = 1.0 if side == "right" else -1.0
        for near, far, part, width in (
            ("shoulder", "elbow", shaft["arm"], 1.0),
            ("hip", "knee", shaft["leg"], 1.1),
        ):
            ends = _shaft(at[f"{side}_{near}"][0], at[f"{side}_{far}"][0], part * _growth(fetus))
            yield _bone(fetus, *ends, thick * width, LONG)
        for near, far, part, gap, frame in (
            ("elbow", "wrist", shaft["arm"], 0.013, "forearm"),
            ("knee", "ankle", shaft["leg"], 0.014, "leg"),
        ):
            ends = _shaft(at[f"{side}_{near}"][0], at[f"{side}_{far}"][0], part * _growth(fetus))
            across = at.frames[f"{side}_{frame}"][0][:, 0] * gap * crl
            yield _bone(fetus, ends[0] + across, ends[1] + across, thick * 0.8, LONG)
            yield _bone(fetus, ends[0] - across, ends[1] - across, thick * 0.7, LONG)
        hand = at.frames[f"{side}_hand"][0]
        for number in range(4):
            root = at[f"{side}_wrist"][0] + hand @ (
                np.array([(number - 1.5) * 0.014, 0, -0.03]) * crl
            )
            yield _bone(fetus, root, root - hand[:, 2] * 0.03 * crl, 0.0045 * crl, SMALL)
        foot = at.frames[f"{side}_foot"][0]
        for number in range(3):
            root = at[f"{side}_ankle"][0] + foot @ (
                np.array([(number - 1) * 0.012, 0.03, -0.015]) * crl
            )
            yield _bone(fetus, root, root + foot[:, 1] * 0.035 * crl, 0.0045 * crl, SMALL)
        neck, shoulder = at["neck"][0], at[f"{side}_shoulder"][0]
        chest = at.frames["thorax"][0]
        front = neck + chest @ (np.array([sign * 0.03, 0.085, -0.02]) * crl)
        yield _bone(fetus, front, shoulder + chest[:, 1] * 0.02 * crl, 0.007 * crl, LONG)
        blade = shoulder + chest @ (np.array([-sign * 0.03, -0.012, 0.0]) * crl)
        yield _bone(fetus, blade, blade + chest @ (np.array([-sign * 0.03, 0.006, -0.08]) * crl),
                    0.008 * crl, FLAT)  # fmt: skip
        hip, pelvis = at[f"{side}_hip"][0], at.frames["pelvis"][0]
        ilium = hip + pelvis @ (np.array([-sign * 0.03, -0.02, 0.02]) * crl)
        crest = hip + pelvis @ (np.array([-sign * 0.005, 0.01, 0.085]) * crl)
        yield _bone(fetus, ilium, crest, 0.010 * crl, FLAT)
    yield from _vertebrae(fetus, trunk)
    yield from _ribs(fetus, trunk)
    yield from _jaws(fetus)


def _vertebrae(fetus: Fetus, trunk: Trunk) -> Iterator[Bone]:
    """Yield thirty vertebrae from tail to neck, each as a body and two arches."""
    crl = fetus.crl_mm
    for t in np.linspace(-0.12, 1.18, VERTEBRAE):
        frame = trunk.frame(float(t))
        for right, ventral, radius in ((0.0, 0.022, 0.0125), (-0.026, -0.018, 0.008),
                                       (0.026, -0.018, 0.008)):  # fmt: skip
            center = trunk.at(float(t), right * crl, ventral * crl)
            along = frame[:, 2] * 0.004 * crl
            yield _bone(fetus, center - along, center + along, radius * crl, VERTEBRA)


def _ribs(fetus: Fetus, trunk: Trunk) -> Iterator[Bone]:
    """Yield the ribs: arcs from the column around the chest that descend to the front."""
    for t in np.linspace(0.56, 0.92, RIBS):
        radius = trunk.radius(float(t)) * 0.84
        frame = trunk.frame(float(t))
        center = trunk.middle(float(t))
        for sign in (-1.0, 1.0):
            around = np.radians([-62, -25, 12, 45])
            points = [
                center
                + frame
                @ np.array([sign * np.cos(a) * radius, np.sin(a) * radius * 0.92,
                            -0.16 * radius * (1 + np.sin(a))])
                for a in around
            ]  # fmt: skip
            for a, b in pairwise(points):
                yield _bone(fetus, a, b, 0.0055 * fetus.crl_mm, RIB)


def _jaws(fetus: Fetus) -> Iterator[Bone]:
    """Yield mandible, maxilla, nasal bone and the base of the skull."""
    crl = fetus.crl_mm
    center, frame = fetus.posture["head"][0], fetus.posture.frames["head"][0]
    front = fetus.sizes_mm["occipitofrontal_diameter"] / 2

    def point(x: float, y: float, z: float) -> FloatArray:
        return np.asarray(center + frame @ np.array([x * crl, front + y * crl, z * crl]))

    for sign in (-1.0, 1.0):
        yield _bone(fetus, point(sign * 0.065, -0.12, -0.16), point(sign * 0.012, -0.035, -0.185),
                    0.007 * crl, LONG)  # fmt: skip
        yield _bone(fetus, point(sign * 0.05, -0.09, -0.125), point(sign * 0.008, -0.035, -0.130),
                    0.007 * crl, LONG)  # fmt: skip
    yield _bone(fetus, point(0, -0.028, -0.065), point(0, -0.012, -0.088), 0.006 * crl, SMALL)
    yield _bone(fetus, point(-0.05, -0.16, -0.13), point(0.05, -0.16, -0.13), 0.010 * crl, FLAT)


def _bone(
    fetus: Fetus, start: FloatArray, end: FloatArray, radius: float, kind: tuple[float, float]
) -> Bone:
    """Return a bone of one kind, ossified according to the age of the fetus."""
    half_age, specular = kind
    ossified = fetus.ossification * float(np.clip((fetus.weeks - half_age) / 2 + 0.5, 0, 1))
    medium = Medium.LONG_BONE if ossified > 0.3 else Medium.CARTILAGE
    return RoundCone(start, end, radius, radius), medium, specular * ossified


def _growth(fetus: Fetus) -> float:
    """Return a factor on the length of shafts: before 11 weeks only their middles are bone."""
    return float(np.clip(0.7 + 0.15 * (fetus.weeks - 9.5), 0.7, 1.0))


def _shaft(near: FloatArray, far: FloatArray, part: float) -> tuple[FloatArray, FloatArray]:
    """Return the ends of the ossified part of a bone between two joints."""
    middle, half = (near + far) / 2, (far - near) / 2 * part
    return middle - half, middle + half

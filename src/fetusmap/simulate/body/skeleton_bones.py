"""Build the bones of a fetus as capsules: limbs, vertebrae, ribs, girdles, jaws."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from fetusmap.simulate.body.ends import PALM_AT
from fetusmap.simulate.body.face import face_point
from fetusmap.simulate.body.fetus import Fetus
from fetusmap.simulate.body.measures import SIDES
from fetusmap.simulate.body.part import Part
from fetusmap.simulate.body.shapes import Ellipsoid, RoundCone
from fetusmap.simulate.body.trunk import Trunk
from fetusmap.simulate.media import Medium
from fetusmap.types import FloatArray

# Age at which a bone is half ossified, weeks, and its specular reflection when it is ossified.
LONG, FLAT, VERTEBRA, RIB, SMALL = (9.5, 1.0), (11.0, 0.7), (10.5, 0.6), (11.3, 0.45), (12.0, 0.35)

# From the second sacral vertebra (t = 0) to the first thoracic one (t = 1) there are 18 vertebrae.
VERTEBRAE_OF_TRUNK = 18
SACRAL_BELOW, CERVICAL_ABOVE = 3, 7
COCCYX_CURVE = 0.0035  # in CRL, times the square of the number below the second sacral one
RIBS = 12


def bones(fetus: Fetus, trunk: Trunk, skull: Ellipsoid) -> Iterator[Part]:
    """Yield all bones but the skull; bones that are not ossified yet are cartilage."""
    for side in SIDES:
        yield from _arm_and_leg(fetus, side)
        yield from _hand_and_foot(fetus, side)
        yield from _girdles(fetus, side)
    yield from _vertebrae(fetus, trunk)
    yield from _ribs(fetus, trunk)
    yield from _jaws(fetus, skull)


def _arm_and_leg(fetus: Fetus, side: str) -> Iterator[Part]:
    """Yield the ossified shafts of humerus, femur, and the paired bones of forearm and leg."""
    size, at = fetus.measures, fetus.posture
    thick = size["bone_radius"]
    for near, far, limb, width in (("shoulder", "elbow", "arm", 1.0), ("hip", "knee", "leg", 1.1)):
        ends = _shaft(fetus, at[f"{side}_{near}"][0], at[f"{side}_{far}"][0], limb)
        yield _bone(fetus, *ends, thick * width, LONG)
    for near, far, limb, frame in (
        ("elbow", "wrist", "arm", "forearm"), ("knee", "ankle", "leg", "leg")
    ):  # fmt: skip
        ends = _shaft(fetus, at[f"{side}_{near}"][0], at[f"{side}_{far}"][0], limb)
        across = at.frames[f"{side}_{frame}"][0][:, 0] * size["bone_gap"]
        yield _bone(fetus, ends[0] + across, ends[1] + across, thick * 0.8, LONG)
        yield _bone(fetus, ends[0] - across, ends[1] - across, thick * 0.7, LONG)


def _hand_and_foot(fetus: Fetus, side: str) -> Iterator[Part]:
    """Yield the bones of palm, fingers and middle foot."""
    size, at = fetus.measures, fetus.posture
    hand, wrist, length = at.frames[f"{side}_hand"][0], at[f"{side}_wrist"][0], size[f"{side}_hand"]
    for number in range(4):
        root = np.array([(number - 1.5) * 0.108 * size["palm_width"], 0, -PALM_AT + 0.1]) * length
        start = wrist + hand @ root
        yield _bone(fetus, start, start - hand[:, 2] * 0.23 * length, 0.035 * length, SMALL)
    foot, ankle, length = at.frames[f"{side}_foot"][0], at[f"{side}_ankle"][0], size[f"{side}_foot"]
    for number in range(5):
        root = np.array([(number - 2) * 0.06, 0.24, -0.10 * size["foot_height"]]) * length
        start = ankle + foot @ root
        yield _bone(fetus, start, start + foot[:, 1] * 0.22 * length, 0.024 * length, SMALL)


def _girdles(fetus: Fetus, side: str) -> Iterator[Part]:
    """Yield clavicle, scapula and ilium of one side."""
    crl, at = fetus.crl_mm, fetus.posture
    sign = 1.0 if side == "right" else -1.0
    shoulder, chest = at[f"{side}_shoulder"][0], at.frames["thorax"][0]
    front = at["neck"][0] + chest @ (np.array([sign * 0.03, 0.085, -0.055]) * crl)
    yield _bone(fetus, front, shoulder + chest[:, 1] * 0.02 * crl, 0.007 * crl, LONG)
    blade = shoulder + chest @ (np.array([-sign * 0.03, -0.012, 0.0]) * crl)
    yield _bone(fetus, blade, blade + chest @ (np.array([-sign * 0.03, 0.006, -0.08]) * crl),
                0.008 * crl, FLAT)  # fmt: skip
    # From above the hip joint towards the sacrum, and up and outwards to the crest.
    hip, pelvis, high = at[f"{side}_hip"][0], at.frames["pelvis"][0], fetus.measures["ilium"]
    low = hip + pelvis @ (np.array([-sign * 0.022, -0.018, 0.022]) * crl)
    crest = low + pelvis @ (np.array([sign * 0.25, 0.10, 0.75]) * high)
    back = low + pelvis @ (np.array([-sign * 0.12, -0.30, 0.45]) * high)
    yield _bone(fetus, low, crest, 0.009 * crl, FLAT)
    yield _bone(fetus, low, back, 0.008 * crl, FLAT)


def _vertebrae(fetus: Fetus, trunk: Trunk) -> Iterator[Part]:
    """Yield the vertebrae from sacrum to neck, each as a body and two arches with gaps between."""
    size = fetus.measures["vertebra"] * fetus.crl_mm
    for number in range(-SACRAL_BELOW, VERTEBRAE_OF_TRUNK + CERVICAL_ABOVE + 1):
        above, below = max(number - VERTEBRAE_OF_TRUNK, 0), max(-number, 0)
        t = (number - 0.3 * above) / VERTEBRAE_OF_TRUNK  # cervical vertebrae are lower
        small = 1.0 - 0.03 * above - 0.12 * below
        right, ventral = trunk.frame(t)[:, 0], trunk.frame(t)[:, 1]
        # The sacrum curves to ventral; the coccyx is cartilage without an echo until birth.
        center = trunk.at(t, ventral=COCCYX_CURVE * below**2 * fetus.crl_mm)
        # Ossification centres are about half as high as their distance of 0.028 crown-rump lengths.
        across = right * 0.0035 * size * small
        yield _bone(fetus, center - across, center + across, 0.0078 * size * small, VERTEBRA)
        for sign in (-1.0, 1.0):
            arch = center + (sign * 0.026 * right - 0.036 * ventral) * size * small
            front = arch + (sign * 0.004 * right + 0.012 * ventral) * size * small
            yield _bone(fetus, arch, front, 0.0055 * size * small, VERTEBRA)


def _ribs(fetus: Fetus, trunk: Trunk) -> Iterator[Part]:
    """Yield the ribs: arcs from the column around the chest that descend to the front."""
    slope = 0.16 * fetus.measures["rib_slope"]
    for t in np.linspace(0.52, 0.94, RIBS):
        radius, aside = trunk.section(float(t))
        radius *= 0.86
        frame = trunk.frame(float(t))
        center = trunk.middle(float(t))
        for sign in (-1.0, 1.0):
            around = np.radians([-62, -25, 12, 45])
            points = [
                center
                + frame
                @ np.array([sign * (np.cos(a) * radius + aside), np.sin(a) * radius * 0.92,
                            -slope * radius * (1 + np.sin(a))])
                for a in around
            ]  # fmt: skip
            for a, b in pairwise(points):
                yield _bone(fetus, a, b, 0.0055 * fetus.crl_mm, RIB)


def _jaws(fetus: Fetus, skull: Ellipsoid) -> Iterator[Part]:
    """Yield mandible, maxilla, nasal bones and the base of the skull."""
    crl, at = fetus.crl_mm, face_point(fetus, skull)
    for sign in (-1.0, 1.0):
        yield _bone(fetus, at(sign * 0.060, -0.120, -0.155), at(sign * 0.012, -0.036, -0.186),
                    0.007 * crl, LONG)  # fmt: skip
        yield _bone(fetus, at(sign * 0.045, -0.090, -0.122), at(sign * 0.008, -0.034, -0.126),
                    0.007 * crl, LONG)  # fmt: skip
        yield _bone(fetus, at(sign * 0.005, -0.027, -0.064), at(sign * 0.005, -0.010, -0.086),
                    0.0045 * crl, SMALL)  # fmt: skip
    yield _bone(fetus, at(-0.05, -0.16, -0.13), at(0.05, -0.16, -0.13), 0.010 * crl, FLAT)


def _bone(
    fetus: Fetus, start: FloatArray, end: FloatArray, radius: float, kind: tuple[float, float]
) -> Part:
    """Return a bone of one kind, ossified according to the age of the fetus."""
    half_age, specular = kind
    age = fetus.hardness_weeks
    ossified = fetus.ossification * float(np.clip((age - half_age) / 2 + 0.5, 0, 1))
    medium = Medium.LONG_BONE if ossified > 0.3 else Medium.CARTILAGE
    return Part(RoundCone(start, end, radius, radius), medium, specular * ossified)


def _shaft(
    fetus: Fetus, near: FloatArray, far: FloatArray, limb: str
) -> tuple[FloatArray, FloatArray]:
    """Return the ends of the ossified part of a bone between two joints of an arm or a leg."""
    # Before 11 weeks only the middle of the shaft is bone.
    grown = float(np.clip(0.7 + 0.15 * (fetus.hardness_weeks - 9.5), 0.7, 1.0))
    half = (far - near) / 2 * fetus.measures[f"shaft_of_{limb}"] * grown
    middle = (near + far) / 2 + fetus.measures["shaft_shift"] * (near - far)
    return middle - half, middle + half

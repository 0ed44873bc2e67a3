"""Build the face: forehead, nose, lips, jaw, cheeks, ears and eyes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from fetusmap.simulate.body.fetus import Fetus
from fetusmap.simulate.body.part import Part
from fetusmap.simulate.body.shapes import Ellipsoid, RoundCone, Shape, ball
from fetusmap.simulate.media import Medium
from fetusmap.types import FloatArray

PointOnFace = Callable[[float, float, float], FloatArray]


def face_point(fetus: Fetus, skull: Ellipsoid) -> PointOnFace:
    """Return a function from places on the face to points in the body frame.

    A place is (right, ventral, cranial) in crown-rump lengths: ventral is counted from the front of
    the skull, cranial from its middle. Both scale with the measures of the face.
    """
    crl, front = fetus.crl_mm, float(skull.semi_axes[1])
    high, deep = fetus.measures["face_height"], fetus.measures["face_depth"]

    def point(right: float, ventral: float, cranial: float) -> FloatArray:
        local = np.array([right * crl, front + ventral * deep * crl, cranial * high * crl])
        return np.asarray(skull.center + skull.axes @ local)

    return point


def face_outline(fetus: Fetus, skull: Ellipsoid) -> list[Shape]:
    """Return upper jaw, lower jaw and cheeks, which join the outline smoothly."""
    crl, at = fetus.crl_mm, face_point(fetus, skull)
    chin, cheeks = fetus.measures["chin"], fetus.measures["cheeks"]
    return [
        Ellipsoid(at(0, -0.072, -0.122), skull.axes, np.array([0.080, 0.078, 0.060]) * crl),
        Ellipsoid(at(0, -0.082, -0.178), skull.axes,
                  np.array([0.066, 0.074, 0.036 * chin]) * crl),
        *(ball(at(sign * 0.055 * cheeks, -0.055, -0.135), 0.038 * cheeks * crl)
          for sign in (-1, 1)),
    ]  # fmt: skip


def small_face(fetus: Fetus, skull: Ellipsoid) -> Iterator[Shape]:
    """Yield brows, lids, nose, lips, chin and ears."""
    crl, at = fetus.crl_mm, face_point(fetus, skull)
    nose, chin, ears = (fetus.measures[name] for name in ("nose", "chin", "ears"))
    for sign in (-1, 1):  # the ridges above the eyes, and the lids
        yield RoundCone(at(sign * 0.028, -0.010, -0.032), at(sign * 0.085, -0.044, -0.036),
                        0.014 * crl, 0.012 * crl)  # fmt: skip
        yield ball(at(sign * 0.066, -0.046, -0.064), 0.034 * crl)
    tip = 0.024 * nose - 0.004
    yield RoundCone(at(0, -0.012, -0.058), at(0, tip + 0.006, -0.096), 0.010 * crl,
                    0.014 * nose * crl)  # fmt: skip
    yield ball(at(0, tip + 0.008, -0.103), 0.015 * nose * crl)
    for sign in (-1, 1):  # wings of the nose
        yield ball(at(sign * 0.017 * nose, tip - 0.002, -0.106), 0.0105 * nose * crl)
    yield RoundCone(at(-0.026, -0.006, -0.138), at(0.026, -0.006, -0.138), 0.010 * crl, 0.010 * crl)
    yield ball(at(0, 0.003, -0.137), 0.011 * crl)
    yield RoundCone(at(-0.023, -0.011, -0.160), at(0.023, -0.011, -0.160), 0.010 * crl, 0.010 * crl)
    yield ball(at(0, -0.016, -0.192), 0.021 * chin * crl)
    side = float(skull.semi_axes[0]) / crl
    for sign in (-1, 1):
        x, back = sign * side * 0.99, -float(skull.semi_axes[1]) / crl - 0.03
        axes = skull.axes
        yield Ellipsoid(at(x, back, -0.105), axes, np.array([0.009, 0.020, 0.030]) * ears * crl)
        yield ball(at(x, back + 0.006, -0.137), 0.011 * ears * crl)


def face_parts(fetus: Fetus, skull: Ellipsoid) -> Iterator[Part]:
    """Yield eyes with lenses, mouth, tongue and the nasal cavity."""
    crl, at, eyes = fetus.crl_mm, face_point(fetus, skull), fetus.measures["eyes"]
    for sign in (-1, 1):
        yield Part(ball(at(sign * 0.066, -0.064, -0.062), 0.032 * eyes * crl), Medium.EYE)
        yield Part(ball(at(sign * 0.067, -0.043, -0.062), 0.012 * eyes * crl), Medium.LENS)
    yield Part(RoundCone(at(0, -0.035, -0.110), at(0, -0.110, -0.112), 0.010 * crl, 0.013 * crl),
               Medium.MOUTH)  # fmt: skip
    yield Part(RoundCone(at(-0.030, -0.045, -0.150), at(0.030, -0.045, -0.150), 0.009 * crl,
                         0.009 * crl), Medium.MOUTH)  # fmt: skip
    yield Part(RoundCone(at(0, -0.060, -0.158), at(0, -0.115, -0.160), 0.018 * crl, 0.022 * crl),
               Medium.FETAL_TISSUE)  # fmt: skip

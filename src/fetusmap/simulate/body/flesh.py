"""Build the flesh of the limbs: where it lies around the bones differs from fetus to fetus."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fetusmap.simulate.body.ends import BALL_AT, BALL_RADIUS, HEEL_AT, HEEL_RADIUS, TOES_AT
from fetusmap.simulate.body.fetus import Fetus
from fetusmap.simulate.body.shapes import Ellipsoid, RoundCone, Shape
from fetusmap.types import FloatArray


def limb_flesh(fetus: Fetus, side: str) -> Iterator[Shape]:
    """Yield shoulder, arm, palm, buttock, leg and foot of one side."""
    crl, size, posture = fetus.crl_mm, fetus.measures, fetus.posture
    sign = _sign_of(side)
    at = {name: posture[f"{side}_{name}"][0] for name in
          ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")}  # fmt: skip

    def offset(frame: str, part: str) -> FloatArray:
        """Return the offset of the flesh from the bone at a place, in a frame of this side."""
        local = [sign * size.get(f"{part}_lateral", 0.0), size.get(f"{part}_ventral", 0.0),
                 -size.get(f"{part}_beyond", 0.0)]  # fmt: skip
        return np.asarray(posture.frames[f"{side}_{frame}"][0] @ np.array(local))

    def segment(
        start: FloatArray, end: FloatArray, radii: tuple[float, float], frame: str, part: str
    ) -> Iterator[Shape]:
        """Yield two cones that meet where the part is thickest."""
        where, thick = size[f"{part}_at"], size[f"{part}_radius"]
        middle = start + where * (end - start) + offset(frame, part)
        yield RoundCone(start, middle, radii[0], thick)
        yield RoundCone(middle, end, thick, radii[1])

    neck = posture["neck"][0]
    elbow = at["elbow"] + offset("upper_arm", "elbow")
    wrist = at["wrist"] + offset("forearm", "wrist")
    root = neck + 0.55 * (at["shoulder"] - neck)
    yield RoundCone(root, at["shoulder"], 0.055 * crl, 1.05 * size["deltoid_radius"])
    arm = (size["deltoid_radius"], size["elbow_radius"])
    yield from segment(at["shoulder"], elbow, arm, "upper_arm", "upper_arm")
    yield from segment(elbow, wrist, (arm[1], size["wrist_radius"]), "forearm", "forearm")
    hand = posture.frames[f"{side}_hand"][0]
    length = size[f"{side}_hand"]
    palm = np.array([0.23 * size["palm_width"], 0.12 * size["palm_thickness"], 0.31]) * length
    yield Ellipsoid(posture[f"{side}_hand"][0], hand, palm)

    pelvis, sacrum = posture.frames["pelvis"][0], posture["sacrum"][0]
    knee = at["knee"] + offset("thigh", "knee")
    ankle = at["ankle"] + offset("leg", "ankle")
    buttock = sacrum + pelvis @ np.array([sign * 0.5 * size["half_hip"], 0.035 * crl, -0.01 * crl])
    yield RoundCone(buttock, at["hip"], size["buttock_radius"], size["buttock_radius"])
    leg = (size["thigh_root_radius"], size["knee_radius"])
    yield from segment(at["hip"], knee, leg, "thigh", "thigh")
    yield from segment(knee, ankle, (leg[1], size["ankle_radius"]), "leg", "calf")
    heel, toes = (_on_foot(fetus, side, 0.0, *where) for where in (HEEL_AT, BALL_AT))
    thick = size[f"{side}_foot"] * size["foot_height"]
    yield RoundCone(heel, toes, HEEL_RADIUS * thick, BALL_RADIUS * thick)


def fingers_and_toes(fetus: Fetus, side: str) -> Iterator[Shape]:
    """Yield fingers, thumb and toes of one side."""
    size, lateral = fetus.measures, _sign_of(side)
    hand, wrist = fetus.posture.frames[f"{side}_hand"][0], fetus.posture[f"{side}_wrist"][0]
    length, wide = size[f"{side}_hand"], size["palm_width"]
    curl, long = np.radians(fetus.details["finger_curl_deg"]), size["finger_length"]
    fingers = (0.95, 1.05, 1.0, 0.82)  # relative lengths, from the index finger, which is lateral
    for number, share in enumerate(fingers if side == "left" else reversed(fingers)):
        across = (number - 1.5) * 0.12 * wide
        root = wrist + hand @ (np.array([across, 0, -0.575]) * length)
        middle = root + hand @ (
            np.array([across * 0.3, np.sin(curl), -np.cos(curl)]) * 0.2 * share * long * length
        )
        tip = middle + hand @ (
            np.array([0, np.sin(2 * curl), -np.cos(2 * curl)]) * 0.185 * share * long * length
        )
        yield RoundCone(root, middle, 0.065 * length, 0.06 * length)
        yield RoundCone(middle, tip, 0.06 * length, 0.053 * length)
    # If the palm faces the belly, the thumb is on the lateral side of the hand.
    root = wrist + hand @ (np.array([lateral * 0.17 * wide, 0.03, -0.215]) * length)
    tip = root + hand @ (np.array([lateral * 0.15 * wide, 0.15, -0.17]) * length)
    yield RoundCone(root, tip, 0.073 * length, 0.058 * length)
    foot = size[f"{side}_foot"]
    for number in range(5):
        # The great toe, on the medial side, is the thickest.
        big = 1.3 if number == (0 if side == "right" else 4) else 0.95
        across = (number - 2) * 0.06
        root, tip = (_on_foot(fetus, side, across, y, -0.125) for y in (TOES_AT, TOES_AT + 0.11))
        yield RoundCone(root, tip, 0.045 * big * foot, 0.04 * big * foot)


def _on_foot(fetus: Fetus, side: str, across: float, along: float, up: float) -> FloatArray:
    """Return a point in the frame of the foot, given in lengths of the foot, in the body frame."""
    foot = fetus.measures[f"{side}_foot"]
    local = np.array([across, along, up * fetus.measures["foot_height"]]) * foot
    frame = fetus.posture.frames[f"{side}_foot"][0]
    return np.asarray(fetus.posture[f"{side}_ankle"][0] + frame @ local)


def _sign_of(side: str) -> float:
    """Return the sign of the lateral direction on the axis to the right."""
    return 1.0 if side == "right" else -1.0

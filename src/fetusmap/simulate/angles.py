"""Joint angles of simulated bodies: drawn freely, or near those of given poses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fetusmap.anatomy import PoseLibrary
from fetusmap.errors import BadInput
from fetusmap.simulate.draws import truncated_normal
from fetusmap.simulate.posture import ANGLES, ARM_ANGLES, LEG_ANGLES, SIDES, limb_angles
from fetusmap.simulate.tables import table
from fetusmap.types import FloatArray

HINGE_DEG = 155.0  # how far elbows and knees close


def draw_angles(
    rng: np.random.Generator,
    count: int,
    like: PoseLibrary | None = None,
    looseness: float = 1.0,
) -> dict[str, FloatArray]:
    """Joint angles of `count` bodies, degrees, before anyone looks whether they fit.

    Args:
        rng: the fetus' generator.
        count: how many.
        like: poses whose limbs to imitate.
        looseness: how many times further than usual from those.
    """
    joints = table("joints")
    usual = joints["usual"]
    angles = {
        name: truncated_normal(rng, **usual[name.removeprefix("left_").removeprefix("right_")],
                               count=count)
        for name in ANGLES
    }  # fmt: skip
    if like is not None:
        _imitate(rng, angles, like, joints["imitation"]["sd"] * looseness)
        return angles
    startled = rng.random(count) < joints["chance"]["startled_arms"]
    for side in SIDES:
        for limb in (ARM_ANGLES, LEG_ANGLES):
            extended = rng.random(count) < joints["chance"]["extended_limb"]
            _replace(rng, angles, side, limb, joints["extended"], extended)
        _replace(rng, angles, side, ARM_ANGLES, joints["startled"], startled)
    return angles


def _replace(
    rng: np.random.Generator,
    angles: dict[str, FloatArray],
    side: str,
    limb: tuple[str, ...],
    entries: Mapping[str, Mapping[str, float]],
    chosen: FloatArray,
) -> None:
    for name in limb:
        if name in entries:
            other = truncated_normal(rng, **entries[name], count=len(chosen))
            values = angles[f"{side}_{name}"]
            values[chosen] = other[chosen]


def _imitate(
    rng: np.random.Generator, angles: dict[str, FloatArray], like: PoseLibrary, sd: float
) -> None:
    """Limbs as in poses chosen at random; the trunk, which real landmarks hardly tell, stays."""
    whole = np.flatnonzero(np.isfinite(like.positions_mm).all(axis=(1, 2)))
    if not len(whole):
        raise BadInput(
            "poses to imitate",
            expected="at least one with all landmarks",
            found=f"{len(like)} poses, each without some",
            remedy="build the library from complete poses",
        )
    count = len(angles["spine_flexion"])
    rows = rng.choice(whole, count)
    for name, values in limb_angles(like.positions_mm[rows].astype(np.float64)).items():
        angles[name] = np.nan_to_num(values) + rng.normal(0, sd, count)
        if name.endswith(("elbow_flexion", "knee_flexion")):
            # Beyond straight and beyond folded they turn back.
            angles[name] = HINGE_DEG - np.abs(HINGE_DEG - np.abs(angles[name]))

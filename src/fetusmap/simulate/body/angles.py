"""Draw joint angles of simulated bodies, freely or near those of given poses."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from fetusmap.atlas import PoseLibrary
from fetusmap.errors import BadInput
from fetusmap.simulate.body.measures import SIDES
from fetusmap.simulate.body.posture import ANGLES, ARM_ANGLES, LEG_ANGLES, limb_angles
from fetusmap.simulate.draws import truncated_normal
from fetusmap.simulate.tables import table
from fetusmap.types import FloatArray

MAX_HINGE_DEG = 155.0  # flexion at which elbows and knees are closed


def draw_angles(
    rng: np.random.Generator,
    count: int,
    like: PoseLibrary | None = None,
    looseness: float = 1.0,
) -> dict[str, FloatArray]:
    """Draw the joint angles of `count` bodies, degrees, without checking for collisions.

    Args:
        rng: generator of the fetus.
        count: number of bodies.
        like: poses whose limb postures are imitated.
        looseness: factor on the usual deviation from those poses.
    """
    joints = table("body/joints")
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
    """Replace the angles of a limb by draws from other distributions, in the chosen bodies."""
    for name in limb:
        if name in entries:
            other = truncated_normal(rng, **entries[name], count=len(chosen))
            values = angles[f"{side}_{name}"]
            values[chosen] = other[chosen]


def _imitate(
    rng: np.random.Generator, angles: dict[str, FloatArray], like: PoseLibrary, sd: float
) -> None:
    """Take limb angles from random poses; landmarks hardly determine the angles of the trunk."""
    theirs = _angles_of(like)
    whole = np.flatnonzero(np.isfinite(np.stack(list(theirs.values()))).all(axis=0))
    if not len(whole):
        raise BadInput(
            "poses to imitate",
            expected="at least one with all landmarks at distinct positions",
            found=f"none among {len(like)} poses",
            remedy="build the library from complete poses",
        )
    count = len(angles["spine_flexion"])
    rows = rng.choice(whole, count)
    for name, values in theirs.items():
        angles[name] = values[rows] + rng.normal(0, sd, count)
        if name.endswith(("elbow_flexion", "knee_flexion")):
            # Hinges cannot go beyond straight or closed: the angle is reflected there.
            angles[name] = MAX_HINGE_DEG - np.abs(MAX_HINGE_DEG - np.abs(angles[name]))


@lru_cache(maxsize=4)
def _angles_of(library: PoseLibrary) -> dict[str, FloatArray]:
    """Return the limb angles of every atlas; cached, because many cases share one library."""
    return limb_angles(library.positions_mm.astype(np.float64), library.skeleton)

"""The limbs of both sides of a body, by name."""

from __future__ import annotations

from fetusmap.anatomy.skeleton import Skeleton
from fetusmap.types import IntArray


def limbs_of_both_sides(skeleton: Skeleton) -> dict[str, IntArray]:
    """Return the rows of each limb, from its root outwards, by a name such as "left arm"."""
    limbs = {}
    for limb, left in zip(skeleton.limbs, skeleton.limb_index, strict=True):
        for rows in (left, skeleton.mirror_index[left]):
            limbs[f"{skeleton.side(skeleton.landmarks[rows[0]])} {limb.name}"] = rows
    return limbs

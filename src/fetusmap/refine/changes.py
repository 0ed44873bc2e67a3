"""What a refinement changed, in words."""

from __future__ import annotations

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.types import BoolArray, FloatArray, Points3

WORTH_TELLING_MM = 5.0

LIMBS = (("wrist", "arm"), ("elbow", "arm"), ("ankle", "leg"), ("knee", "leg"))
"""What a limb is called by a landmark that it has."""


def changes_between(skeleton: Skeleton, before_mm: Points3, after_mm: Points3) -> tuple[str, ...]:
    """What changed between two poses: exchanged sides first, then the landmarks that moved far.

    Args:
        skeleton: names the rows.
        before_mm: (N, 3); NaN for a landmark that was not found.
        after_mm: (N, 3).
    """
    exchanged = _exchanged(skeleton, before_mm, after_mm)
    told = np.where(exchanged, skeleton.mirror_index, np.arange(len(skeleton)))
    moved = np.linalg.norm(after_mm - before_mm[told], axis=1)
    sentences = _sentences_of_sides(skeleton, exchanged)
    is_new = np.isfinite(after_mm[:, 0]) & ~np.isfinite(before_mm[told, 0])
    for name, distance, new in zip(skeleton.landmarks, moved, is_new, strict=True):
        if new:
            sentences.append(f"{name} found")
        elif distance > WORTH_TELLING_MM:
            sentences.append(f"{name} moved by {distance:.0f} mm")
    return tuple(sentences)


def _exchanged(skeleton: Skeleton, before_mm: Points3, after_mm: Points3) -> BoolArray:
    """(N,) whether a landmark and its partner both came nearer to where the other one was.

    Both must have moved by what is worth telling: two wrists that touch are not exchanged by a
    millimetre.
    """
    order = skeleton.mirror_index
    own = np.linalg.norm(after_mm - before_mm, axis=1)
    other: FloatArray = np.linalg.norm(after_mm - before_mm[order], axis=1)
    nearer = (other < own) & (own > WORTH_TELLING_MM) & (order != np.arange(len(order)))
    return np.asarray(nearer & nearer[order])


def _sentences_of_sides(skeleton: Skeleton, exchanged: BoolArray) -> list[str]:
    pairs = [left for left, _ in skeleton.mirror_pairs]
    concerned = [name for name in pairs if exchanged[skeleton.index(name)]]
    if not concerned:
        return []
    if len(concerned) == len(pairs):
        return ["left and right exchanged"]
    names = [name.removeprefix("left_").replace("_", " ") for name in concerned]
    called: dict[str, list[str]] = {}
    for name in names:
        limb = next((limb for part, limb in LIMBS if part == name), name)
        called.setdefault(limb, []).append(name)
    return [
        f"left and right {limb if len(parts) > 1 else parts[0]} exchanged"
        for limb, parts in called.items()
    ]

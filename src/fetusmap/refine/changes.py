"""What a refinement changed, in words."""

from __future__ import annotations

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.types import BoolArray, FloatArray, Points3

WORTH_TELLING_MM = 5.0
"""A landmark that moved by more is named."""

NOTHING_MM = 0.05
"""Below this nothing has moved."""

LIMBS = (
    ("arm", ("shoulder", "elbow", "wrist"), ("elbow", "wrist")),
    ("leg", ("hip", "knee", "ankle"), ("knee", "ankle")),
)
"""A limb, whole and below its root, by the landmarks of one side."""


def changes_between(skeleton: Skeleton, before_mm: Points3, after_mm: Points3) -> tuple[str, ...]:
    """What changed between two poses: exchanged sides first, then landmarks, then all together.

    Args:
        skeleton: names the rows.
        before_mm: (N, 3); NaN for a landmark that was not found.
        after_mm: (N, 3).

    Returns:
        Sentences; none only where nothing moved by 0.05 mm.
    """
    exchanged = _exchanged(skeleton, before_mm, after_mm)
    told = np.where(exchanged, skeleton.mirror_index, np.arange(len(skeleton)))
    moved = np.linalg.norm(after_mm - before_mm[told], axis=1)
    sentences = _sentences_of_sides(skeleton, exchanged)
    was, is_there = (np.isfinite(pose[:, 0]) for pose in (before_mm[told], after_mm))
    for row, name in enumerate(skeleton.landmarks):
        if is_there[row] != was[row]:
            sentences.append(f"{name} {'found' if is_there[row] else 'lost'}")
        elif moved[row] > WORTH_TELLING_MM:
            sentences.append(f"{name} moved by {moved[row]:.0f} mm")
    count = int((moved > NOTHING_MM).sum())
    if count:
        mean = float(moved[moved > NOTHING_MM].mean())
        landmarks = f"{count} landmark{'s' * (count > 1)}"
        sentences.append(f"{landmarks} moved, by {mean:.1f} mm on average")
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
    for limb, *extents in LIMBS:
        for extent in extents:
            if set(extent) <= set(names):
                names[names.index(extent[0])] = limb
                names = [name for name in names if name not in extent]
    return [f"left and right {name} exchanged" for name in names]

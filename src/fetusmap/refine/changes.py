"""Describe what a refinement changed, in sentences."""

from __future__ import annotations

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.types import BoolArray, FloatArray, Points3

MIN_NAMED_MOVE_MM = 5.0
"""A landmark that moved by more than this distance is named."""

MIN_COUNTED_MOVE_MM = 0.05
"""A landmark that moved by less than this distance counts as unmoved."""


def changes_between(skeleton: Skeleton, before_mm: Points3, after_mm: Points3) -> tuple[str, ...]:
    """Describe what changed between two poses: exchanged sides, then landmarks, then the mean.

    Args:
        skeleton: skeleton of both poses; its limbs name the exchanged parts.
        before_mm: (N, 3) positions before; NaN for a landmark that was not found.
        after_mm: (N, 3) positions after.

    Returns:
        Sentences; empty only if no landmark moved by 0.05 mm or more.
    """
    exchanged = _exchanged(skeleton, before_mm, after_mm)
    renamed = np.where(exchanged, skeleton.mirror_index, np.arange(len(skeleton)))
    moved = np.linalg.norm(after_mm - before_mm[renamed], axis=1)
    sentences = _sentences_of_sides(skeleton, exchanged)
    was, is_there = (np.isfinite(pose[:, 0]) for pose in (before_mm[renamed], after_mm))
    for row, name in enumerate(skeleton.landmarks):
        if is_there[row] != was[row]:
            sentences.append(f"{name} {'found' if is_there[row] else 'lost'}")
        elif moved[row] > MIN_NAMED_MOVE_MM:
            sentences.append(f"{name} moved by {moved[row]:.0f} mm")
    count = int((moved > MIN_COUNTED_MOVE_MM).sum())
    if count:
        mean = float(moved[moved > MIN_COUNTED_MOVE_MM].mean())
        landmarks = f"{count} landmark{'s' * (count > 1)}"
        sentences.append(f"{landmarks} moved, by {mean:.1f} mm on average")
    return tuple(sentences)


def _exchanged(skeleton: Skeleton, before_mm: Points3, after_mm: Points3) -> BoolArray:
    """Return (N,) whether a landmark and its partner moved towards each other's old position.

    Both must have moved by more than `MIN_NAMED_MOVE_MM`: two wrists that touch and move by a
    millimetre were not exchanged.
    """
    order = skeleton.mirror_index
    own = np.linalg.norm(after_mm - before_mm, axis=1)
    other: FloatArray = np.linalg.norm(after_mm - before_mm[order], axis=1)
    nearer = (other < own) & (own > MIN_NAMED_MOVE_MM) & (order != np.arange(len(order)))
    return np.asarray(nearer & nearer[order])


def _sentences_of_sides(skeleton: Skeleton, exchanged: BoolArray) -> list[str]:
    pairs = [left for left, _ in skeleton.mirror_pairs]
    concerned = [name for name in pairs if exchanged[skeleton.index(name)]]
    if not concerned:
        return []
    if len(concerned) == len(pairs):
        return ["left and right exchanged"]
    names = [skeleton.name_without_side(name) for name in concerned]
    for limb in skeleton.limbs:
        landmarks = [skeleton.name_without_side(name) for name in limb.landmarks]
        for part in (landmarks, landmarks[1:]):  # the whole limb, or all below its root
            if len(part) > 1 and set(part) <= set(names):
                names[names.index(part[0])] = limb.name
                names = [name for name in names if name not in part]
    return [f"left and right {name} exchanged" for name in names]

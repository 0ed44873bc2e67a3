"""Reasons to doubt single landmarks, in words: limb by limb where a limb is concerned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.quality.limbs import limbs_of_both_sides
from fetusmap.types import BoolArray, FloatArray

MIN_LANDMARK_CONFIDENCE = 0.5
"""A landmark below this confidence is more likely wrong than right: it is called a guess."""


def doubts_about_landmarks(
    skeleton: Skeleton,
    *,
    found: BoolArray,
    inside: BoolArray,
    in_view: BoolArray,
    confidence: FloatArray,
) -> list[str]:
    """List the landmarks that were not found or not seen.

    A limb whose last landmark is a guess is named as a whole, with the landmarks below its root
    that are guesses. Other landmarks are named if they were not found or lie outside the field of
    view.

    Args:
        skeleton: names the rows.
        found: (N,) landmarks with a position.
        inside: (N,) landmarks inside the box of the volume.
        in_view: (N,) landmarks inside the field of view of the scanner.
        confidence: (N,) probabilities that the landmarks are correct, given a fetus.
    """
    guessed = ~in_view | (confidence < MIN_LANDMARK_CONFIDENCE)
    doubts, told = [], np.zeros(len(skeleton), bool)
    for name, rows in limbs_of_both_sides(skeleton).items():
        below = rows[1:]
        if len(below) and guessed[below[-1]]:
            guesses = below[guessed[below]]
            told[guesses] = True
            names = [skeleton.name_without_side(skeleton.landmarks[row]) for row in guesses]
            leaves = (found & ~in_view)[guesses].any()
            what = "leaves the field of view" if leaves else "was not found"
            doubts.append(f"the {name} {what}: {_as_guesses(names)}")
    for row, name in enumerate(skeleton.landmarks):
        if told[row] or in_view[row]:
            continue
        if not found[row]:
            doubts.append(f"{name} was not found")
        else:
            where = "the field of view" if inside[row] else "the volume"
            doubts.append(f"{name} lies outside {where}")
    return doubts


def _as_guesses(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"{names[0]} is a guess from the rest of the body"
    return f"{', '.join(names[:-1])} and {names[-1]} are guesses from the rest of the body"

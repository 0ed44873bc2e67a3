"""Reasons to doubt single landmarks, in words: limb by limb where a limb is concerned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fetusmap.anatomy import Skeleton, limbs_of_both_sides
from fetusmap.types import BoolArray, FloatArray

MIN_LIMB_PROBABILITY = 0.5
"""A limb whose last landmark is less likely seen and correct than this is called lost."""


def doubts_about_landmarks(
    skeleton: Skeleton,
    *,
    found: BoolArray,
    inside: BoolArray,
    in_view: BoolArray,
    limbs: FloatArray,
) -> list[str]:
    """List the limbs and landmarks that were not found or not seen.

    A limb is named if it is lost, or if its last landmark lies outside the field of view. Its
    landmarks below the root are then guesses. Other landmarks are named if they were not found or
    lie outside the field of view.

    Args:
        skeleton: names the rows.
        found: (N,) landmarks with a position.
        inside: (N,) landmarks inside the box of the volume.
        in_view: (N,) landmarks inside the field of view of the scanner.
        limbs: (L,) probabilities that the last landmark of each limb is seen and correct, in the
            order of `limbs_of_both_sides`.
    """
    doubts, told = [], np.zeros(len(skeleton), bool)
    for (name, rows), probability in zip(limbs_of_both_sides(skeleton).items(), limbs, strict=True):
        below = rows[1:] if len(rows) > 1 else rows
        is_lost = probability < MIN_LIMB_PROBABILITY
        if not is_lost and in_view[below[-1]]:
            continue
        guesses = below if is_lost else below[~in_view[below]]
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

"""The side of segments and joint angles, from the mirror pairs of the skeleton."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fetusmap.anatomy import Side, Skeleton, name_without_side


class SidedName(NamedTuple):
    """Name of a measure.

    Attributes:
        label: name without the side, which the measures of both sides share.
        side: side of the body; "midline" for a measure without a partner on the other side.
    """

    label: str
    side: Side


def sided_segments(skeleton: Skeleton) -> dict[str, SidedName]:
    """Return label and side of each segment by its name."""
    return _sided(skeleton, {s.name: (s.start, s.end) for s in skeleton.segments})


def sided_angles(skeleton: Skeleton) -> dict[str, SidedName]:
    """Return label and side of each joint angle by its name."""
    return _sided(skeleton, {a.name: (*a.first, *a.second) for a in skeleton.angles})


def _sided(skeleton: Skeleton, landmarks_of: Mapping[str, tuple[str, ...]]) -> dict[str, SidedName]:
    """Find the measure between the mirror partners of the landmarks of each measure."""
    mirrored = (skeleton.landmarks[row] for row in skeleton.mirror_index)
    partner = dict(zip(skeleton.landmarks, mirrored, strict=True))
    names = {frozenset(landmarks): name for name, landmarks in landmarks_of.items()}
    sided = {}
    for name, landmarks in landmarks_of.items():
        other = names.get(frozenset(partner[landmark] for landmark in landmarks), name)
        sides = {skeleton.side(landmark) for landmark in landmarks} - {"midline"}
        if other == name or len(sides) != 1:
            sided[name] = SidedName(name, "midline")
        else:
            side = sides.pop()
            left, right = (name, other) if side == "left" else (other, name)
            sided[name] = SidedName(_shared_label(left, right), side)
    return sided


def _shared_label(left: str, right: str) -> str:
    """Return the words that two names share, such as `knee`; both names if they share none."""
    shared = name_without_side(left, right)
    return f"{left} / {right}" if shared == left else shared

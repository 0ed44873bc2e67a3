"""The limbs of a skeleton: chains of lateral landmarks, from the root outwards.

A skeleton file may name its limbs. Limbs that it does not name follow from the segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Pair = tuple[str, str]


@dataclass(frozen=True)
class Limb:
    """A limb of the left side; the one of the right side has the mirror partners.

    Attributes:
        name: without the side, such as "arm".
        landmarks: of the left side, from the root outwards.
    """

    name: str
    landmarks: tuple[str, ...]


def complete_limbs(
    named: Sequence[Limb],
    landmarks: Sequence[str],
    mirror_pairs: Sequence[Pair],
    segments: Sequence[Pair],
) -> tuple[Limb, ...]:
    """Return the named limbs, then those of the mirror pairs that no named limb contains.

    A named limb loses the landmarks that are not the left one of a mirror pair; thus a part of a
    skeleton, with fewer landmarks, keeps the parts of its limbs.

    An unnamed limb is a set of left landmarks that segments connect to each other. Its root is the
    landmark that a segment connects to the midline; without such a landmark it is the first one in
    the skeleton's order. Landmarks follow in the order of their distance from the root, counted in
    segments.

    Args:
        named: limbs of the skeleton file.
        landmarks: all landmarks, in the skeleton's order.
        mirror_pairs: (left, right) landmarks.
        segments: (start, end) landmarks.
    """
    partner = dict(mirror_pairs)
    lateral = {name for pair in mirror_pairs for name in pair}
    neighbours: dict[str, list[str]] = {name: [] for name in landmarks}
    for start, end in segments:
        neighbours[start].append(end)
        neighbours[end].append(start)

    def is_inner(name: str) -> bool:
        return all(other in lateral for other in neighbours[name])

    limbs = [
        Limb(limb.name, left)
        for limb in named
        if (left := tuple(name for name in limb.landmarks if name in partner))
    ]
    taken = {name for limb in limbs for name in limb.landmarks}
    in_order = [name for name in landmarks if name in partner]
    for root in sorted(in_order, key=is_inner):  # stable: roots at the midline come first
        if root in taken:
            continue
        chain = [root]
        for name in chain:  # grows while it is walked
            chain += [
                n for n in neighbours[name] if n in partner and n not in chain and n not in taken
            ]
        taken.update(chain)
        ends = [name_without_side(n, partner[n]) for n in dict.fromkeys((chain[0], chain[-1]))]
        limbs.append(Limb(" to ".join(ends), tuple(chain)))
    return tuple(limbs)


def name_without_side(left: str, right: str) -> str:
    """Return the words that a left landmark and its partner share: "knee" of "left_knee"."""
    others = right.split("_")
    shared = [word for word in left.split("_") if word and word in others]
    return " ".join(shared) or left

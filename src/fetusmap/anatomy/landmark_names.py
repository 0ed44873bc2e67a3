"""Landmark names as people type them: capitals, blanks, hyphens and underscores do not matter."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fetusmap.anatomy.skeleton import Skeleton

SEPARATORS = re.compile(r"[\s_.\-]+")


def plain_name(name: str) -> str:
    """Return a name without capitals, blanks, underscores, dots and hyphens."""
    return SEPARATORS.sub("", name.strip()).casefold()


def matching_landmark(name: str, skeleton: Skeleton) -> str | None:
    """Return the landmark that a typed name means: itself, or the only one that is spelt like it.

    None if there is no such landmark, or if several are spelt alike.
    """
    if name in skeleton.landmarks:
        return name
    alike = [known for known in skeleton.landmarks if plain_name(known) == plain_name(name)]
    return alike[0] if len(alike) == 1 else None


def count_landmarks(names: Iterable[str], skeleton: Skeleton) -> int:
    """Return how many landmarks of a skeleton are among typed names."""
    plain = {plain_name(name) for name in names}
    return sum(plain_name(known) in plain for known in skeleton.landmarks)

"""Variants of held-out cases on which a calibration meets failures: corrupted, partial, empty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from fetusmap.anatomy import Skeleton, limbs_of_both_sides
from fetusmap.atlas import body_sizes_mm
from fetusmap.geometry import random_rotations
from fetusmap.train.cases import TrainingCase
from fetusmap.train.corruptions import CORRUPTIONS
from fetusmap.train.partial_views import cut_off, erase_around
from fetusmap.types import BoolArray, IntArray, Points3
from fetusmap.volume import Volume

CALIBRATED_CORRUPTIONS = (
    "crop",
    "fan mask",
    "white noise",
    "threshold",
    "gain ramp",
    "Gaussian smoothing",
    "missing slices",
)
"""The corruptions on which models are calibrated. The others test the calibration on kinds that it
has not met."""

HIDDEN_PART = (0.05, 0.7)
"""Range of the part of the landmarks that a cut hides."""

LIMB_RADIUS = 0.13
"""Body sizes. A lost limb is overwritten within this distance of its bones."""

BODY_RADIUS = 0.45
"""Body sizes. A whole fetus is overwritten within this distance of its bones."""

BLOCKS = 3
"""A volume without a fetus is made by shuffling this many blocks along each axis."""


@dataclass(frozen=True, eq=False)
class Variant:
    """A changed case.

    Attributes:
        kind: "corrupted" or "partial".
        case: the case; hidden landmarks are not visible in it.
        hidden: (N,) landmarks that the change hides.
    """

    kind: str
    case: TrainingCase
    hidden: BoolArray


def variants_of(
    case: TrainingCase, skeleton: Skeleton, number: int, rng: np.random.Generator
) -> Iterator[Variant]:
    """Make the variants of a held-out case.

    Every case is cut off by a plane. In addition, every second case is corrupted in one way, and
    each of the others loses a limb if its positions are known.

    Args:
        case: the case.
        skeleton: names the landmarks.
        number: number of the case; it determines the kind of corruption.
        rng: draws the rest.
    """
    yield without_what_lies_beyond_a_plane(case, rng)
    if number % 2 == 0:
        kind = CALIBRATED_CORRUPTIONS[number // 2 % len(CALIBRATED_CORRUPTIONS)]
        yield corrupted(case, kind, rng)
    elif _known_limbs(case, skeleton):
        yield without_limb(case, skeleton, rng)


def corrupted(case: TrainingCase, kind: str, rng: np.random.Generator) -> Variant:
    """Corrupt a case in one of the ways of `CORRUPTIONS`."""
    made = CORRUPTIONS[kind](Volume(case.array, case.grid), rng)
    in_view = np.asarray(made.grid.contains(case.positions_mm))
    changed = replace(case, array=np.asarray(made.array, np.uint8), grid=made.grid)
    return _variant("corrupted", changed, in_view)


def without_what_lies_beyond_a_plane(case: TrainingCase, rng: np.random.Generator) -> Variant:
    """Cut off a case at a plane of any direction that hides 5 to 70 % of the landmarks."""
    normal = random_rotations(rng, 1)[0][:, 0]
    heights = case.positions_mm[np.isfinite(case.positions_mm).all(axis=1)] @ normal
    limit = float(np.quantile(heights, 1 - rng.uniform(*HIDDEN_PART))) if len(heights) else 0.0
    volume = Volume(case.array, case.grid)
    made, in_view = cut_off(volume, case.positions_mm, limit * normal, normal)
    return _variant("partial", replace(case, array=np.asarray(made.array)), in_view)


def without_limb(case: TrainingCase, skeleton: Skeleton, rng: np.random.Generator) -> Variant:
    """Erase one limb from the middle of its first bone on, or a limb of one landmark as a whole."""
    limbs = _known_limbs(case, skeleton)
    root, *below = limbs[int(rng.integers(len(limbs)))]
    points = case.positions_mm
    lost = below or [root]
    path = np.concatenate([[(points[root] + points[lost[0]]) / 2], points[lost]])
    bones = np.stack([path[:-1], path[1:]], axis=1)
    changed = _erased(case, bones, LIMB_RADIUS, skeleton, rng)
    return _variant("partial", changed, ~np.isin(np.arange(len(points)), lost))


def without_fetus(case: TrainingCase, rng: np.random.Generator) -> TrainingCase:
    """Shuffle the blocks of a case: it has the same textures and no body."""
    sizes = [n // BLOCKS for n in case.array.shape]
    shuffled = case.array.copy()
    corners = [(i, j, k) for i in range(BLOCKS) for j in range(BLOCKS) for k in range(BLOCKS)]
    for target, source in zip(corners, rng.permutation(corners), strict=True):
        to, where = (
            tuple(slice(c * n, (c + 1) * n) for c, n in zip(corner, sizes, strict=True))
            for corner in (target, source)
        )
        shuffled[to] = case.array[where]
    return replace(case, array=shuffled, visible=np.zeros_like(case.visible))


def without_body(case: TrainingCase, skeleton: Skeleton, rng: np.random.Generator) -> TrainingCase:
    """Erase the whole fetus and what lies close to it."""
    bones = case.positions_mm[skeleton.segment_index]
    erased = _erased(case, bones, BODY_RADIUS, skeleton, rng)
    return replace(erased, visible=np.zeros_like(case.visible))


def shows_whole_body(case: TrainingCase, skeleton: Skeleton) -> bool:
    """Return whether the positions of all landmarks are known, so that the body can be erased."""
    return bool(np.isfinite(case.positions_mm).all()) and _size_mm(case, skeleton) > 0


def _known_limbs(case: TrainingCase, skeleton: Skeleton) -> list[IntArray]:
    """Return the limbs whose positions are known; none if the size of the body is not known."""
    if not _size_mm(case, skeleton) > 0:
        return []
    known = np.asarray(np.isfinite(case.positions_mm).all(axis=1))
    return [rows for rows in limbs_of_both_sides(skeleton).values() if known[rows].all()]


def _size_mm(case: TrainingCase, skeleton: Skeleton) -> float:
    return float(body_sizes_mm(skeleton, case.positions_mm))


def _erased(
    case: TrainingCase,
    bones_mm: Points3,
    radius: float,
    skeleton: Skeleton,
    rng: np.random.Generator,
) -> TrainingCase:
    radius_mm = radius * _size_mm(case, skeleton)
    volume = erase_around(Volume(case.array, case.grid), bones_mm, radius_mm, rng)
    return replace(case, array=np.asarray(volume.array, np.uint8))


def _variant(kind: str, case: TrainingCase, in_view: BoolArray) -> Variant:
    return Variant(kind, replace(case, visible=case.visible & in_view), case.visible & ~in_view)

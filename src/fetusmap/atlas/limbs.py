"""Which limbs are exchanged between left and right: a pose library knows, a network may not.

A limb is exchanged whole, or below its root: an ankle that is found on the other leg brings its
knee along. With every pair free to exchange, crossed ankles look as likely as straight ones: of
249 real poses with an exchanged limb 67 % were repaired so, and all of them with whole limbs.
"""

from __future__ import annotations

from itertools import chain, product

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.atlas.library import PoseLibrary
from fetusmap.atlas.sides import fit_orders
from fetusmap.types import FloatArray, IntArray, Points3

CLEARLY = 0.005
"""Trunk lengths by which an exchange must fit better."""


def find_exchange(positions_mm: Points3, weights: FloatArray, library: PoseLibrary) -> IntArray:
    """The exchange of limbs that makes a pose most like the poses of a library.

    Args:
        positions_mm: (N, 3) landmarks; NaN for one that was not found.
        weights: (N,) how much each counts.
        library: of the skeleton.

    Returns:
        (N,) row of the landmark that each one should have been called.

    Raises:
        DegenerateAlignment: fewer than three landmarks, or all of them on a line.
    """
    orders = limb_orders(library.skeleton)
    scores, _ = fit_orders(positions_mm, weights, library, orders)
    best = int(np.argmin(scores))
    return np.asarray(orders[best if scores[best] < scores[0] - CLEARLY else 0])


def limb_orders(skeleton: Skeleton) -> IntArray:
    """(H, N) ways of exchanging whole limbs, or limbs below their roots; the first is none."""
    orders = []
    for chosen in product(*map(_parts, limbs_of(skeleton))):
        order = np.arange(len(skeleton))
        for row in chain.from_iterable(chosen):
            partner = skeleton.mirror_index[row]
            order[[row, partner]] = partner, row
        orders.append(order)
    return np.array(orders)


def limbs_of(skeleton: Skeleton) -> list[list[int]]:
    """Rows of the limbs of the left side, each from its root outwards.

    A limb is what hangs together by segments without the midline; its root is the landmark that a
    segment joins to the midline, or the first one.
    """
    lateral = skeleton.mirror_index != np.arange(len(skeleton))
    neighbours: dict[int, list[int]] = {row: [] for row in range(len(skeleton))}
    for start, end in skeleton.segment_index:
        neighbours[start].append(int(end))
        neighbours[end].append(int(start))
    limbs: list[list[int]] = []
    left = [skeleton.index(name) for name, _ in skeleton.mirror_pairs]
    roots = sorted(left, key=lambda row: (all(lateral[n] for n in neighbours[row]), row))
    seen: set[int] = set()
    for root in roots:
        if root in seen:
            continue
        limb = [root]
        for row in limb:  # grows while it is walked
            limb += [n for n in neighbours[row] if n in left and n not in limb and n not in seen]
        seen.update(limb)
        limbs.append(limb)
    return limbs


def _parts(limb: list[int]) -> list[list[int]]:
    return [[], limb, limb[1:]] if len(limb) > 1 else [[], limb]

"""Find the limbs whose left and right were exchanged, by comparison with a pose library.

A limb is exchanged as a whole or below its root, so an ankle is never exchanged without its knee.
If every pair could be exchanged by itself, crossed ankles would be as likely as straight ones: in
249 real poses with an exchanged limb, this repaired 67 %, and the exchange of limbs repaired all.
"""

from __future__ import annotations

from itertools import chain, product

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.atlas.fit import MANY_ATLASES, approximate_residuals, fit_orders
from fetusmap.atlas.library import PoseLibrary
from fetusmap.types import FloatArray, IntArray, Points3

MIN_IMPROVEMENT = 0.005
"""An exchange is made only if it lowers the residual by more than this, in body sizes."""

MAX_EXCHANGES = 256
"""Largest number of combinations of exchanged limbs that are scored at once; 5 limbs have 243."""


MAX_CANDIDATES = 4
"""Number of exchanges that are compared with all atlases: those that fewer atlases fit best."""

MAX_CHANGE_WITH_ALL = 0.01
"""An exchange that some atlases fit worse by more than this, in body sizes, is not compared with
all of them."""


def find_exchange(positions_mm: Points3, weights: FloatArray, library: PoseLibrary) -> IntArray:
    """Find the exchange of limbs that makes a pose most similar to the poses of a library.

    All combinations are compared where there are few limbs. With many limbs, the best exchange of
    one limb is applied again and again, as long as it improves the fit clearly.

    Args:
        positions_mm: (N, 3) landmarks; NaN for a landmark that was not found.
        weights: (N,) weights of the landmarks.
        library: pose library of the same skeleton.

    Returns:
        (N,) for each position, the row of the landmark that it should be taken for; the identity if
        no exchange lowers the residual by more than `MIN_IMPROVEMENT`.

    Raises:
        DegenerateAlignment: fewer than three landmarks were found, or all of them lie on a line.
    """
    candidates = exchange_candidates(library.skeleton)
    order = candidates[0]
    while True:
        better = _best_order(positions_mm, weights, library, order[candidates])
        if np.array_equal(better, order) or _are_all_combinations(library.skeleton):
            return better
        order = better


def exchange_candidates(skeleton: Skeleton) -> IntArray:
    """Return the (H, N) exchanges of limbs to compare; the first one exchanges nothing.

    These are all combinations of limbs if there are at most `MAX_EXCHANGES`, and otherwise the
    exchanges of a single limb. Each is its own inverse.
    """
    if _are_all_combinations(skeleton):
        return limb_orders(skeleton)
    parts = [part for limb in skeleton.limb_index for part in _parts(limb)[1:]]
    return _orders_of(skeleton, [[], *([part] for part in parts)])


def _are_all_combinations(skeleton: Skeleton) -> bool:
    combinations: int = 3 ** min(len(skeleton.limbs), MAX_EXCHANGES)
    return combinations <= MAX_EXCHANGES


def limb_orders(skeleton: Skeleton) -> IntArray:
    """Return the (H, N) orders of all combinations of exchanged limbs; the first exchanges nothing.

    Each limb is exchanged as a whole, below its root, or not at all.

    There are 3^L of them for L limbs; see `exchange_candidates` for skeletons with many limbs.
    """
    return _orders_of(skeleton, [list(c) for c in product(*map(_parts, skeleton.limb_index))])


def _best_order(
    positions_mm: Points3, weights: FloatArray, library: PoseLibrary, orders: IntArray
) -> IntArray:
    """Return the (N,) order that fits best; the first one unless another fits clearly better."""
    few = library.thinned(MANY_ATLASES)
    scores = approximate_residuals(positions_mm, weights, few, orders)
    nearly_best = np.argsort(scores)[:MAX_CANDIDATES]
    nearly_best = nearly_best[scores[nearly_best] < scores[0] + MAX_CHANGE_WITH_ALL]
    candidates = orders[[0, *nearly_best[nearly_best > 0]]]
    if len(candidates) == 1:
        return np.asarray(orders[0])
    scores, _ = fit_orders(positions_mm, weights, library, candidates)
    best = int(np.argmin(scores))
    return np.asarray(candidates[best if scores[best] < scores[0] - MIN_IMPROVEMENT else 0])


def _orders_of(skeleton: Skeleton, exchanges: list[list[IntArray]]) -> IntArray:
    """Return the (H, N) orders in which the landmarks of the given parts have changed sides."""
    orders = np.tile(np.arange(len(skeleton)), (len(exchanges), 1))
    for order, parts in zip(orders, exchanges, strict=True):
        for row in chain.from_iterable(parts):
            partner = skeleton.mirror_index[row]
            order[[row, partner]] = partner, row
    return orders


def _parts(limb: IntArray) -> list[IntArray]:
    """Return the parts of a limb that may be exchanged: nothing, the whole, all below its root."""
    return [limb[:0], limb, limb[1:]] if len(limb) > 1 else [limb[:0], limb]

"""Find the support set: the atlases of a pose library that fit best, aligned to the fetus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fetusmap.atlas.body_size import mean_where_present
from fetusmap.atlas.library import PoseLibrary
from fetusmap.atlas.shortlist import shortlist
from fetusmap.errors import BadInput, DegenerateAlignment
from fetusmap.geometry import Alignment, align_rigid, align_similarity
from fetusmap.types import FloatArray, IntArray, Points3

if TYPE_CHECKING:  # heatmaps need torch, a pose library does not
    from fetusmap.heatmap import LandmarkMaps

MAP_ATLASES = 6000
"""Number of atlases that are compared with heatmaps: those that fit a hypothesis best. On 20 cases
of the paper's network, 2,000 of 20,000 atlases cost 0.07 mm, and 5,000 cost 0.005 mm."""

Hypothesis = tuple[Points3, FloatArray]
"""(N, 3) positions and their (N,) weights: one hypothesis of the pose, to align atlases with."""


@dataclass(frozen=True, eq=False)
class SupportSet:
    """The K atlases that fit best, the best one first.

    Attributes:
        atlases: (K,) their rows in the library that was searched. A refinement searches the usable
            atlases of the library that it was given.
        positions_mm: (K, N, 3) the atlases, aligned to the fetus; NaN where an atlas lacks a
            landmark.
        scores: (K,) how well each atlas fits, larger is better: the negative registration error in
            mm, or the mean logarithm of the heatmaps.
    """

    atlases: IntArray
    positions_mm: Points3
    scores: FloatArray

    @property
    def mean_mm(self) -> Points3:
        """(N, 3) mean of the atlases that have the landmark; NaN where none has."""
        return mean_where_present(self.positions_mm, axis=0)


def find_support(
    library: PoseLibrary, positions_mm: Points3, count: int, weights: FloatArray | None = None
) -> SupportSet:
    """Find the atlases with the lowest registration error after a rigid alignment.

    The registration error of an atlas is the mean distance over all landmarks that both poses have
    (eq. 1 of Yang et al. 2019). It includes the landmarks that take no part in the alignment.

    Args:
        library: pose library of the pose's skeleton.
        positions_mm: (N, 3) the pose; NaN for a landmark that was not found.
        count: K.
        weights: (N,) weights of the landmarks in the alignment; 0 leaves a landmark out. None
            gives all landmarks the same weight.

    Raises:
        BadInput: the library has fewer than K atlases.
        DegenerateAlignment: fewer than three landmarks can be aligned, or all lie on a line.
    """
    check_enough(len(library), count)
    aligned = align_rigid(library.positions_mm, positions_mm, weights)
    known = np.isfinite(aligned.residuals_mm)
    total = np.where(known, aligned.residuals_mm, 0.0).sum(axis=1)
    errors = np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.inf)
    best = _lowest(errors, count)
    return SupportSet(best, _aligned_atlases(aligned, library, best), -errors[best])


def find_support_in_maps(
    library: PoseLibrary, maps: LandmarkMaps, hypotheses: Sequence[Hypothesis], count: int
) -> SupportSet:
    """Find the atlases on whose landmarks the heatmaps are highest.

    Every atlas is aligned to every hypothesis by a similarity transform, which brings it near the
    fetus. The atlases that fit the hypothesis best are then scored by the heatmaps at all of their
    landmarks, so that a second peak, or a weak one in the right place, contributes to the choice.

    Args:
        library: pose library of the maps' skeleton.
        maps: heatmaps of the fetus.
        hypotheses: poses to align the atlases with; those that determine no alignment are skipped.
        count: K.

    Raises:
        BadInput: the library has fewer than K atlases.
        DegenerateAlignment: no hypothesis determines an alignment.
    """
    check_enough(len(library), count)
    found: list[SupportSet] = []
    degenerate: DegenerateAlignment | None = None
    for positions, weights in hypotheses:
        try:
            (rows,) = shortlist(
                library.compact, positions[None], weights[None], max(count, MAP_ATLASES)
            )
            candidates = library.positions_mm[rows]
            aligned = align_similarity(candidates, positions, weights)
        except DegenerateAlignment as error:
            degenerate = error
            continue
        placed = aligned.apply(candidates)
        likelihood = maps.mean_log_at(placed)
        best = _lowest(-likelihood, count)
        found.append(SupportSet(rows[best], placed[best], likelihood[best]))
    if degenerate is not None and not found:
        raise degenerate
    scores = np.concatenate([support.scores for support in found])
    positions_mm = np.concatenate([support.positions_mm for support in found])
    atlases = np.concatenate([support.atlases for support in found])
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(atlases[order], return_index=True)  # each atlas once, where it fits best
    best = order[np.sort(first)[:count]]
    return SupportSet(atlases[best], positions_mm[best], scores[best])


def usable_atlases(library: PoseLibrary, count: int) -> PoseLibrary:
    """Select the atlases that have every landmark and whose landmarks do not lie on one line.

    An atlas that lacks landmarks is scored over fewer of them and would fit too well: when 30 of
    300 atlases were reduced to four midline landmarks, these 30 made up 97 % of the support sets.
    An atlas on one line has no unique rotation, and the alignment of all atlases would fail.

    Args:
        library: the atlases.
        count: smallest number of usable atlases.

    Raises:
        BadInput: fewer atlases are usable.
    """
    usable = library.is_alignable
    check_enough(int(usable.sum()), count, of=len(library))
    return library if usable.all() else library.select(np.flatnonzero(usable))


def check_enough(found: int, count: int, *, of: int | None = None) -> None:
    """Check that a library can fill a support set.

    Args:
        found: number of usable atlases.
        count: smallest number that is needed.
        of: number of atlases in the whole library.

    Raises:
        BadInput: fewer atlases are usable than needed.
    """
    if found < count:
        whole = f" with all landmarks, of {of}" if of not in (None, found) else ""
        raise BadInput(
            "pose library",
            expected=f"at least {count} atlases, as many as the support set has",
            found=f"{found}{whole}",
            remedy="add poses to the library, or choose a smaller support set",
        )


def _lowest(values: FloatArray, count: int) -> IntArray:
    """Return the (count,) rows of the lowest values, in order; of equal values the first row."""
    best = np.argpartition(values, count - 1)[:count]
    return np.asarray(best[np.lexsort((best, values[best]))])


def _aligned_atlases(aligned: Alignment, library: PoseLibrary, rows: IntArray) -> Points3:
    """Return (K, N, 3) the atlases of some rows, mapped by their alignments."""
    chosen = replace(
        aligned,
        rotation=aligned.rotation[rows],
        translation=aligned.translation[rows],
        scale=aligned.scale[rows],
    )
    return chosen.apply(library.positions_mm[rows].astype(np.float64))

"""The support set: the atlases of a pose library that fit best, brought onto the fetus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fetusmap.atlas.library import PoseLibrary
from fetusmap.errors import BadInput, DegenerateAlignment
from fetusmap.geometry import Alignment, align_rigid, align_similarity
from fetusmap.types import BoolArray, FloatArray, IntArray, Points3

if TYPE_CHECKING:
    from fetusmap.heatmap import LandmarkMaps

FLATTEST = 1e-3
"""Of an atlas: distance of a landmark from the line through two others, by their distance."""

Hypothesis = tuple[Points3, FloatArray]
"""(N, 3) positions and (N,) their weights: one idea of the pose, to align atlases with."""


@dataclass(frozen=True, eq=False)
class SupportSet:
    """The K atlases that fit best, the best one first.

    Attributes:
        atlases: (K,) their rows in the library that was searched; a refinement searches the
            usable atlases of the one that it was given.
        positions_mm: (K, N, 3) aligned to the fetus; NaN where an atlas lacks a landmark.
        scores: (K,) how well each fits, larger is better: minus the registration error in mm, or
            the mean logarithm of the heatmaps.
    """

    atlases: IntArray
    positions_mm: Points3
    scores: FloatArray

    @property
    def mean_mm(self) -> Points3:
        """(N, 3) mean of the atlases that have the landmark; NaN where none has."""
        present = np.asarray(np.isfinite(self.positions_mm).all(axis=2))
        total = np.where(present[..., None], self.positions_mm, 0.0).sum(axis=0)
        count = present.sum(axis=0)[:, None]
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def find_support(
    library: PoseLibrary, positions_mm: Points3, count: int, weights: FloatArray | None = None
) -> SupportSet:
    """Align every atlas rigidly to a pose and keep those with the lowest registration error.

    The error of an atlas is the mean distance of all landmarks that both have (eq. 1 of Yang et
    al. 2019), also of those that take no part in the alignment.

    Args:
        library: of the pose's skeleton.
        positions_mm: (N, 3) the pose; NaN for a landmark that was not found.
        count: K.
        weights: (N,) of the landmarks in the alignment; 0 leaves one out. None weighs all alike.

    Raises:
        BadInput: fewer than K atlases in the library.
        DegenerateAlignment: fewer than three landmarks to align, or all of them on a line.
    """
    check_enough(len(library), count)
    aligned = align_rigid(library.positions_mm, positions_mm, weights)
    known = np.isfinite(aligned.residuals_mm)
    total = np.where(known, aligned.residuals_mm, 0.0).sum(axis=1)
    errors = np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.inf)
    best = _lowest(errors, count)
    return SupportSet(best, _carried(aligned, library, best), -errors[best])


def find_support_in_maps(
    library: PoseLibrary, maps: LandmarkMaps, hypotheses: Sequence[Hypothesis], count: int
) -> SupportSet:
    """Align every atlas to each hypothesis, and keep the atlases that the heatmaps like best.

    Peaks only bring the atlases near. An atlas counts by the heights that the heatmaps have at all
    of its landmarks, so that a second peak, or a faint one in the right place, has its say.

    Args:
        library: of the maps' skeleton.
        maps: of the fetus.
        hypotheses: poses to align the atlases with, by similarity transforms; those that determine
            none are passed over.
        count: K.

    Raises:
        BadInput: fewer than K atlases in the library.
        DegenerateAlignment: no hypothesis determines an alignment.
    """
    check_enough(len(library), count)
    found: list[SupportSet] = []
    refused: DegenerateAlignment | None = None
    for positions, weights in hypotheses:
        try:
            aligned = align_similarity(library.positions_mm, positions, weights)
        except DegenerateAlignment as error:
            refused = error
            continue
        likely = maps.mean_log_at(aligned.apply(library.positions_mm))
        best = _lowest(-likely, count)
        found.append(SupportSet(best, _carried(aligned, library, best), likely[best]))
    if refused is not None and not found:
        raise refused
    scores = np.concatenate([support.scores for support in found])
    positions_mm = np.concatenate([support.positions_mm for support in found])
    atlases = np.concatenate([support.atlases for support in found])
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(atlases[order], return_index=True)  # each atlas once, where it fits best
    best = order[np.sort(first)[:count]]
    return SupportSet(atlases[best], positions_mm[best], scores[best])


def usable_atlases(library: PoseLibrary, count: int) -> PoseLibrary:
    """The atlases that have every landmark, not all on a line.

    An atlas that lacks landmarks is judged by fewer: with 30 of 300 atlases cut down to four
    midline landmarks these made up 97 % of the support sets. One that determines no rotation would
    stop the alignment of all others.

    Args:
        library: the atlases.
        count: how many there must be.

    Raises:
        BadInput: there are fewer.
    """
    skeleton, points = library.skeleton, library.positions_mm
    usable: BoolArray = _spans_a_plane(points) & np.isfinite(points).all(axis=(1, 2))
    if skeleton.registration_subset:  # the paper aligns by these alone
        usable &= _spans_a_plane(points[:, list(skeleton.indices(skeleton.registration_subset))])
    check_enough(int(usable.sum()), count, of=len(library))
    return library if usable.all() else library.select(np.flatnonzero(usable))


def _spans_a_plane(points: NDArray[np.float32]) -> BoolArray:
    """(A,) whether the points of each atlas lie on no line; anything where some are missing."""
    arms = points[:, 1:] - points[:, :1]
    lengths = np.linalg.norm(arms, axis=2)
    longest = np.argmax(np.nan_to_num(lengths), axis=1)
    first = arms[np.arange(len(arms)), longest][:, None]
    across = np.linalg.norm(np.cross(first, arms), axis=2).max(axis=1)
    return np.asarray(across > FLATTEST * lengths.max(axis=1) ** 2)


def check_enough(found: int, count: int, *, of: int | None = None) -> None:
    """Make sure that a library can fill a support set.

    Args:
        found: how many atlases there are to use.
        count: how many there must be.
        of: how many there are in all.

    Raises:
        BadInput: there are fewer.
    """
    if found < count:
        whole = f" with all landmarks, of {of}" if of not in (None, found) else ""
        raise BadInput(
            "pose library",
            expected=f"at least {count} atlases, as many as the support set has",
            found=f"{found}{whole}",
            remedy="add poses to the library, or take a smaller support set",
        )


def _lowest(values: FloatArray, count: int) -> IntArray:
    """(count,) rows of the lowest values, in order; of equal ones the first."""
    best = np.argpartition(values, count - 1)[:count]
    return np.asarray(best[np.lexsort((best, values[best]))])


def _carried(aligned: Alignment, library: PoseLibrary, rows: IntArray) -> Points3:
    """(K, N, 3) some atlases where their alignments put them."""
    chosen = replace(
        aligned,
        rotation=aligned.rotation[rows],
        translation=aligned.translation[rows],
        scale=aligned.scale[rows],
    )
    return chosen.apply(library.positions_mm[rows].astype(np.float64))

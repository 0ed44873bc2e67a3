"""Refine a detection without training, by combining its heatmaps with a large pose library."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import torch

from fetusmap.anatomy import Skeleton, channel_per_pair
from fetusmap.atlas import (
    Hypothesis,
    PoseLibrary,
    find_exchange,
    find_support_in_maps,
    name_peaks,
    usable_atlases,
)
from fetusmap.detect import Detection
from fetusmap.errors import DegenerateAlignment
from fetusmap.heatmap import (
    MIN_DIVISOR,
    REACH,
    Heatmaps,
    LandmarkMaps,
    Place,
    find_peaks,
    find_places,
)
from fetusmap.refine.changes import changes_between
from fetusmap.refine.refinement import FITS_WORSE, TOO_FEW, Iteration, Refinement, fits_worse
from fetusmap.types import BoolArray, FloatArray, IntArray, Points3

MIN_WEIGHT = 0.01
"""Added to every weight in an alignment, so that uncertain landmarks still take part."""


@dataclass(frozen=True)
class FastRefinement:
    """Settings of the fast refinement; each number was chosen on validation cases.

    Attributes:
        limbs: first exchange limbs between left and right if the library then fits better.
        hypotheses: number of namings of the peaks to which the atlases are aligned.
        support: K, number of atlases in a support set.
        rounds: number of repetitions: search for atlases, then search for landmarks.
        own: weight of a landmark's own heatmap; the rest, 1 - own, is that of its partner.
        blur_mm: standard deviation that is added to the spread of the support set.
        weight: weight of the support set relative to the heatmaps.
        min_fixed_mass: a landmark with a peak mass of at least this stays where it is.
        max_likely_residual: a pose with a residual below this, in body sizes, counts as likely.
        min_outlier_distance: a landmark of a likely pose moves only if it lies at least this far
            from the mean of the best atlases, in body sizes.
    """

    limbs: bool = True
    hypotheses: int = 4
    support: int = 20
    rounds: int = 3
    own: float = 0.9
    blur_mm: float = 3.0
    weight: float = 0.3
    min_fixed_mass: float = 0.5
    max_likely_residual: float = 0.2
    min_outlier_distance: float = 0.3


def refine_fast(
    detection: Detection,
    peak_height: float,
    model_library: PoseLibrary,
    atlases: PoseLibrary,
    settings: FastRefinement = FastRefinement(),
) -> Refinement:
    """Refine a detection with a pose library.

    1. The library decides which limbs are exchanged between left and right, and their heatmaps are
       exchanged with them.
    2. The peaks of the heatmaps, with their sides named in several ways, are used to align all
       atlases. The atlases on whose landmarks the heatmaps are highest form the support set.
    3. The spread of the support set, multiplied by the heatmaps, gives the place of each landmark.
       The atlases are aligned to these places, and steps 2 and 3 are repeated.

    Steps 2 and 3 are left out if no landmark may move: then there are no iterations.

    A pose never becomes less likely: if the result fits the model's own library worse, the refined
    pose is rejected. That library also names the peaks and decides whether a pose is likely. A
    landmark moves only if its heatmap is uncertain, and in a likely pose only if it is an outlier.

    Args:
        detection: the detection to refine.
        peak_height: height of a heatmap at a certain landmark, see `Detector.peak_height`.
        model_library: the model's own pose library.
        atlases: the pose library to refine with; a larger one is better.
        settings: numbers of the refinement.

    Raises:
        BadInput: the library has fewer usable atlases than the support set.
    """
    atlases = usable_atlases(atlases, settings.support)
    before = detection
    if settings.limbs:
        detection = _with_limbs_exchanged(detection, model_library, atlases)
    is_fixed = _is_fixed(detection, settings)
    iterations: list[Iteration] = []
    refined = detection
    if not is_fixed.all():
        maps = LandmarkMaps.of_both_sides(
            detection.heatmaps, model_library.skeleton, peak_height, settings.own
        )
        hypotheses = _hypotheses(detection, peak_height, model_library, settings.hypotheses)
        iterations, moved = _move_landmarks(
            detection, is_fixed, maps, hypotheses, atlases, settings
        )
        if not iterations:
            return Refinement(before, before, (), rejected_because=TOO_FEW)
        refined = detection.with_landmarks(*moved, model_library)
    if refined is not before and fits_worse(model_library, refined, before):
        return Refinement(before, before, tuple(iterations), rejected_because=FITS_WORSE)
    changes = changes_between(model_library.skeleton, before.positions_mm, refined.positions_mm)
    return Refinement(refined, before, tuple(iterations), changes)


def _move_landmarks(
    detection: Detection,
    is_fixed: BoolArray,
    maps: LandmarkMaps,
    hypotheses: list[Hypothesis],
    atlases: PoseLibrary,
    settings: FastRefinement,
) -> tuple[list[Iteration], tuple[Points3, FloatArray]]:
    """Search for atlases and for the places of the landmarks, several times.

    Returns:
        The iterations, none if an alignment is impossible, and (N, 3) positions and (N,) masses
        after the last one.
    """
    skeleton = atlases.skeleton
    iterations: list[Iteration] = []
    moved = (detection.positions_mm, detection.masses)
    for number in range(settings.rounds):
        try:
            support = find_support_in_maps(atlases, maps, hypotheses, settings.support)
        except DegenerateAlignment:  # too few landmarks for an alignment
            break
        # The places of fixed landmarks only matter for the alignment of the next round.
        wanted = ~is_fixed if number == settings.rounds - 1 else None
        places = find_places(
            maps, skeleton, support.positions_mm, settings.blur_mm, settings.weight, wanted
        )
        moved = _moved_to(places, is_fixed, detection, skeleton)
        weights = [0.0 if place is None else np.sqrt(place.height) + MIN_WEIGHT for place in places]
        hypotheses = [(moved[0], np.array(weights))]
        iterations.append(Iteration(moved[0], detection.heatmaps, support, np.nan))
    return iterations, moved


def _with_limbs_exchanged(
    detection: Detection, model_library: PoseLibrary, atlases: PoseLibrary
) -> Detection:
    """Return the detection after the library has exchanged limbs, together with their heatmaps."""
    positions = detection.positions_mm
    try:
        order = find_exchange(positions, detection.masses + MIN_WEIGHT, atlases)
    except DegenerateAlignment:
        return detection
    if np.array_equal(order, np.arange(len(order))):
        return detection
    heatmaps = Heatmaps(detection.heatmaps.array[order.tolist()], detection.heatmaps.grid)
    renamed = replace(detection, heatmaps=heatmaps)
    return renamed.with_landmarks(positions[order], detection.masses[order], model_library)


def _hypotheses(
    detection: Detection, peak_height: float, library: PoseLibrary, count: int
) -> list[Hypothesis]:
    """Return hypotheses of the pose: the detection, and several namings of all peaks."""
    found = np.isfinite(detection.positions_mm[:, 0])
    weights = np.where(found, detection.masses + MIN_WEIGHT, 0.0)
    hypotheses: list[Hypothesis] = [(detection.positions_mm, weights)]
    if count == 0:
        return hypotheses
    channels = channel_per_pair(library.skeleton)
    maps = detection.heatmaps.array
    both = torch.stack([maps[list(rows)].amax(dim=0) for rows in channels.rows])
    peaks = find_peaks(Heatmaps(both, detection.heatmaps.grid), count=2)
    strengths = np.sqrt(peaks.heights / peak_height) + MIN_WEIGHT
    with suppress(DegenerateAlignment):
        named = name_peaks(peaks, strengths, channels, library)[:count]
        hypotheses += [(fit.positions_mm, fit.weights) for fit in named]
    return hypotheses


def _is_fixed(detection: Detection, settings: FastRefinement) -> BoolArray:
    """Return (N,) whether a landmark stays where it is.

    This holds for certain landmarks, and for the inliers of a likely pose, if they were found.
    The atlases that fit a likely pose add little to it, so only its outliers may move.
    """
    is_found = np.isfinite(detection.positions_mm[:, 0])
    is_certain = detection.masses >= settings.min_fixed_mass
    is_likely = detection.residual < settings.max_likely_residual
    is_inlier = detection.distance_to_atlas_mean < settings.min_outlier_distance
    return np.asarray(is_found & (is_certain | (is_likely & is_inlier)))


def _moved_to(
    places: list[Place | None], is_fixed: BoolArray, detection: Detection, skeleton: Skeleton
) -> tuple[Points3, FloatArray]:
    """Return (N, 3) positions and (N,) masses after the landmarks that may move have moved."""
    maps = detection.heatmaps.array.numpy()
    positions, masses = detection.positions_mm.copy(), detection.masses.copy()
    for row, place in enumerate(places):
        if place is None or is_fixed[row]:
            continue
        partner = skeleton.mirror_index[row]
        positions[row] = place.position_mm
        masses[row] = max(_mass_near(maps[channel], place.index) for channel in (row, partner))
    return positions, masses


def _mass_near(channel: FloatArray, index: IntArray) -> float:
    """Return the share of a heatmap that lies within the reach of a peak around a voxel."""
    near = channel[tuple(slice(max(n - REACH, 0), n + REACH + 1) for n in index)]
    return float(near.sum() / max(channel.sum(), MIN_DIVISOR))

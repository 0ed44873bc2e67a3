"""Refinement without any gradient: heatmaps and a large pose library settle it together."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import torch

from fetusmap.anatomy import channel_per_pair
from fetusmap.atlas import PoseLibrary, fit_library, name_peaks, stray_from
from fetusmap.atlas.limbs import find_exchange
from fetusmap.atlas.retrieval import Hypothesis, find_support_in_maps, usable_atlases
from fetusmap.detect import Detection, Pipeline, frame_of
from fetusmap.errors import DegenerateAlignment
from fetusmap.heatmap import FLOOR, REACH, Heatmaps, find_peaks
from fetusmap.heatmap.landmark_maps import LandmarkMaps, Place, find_places
from fetusmap.refine.changes import changes_between
from fetusmap.refine.refinement import (
    FITS_WORSE,
    TOO_FEW,
    Iteration,
    Refinement,
    fits_worse,
)
from fetusmap.types import FloatArray, IntArray, Points3

FAINT = 0.01
"""What a landmark counts at least in an alignment."""


@dataclass(frozen=True)
class FastRefinement:
    """How the fast refinement is done; each number was chosen on validation cases.

    Attributes:
        limbs: let the library exchange whole limbs first.
        hypotheses: ways of naming the sides of the peaks with which atlases are aligned.
        support: K, atlases in a support set.
        rounds: of looking for atlases and then for landmarks.
        own: share of a landmark's own heatmap; the rest is its partner's of the other side.
        blur_mm: standard deviation that is added to the spread of the support set.
        weight: of the support set against the heatmaps.
        sure: share of a heatmap in its peak from which on the landmark stays there.
        likely: mean distance from the best atlases, trunk lengths, below which a pose is likely.
        astray: distance from them from which on a landmark of a likely pose may move.
    """

    limbs: bool = True
    hypotheses: int = 4
    support: int = 20
    rounds: int = 3
    own: float = 0.9
    blur_mm: float = 3.0
    weight: float = 0.3
    sure: float = 0.5
    likely: float = 0.2
    astray: float = 0.3


def refine_fast(
    pipeline: Pipeline,
    detection: Detection,
    library: PoseLibrary,
    settings: FastRefinement = FastRefinement(),
) -> Refinement:
    """Refine a detection.

    First the library tells which limbs are exchanged between left and right, heatmaps and all.
    Then peaks of the heatmaps, with their sides named in several ways, bring all atlases near;
    those on which the heatmaps are highest make the support set. Its spread, times the heatmaps,
    tells where each landmark is. From there the atlases are aligned once more.

    A pose never becomes less likely: where the result fits the pipeline's own library worse, the
    detection is kept. That library also names the peaks and tells a likely pose. A landmark moves
    only where its heatmap is not sure of it, and in a likely pose only where it lies astray.

    Args:
        pipeline: that found it.
        detection: what it found.
        library: atlases, the more the better.
        settings: the numbers.

    Raises:
        BadInput: fewer usable atlases than the support set has.
    """
    library = usable_atlases(library, settings.support)
    skeleton, height = pipeline.skeleton, pipeline.last.height
    before = detection
    if settings.limbs:
        detection = _with_limbs_right(pipeline, detection, library)
    maps = LandmarkMaps.blind_to_sides(detection.heatmaps, skeleton, height, settings.own)
    hypotheses = _hypotheses(pipeline, detection, settings.hypotheses)
    iterations: list[Iteration] = []
    refined = detection
    for _ in range(settings.rounds):
        try:
            support = find_support_in_maps(library, maps, hypotheses, settings.support)
        except DegenerateAlignment:  # too few landmarks: nothing to go by
            break
        places = find_places(
            maps, skeleton, support.positions_mm, settings.blur_mm, settings.weight
        )
        refined = _placed(pipeline, detection, places, settings)
        weights = [0.0 if place is None else np.sqrt(place.height) + FAINT for place in places]
        hypotheses = [(refined.positions_mm, np.array(weights))]
        iterations.append(Iteration(refined.positions_mm, detection.heatmaps, support, np.nan))
    if not iterations:
        return Refinement(before, before, (), kept=TOO_FEW)
    if fits_worse(pipeline, refined, before):
        return Refinement(before, before, tuple(iterations), kept=FITS_WORSE)
    changes = changes_between(skeleton, before.positions_mm, refined.positions_mm)
    return Refinement(refined, before, tuple(iterations), changes)


def _with_limbs_right(pipeline: Pipeline, detection: Detection, library: PoseLibrary) -> Detection:
    """The detection with limbs under other names, and their heatmaps with them."""
    positions = detection.positions_mm
    try:
        order = find_exchange(positions, detection.masses + FAINT, library)
    except DegenerateAlignment:
        return detection
    if np.array_equal(order, np.arange(len(order))):
        return detection
    maps = Heatmaps(detection.heatmaps.array[order.tolist()], detection.heatmaps.grid)
    renamed = replace(detection, heatmaps=maps)
    return _judged(pipeline, renamed, positions[order], detection.masses[order])


def _hypotheses(pipeline: Pipeline, detection: Detection, count: int) -> list[Hypothesis]:
    """The detection as it is, and the peaks of both sides together under other names."""
    weights = np.where(np.isfinite(detection.positions_mm[:, 0]), detection.masses + FAINT, 0.0)
    hypotheses: list[Hypothesis] = [(detection.positions_mm, weights)]
    channels = channel_per_pair(pipeline.skeleton)
    maps = detection.heatmaps.array
    both = torch.stack([maps[list(rows)].amax(dim=0) for rows in channels.rows])
    peaks = find_peaks(Heatmaps(both, detection.heatmaps.grid), count=2)
    strengths = np.sqrt(peaks.heights / pipeline.last.height) + FAINT
    with suppress(DegenerateAlignment):
        named = name_peaks(peaks, strengths, channels, pipeline.library)[:count]
        hypotheses += [(found.positions_mm, found.weights) for found in named]
    return hypotheses


def _placed(
    pipeline: Pipeline, detection: Detection, places: list[Place | None], settings: FastRefinement
) -> Detection:
    """The detection with its landmarks in their places, those that are sure where they were."""
    maps = detection.heatmaps.array.numpy()
    positions, masses = detection.positions_mm.copy(), detection.masses.copy()
    # Which atlases fit a likely pose is hardly news to it; only what strays from them may move.
    is_likely = detection.residual < settings.likely
    may_stay = is_likely & (detection.stray < settings.astray)
    for row, place in enumerate(places):
        if place is None:
            continue
        if masses[row] >= settings.sure or may_stay[row]:
            continue
        partner = pipeline.skeleton.mirror_index[row]
        positions[row] = place.position_mm
        masses[row] = max(_mass_near(maps[channel], place.index) for channel in (row, partner))
    return _judged(pipeline, detection, positions, masses)


def _judged(
    pipeline: Pipeline, detection: Detection, positions: Points3, masses: FloatArray
) -> Detection:
    """The detection with other positions, and what the pipeline's library thinks of them."""
    fit = fit_library(positions, masses, pipeline.library)
    body = frame_of(pipeline.skeleton, fit.support_mm)
    trunk_mm = body.trunk_mm if body is not None else np.nan
    return replace(
        detection,
        positions_mm=positions,
        masses=masses,
        residual=fit.residual,
        stray=stray_from(positions, fit, trunk_mm),
    )


def _mass_near(channel: FloatArray, index: IntArray) -> float:
    """Share of a map within the reach of a peak around a voxel."""
    near = channel[tuple(slice(max(n - REACH, 0), n + REACH + 1) for n in index)]
    return float(near.sum() / max(channel.sum(), FLOOR))

"""Evidence for and against a detection, collected from both passes and the pose library.

A feature is a number computed from the evidence; larger values speak for a correct detection.
Features have names, so that a model card says which ones its calibration uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fetusmap.anatomy import Skeleton, limbs_of_both_sides
from fetusmap.atlas import PoseLibrary, body_sizes_mm, fit_library
from fetusmap.detect import Detection
from fetusmap.errors import DegenerateAlignment
from fetusmap.types import FloatArray

MAX_MARGIN = 0.1
"""Trunk lengths. A margin beyond this counts as this much: the sides are certain in any case."""

MAX_DISTANCE = 1.0
"""Trunk lengths. A distance from the pose library beyond this counts as this much."""

FIRST_PASS_DISTANCES = (0.05, 1.5)
"""Trunk lengths. Distances from the peaks of the first pass are clipped to this range. The lower
end is about the voxel size of that pass."""

LOW_PERCENTILE = 15
"""Percentile of the landmarks' peak masses that stands for the less certain landmarks."""

PROBABILITY_MARGIN = 1e-3
"""Peak masses are clipped to this distance from 0 and 1, where the logit would be infinite."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a calibration needs to know about a detection.

    Attributes:
        masses: (N,) share of each heatmap that lies in its highest peak.
        distance_to_atlas_mean: (N,) distance of each landmark from the mean of the best atlases,
            trunk lengths; NaN for a landmark that was not found.
        residual: mean distance of the pose from the best atlases, trunk lengths.
        margin: how much farther from the library the pose lies when its sides are exchanged,
            trunk lengths. Near 0 the library cannot tell the sides apart; below 0 the exchanged
            pose is the likelier one.
        first_pass_distance: (N,) distance of each landmark from the nearest peak that the first
            pass found for it or for its mirror partner, trunk lengths; NaN where there is none.
    """

    masses: FloatArray
    distance_to_atlas_mean: FloatArray
    residual: float
    margin: float
    first_pass_distance: FloatArray

    def landmark_table(self, names: Sequence[str]) -> FloatArray:
        """Return the (N, F) features of the landmarks that have the given names."""
        return np.stack([LANDMARK_FEATURES[name](self) for name in names], axis=1)

    def limb_table(self, skeleton: Skeleton) -> FloatArray:
        """Return the (L, 2) features of the limbs, in the order of `limbs_of_both_sides`.

        They are the mean peak mass of the landmarks below the root, and the peak mass of the last
        landmark, both as logits. A limb of a single landmark has the same value twice.
        """
        logits = _logits(self)
        limbs = limbs_of_both_sides(skeleton).values()
        rows = [limb[1:] if len(limb) > 1 else limb for limb in limbs]
        return np.array([(logits[row].mean(), logits[row[-1]]) for row in rows]).reshape(-1, 2)

    def case_table(self, names: Sequence[str]) -> FloatArray:
        """Return the (F,) features of the case that have the given names."""
        return np.array([CASE_FEATURES[name](self) for name in names])


def collect_evidence(detection: Detection, library: PoseLibrary) -> Evidence:
    """Collect the evidence for a detection; the margin compares it with its exchanged sides."""
    order = library.skeleton.mirror_index
    try:
        exchanged = fit_library(detection.positions_mm[order], detection.masses[order], library)
        margin = exchanged.residual - detection.residual
    except DegenerateAlignment:
        margin = 0.0
    return Evidence(
        detection.masses,
        detection.distance_to_atlas_mean,
        detection.residual,
        margin,
        _first_pass_distance(detection, library),
    )


def _first_pass_distance(detection: Detection, library: PoseLibrary) -> FloatArray:
    positions, peaks = detection.positions_mm, detection.first_pass_mm
    if peaks is None:
        return np.full(len(positions), np.nan)
    size_mm = body_sizes_mm(library.skeleton, positions)
    distances = np.linalg.norm(peaks - positions[:, None], axis=-1)  # (N, P)
    nearest = np.fmin.reduce(distances, axis=1)  # NaN only where no peak exists
    # A pose whose sacrum and neck coincide has no size, and agrees with nothing.
    return np.asarray(nearest / size_mm if size_mm > 0 else np.full(len(nearest), np.nan))


def _logits(evidence: Evidence) -> FloatArray:
    clipped = np.clip(evidence.masses, PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _agreement(evidence: Evidence) -> FloatArray:
    """Return the (N,) negative logarithms of the distances from the first pass.

    Where the first pass found no peak it agrees with nothing; without a first pass the value is the
    same for all landmarks, and no calibration uses it.
    """
    low, high = FIRST_PASS_DISTANCES
    return np.asarray(
        -np.log(np.clip(np.nan_to_num(evidence.first_pass_distance, nan=high), low, high))
    )


def _margin(evidence: Evidence) -> float:
    return float(np.clip(evidence.margin, -MAX_MARGIN, MAX_MARGIN))


def _closeness(evidence: Evidence) -> float:
    return -min(evidence.residual, MAX_DISTANCE)


def _for_all(feature: Callable[[Evidence], float]) -> Callable[[Evidence], FloatArray]:
    """Return the feature of a landmark that has the value of a feature of the case."""
    return lambda evidence: np.full(len(evidence.masses), feature(evidence))


LANDMARK_FEATURES: Mapping[str, Callable[[Evidence], FloatArray]] = {
    "peak_mass": _logits,
    "closeness_to_atlas_mean": lambda e: -np.fmin(e.distance_to_atlas_mean, MAX_DISTANCE),
    "sides_margin": _for_all(_margin),
    "closeness_to_library": _for_all(_closeness),
    "agreement_with_first_pass": _agreement,
    "mean_peak_mass": _for_all(lambda e: float(_logits(e).mean())),
    "mean_agreement_with_first_pass": _for_all(lambda e: float(_agreement(e).mean())),
}
"""The features of a landmark by name. Peak masses are logits."""

CASE_FEATURES: Mapping[str, Callable[[Evidence], float]] = {
    "mean_peak_mass": lambda e: float(_logits(e).mean()),
    "low_peak_mass": lambda e: float(np.percentile(_logits(e), LOW_PERCENTILE)),
    "sides_margin": _margin,
    "closeness_to_library": _closeness,
    "mean_agreement_with_first_pass": lambda e: float(_agreement(e).mean()),
}
"""The features of a case by name."""

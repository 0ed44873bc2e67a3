"""Evidence for and against a detection, collected from the heatmaps and the pose library."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fetusmap.atlas import PoseLibrary, fit_library
from fetusmap.detect import Detection
from fetusmap.errors import DegenerateAlignment
from fetusmap.types import FloatArray

FEATURES = 4
"""Number of features of a landmark, and of a case."""

MAX_MARGIN = 0.1
"""Trunk lengths. A margin beyond this counts as this much: the sides are certain in any case."""

MAX_DISTANCE = 1.0
"""Trunk lengths. A distance from the pose library beyond this counts as this much."""

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
    """

    masses: FloatArray
    distance_to_atlas_mean: FloatArray
    residual: float
    margin: float

    @property
    def landmark_features(self) -> FloatArray:
        """(N, 4) features of the landmarks; larger values speak for a correct landmark."""
        count = len(self.masses)
        return np.stack(
            [
                _logit(self.masses),
                -np.fmin(self.distance_to_atlas_mean, MAX_DISTANCE),
                np.full(count, np.clip(self.margin, -MAX_MARGIN, MAX_MARGIN)),
                np.full(count, -min(self.residual, MAX_DISTANCE)),
            ],
            axis=1,
        )

    @property
    def case_features(self) -> FloatArray:
        """(4,) features of the case; larger values speak for a correct pose.

        They are the mean and a low percentile of the logits of the peak masses, the margin of the
        sides, and the closeness to the pose library.
        """
        logits = _logit(self.masses)
        return np.array(
            [
                logits.mean(),
                np.percentile(logits, LOW_PERCENTILE),
                np.clip(self.margin, -MAX_MARGIN, MAX_MARGIN),
                -min(self.residual, MAX_DISTANCE),
            ]
        )


def collect_evidence(detection: Detection, library: PoseLibrary) -> Evidence:
    """Collect the evidence for a detection; the margin compares it with its exchanged sides."""
    order = library.skeleton.mirror_index
    try:
        exchanged = fit_library(detection.positions_mm[order], detection.masses[order], library)
        margin = exchanged.residual - detection.residual
    except DegenerateAlignment:
        margin = 0.0
    return Evidence(detection.masses, detection.distance_to_atlas_mean, detection.residual, margin)


def _logit(masses: FloatArray) -> FloatArray:
    clipped = np.clip(masses, PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
    return np.asarray(np.log(clipped / (1 - clipped)))

"""From a detection to a pose that says how far it may be trusted, and why not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fetusmap.anatomy import Pose, Quality, Skeleton
from fetusmap.atlas import PoseLibrary
from fetusmap.detect.detection import Detection
from fetusmap.geometry import Grid
from fetusmap.quality.confidence import Calibration
from fetusmap.quality.evidence import weigh

NO_FETUS = "no fetus in view"

WORTHLESS = 0.05
LIKELY_FETUS = 0.5
CLOSE_MARGIN = 0.02
CERTAIN_SIDES = 0.9
DOUBTFUL = 0.5
"""Below these a reason is given; WORTHLESS is of the quality, CLOSE_MARGIN in trunk lengths."""


def judge(
    judged: Detection, shown: Detection, library: PoseLibrary, calibration: Calibration, grid: Grid
) -> Pose:
    """A pose with the confidence of each landmark and the quality of the case.

    How sure it is was learnt on unrefined detections, and is told of the unrefined one: a pose
    that a library has had a hand in always looks like the library.

    Args:
        judged: what the networks have found, in any frame.
        shown: where the landmarks are said to be: the same, or what a refinement has made of it.
        library: of the model.
        calibration: of the model.
        grid: of the volume, in the frame of what is shown; nothing outside it is trusted.
    """
    evidence = weigh(judged, library)
    found = np.asarray(np.isfinite(shown.positions_mm).all(axis=1))
    inside = np.asarray(grid.contains(shown.positions_mm))
    confidence = calibration.landmark.probability(evidence.landmark_features)
    fetus, sides, score = (
        float(logistic.probability(evidence.case_features))
        for logistic in (calibration.fetus, calibration.sides, calibration.case)
    )
    doubts = [
        f"{name} lies outside the volume" if there else f"{name} was not found"
        for name, there, within in zip(library.skeleton.landmarks, found, inside, strict=True)
        if not within
    ]
    quality = Quality(
        score=round(fetus * score, 4),
        fetus=round(fetus, 4),
        sides=round(sides, 4),
        reasons=tuple(reasons_to_doubt(fetus, sides, score, evidence.margin, doubts)),
    )
    trusted = np.where(inside, fetus * confidence, 0.0)
    return Pose(library.skeleton, shown.positions_mm, trusted, quality)


def nothing_found(skeleton: Skeleton) -> Pose:
    """The pose of a volume in which no body frame was found."""
    nowhere = np.full((len(skeleton), 3), np.nan)
    quality = Quality(score=0.0, fetus=0.0, sides=0.0, reasons=(NO_FETUS,))
    return Pose(skeleton, nowhere, np.zeros(len(skeleton)), quality)


def reasons_to_doubt(
    fetus: float, sides: float, score: float, margin: float, doubts: Sequence[str]
) -> list[str]:
    """Why to doubt a case, in words; none for a good one.

    Args:
        fetus: probability that there is one.
        sides: probability that left and right are not exchanged.
        score: probability of a good pose, if there is a fetus.
        margin: how much worse the mirrored pose fits the library, trunk lengths.
        doubts: about single landmarks.
    """
    if fetus < LIKELY_FETUS and fetus * score < WORTHLESS:
        return [NO_FETUS]
    reasons = [*doubts]
    if fetus < LIKELY_FETUS:
        reasons.append("perhaps " + NO_FETUS)
    if sides < CERTAIN_SIDES:
        close = ": the mirrored pose fits nearly as well" * (margin < CLOSE_MARGIN)
        reasons.append("left and right are uncertain" + close)
    if score < DOUBTFUL:
        reasons.append("the detection is doubtful: check every landmark")
    return reasons

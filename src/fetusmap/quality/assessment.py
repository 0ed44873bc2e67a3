"""From a detection to a pose with a confidence per landmark, a quality score and its reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fetusmap.anatomy import NO_FETUS, NOTHING_KNOWN, Pose, Quality, SizeFacts, Skeleton
from fetusmap.quality.calibration import Calibration, CaseProbabilities
from fetusmap.quality.doubts import doubts_about_landmarks
from fetusmap.quality.evidence import Evidence
from fetusmap.quality.field_of_view import in_field_of_view
from fetusmap.quality.plausibility import check_plausibility, doubts_about_volume
from fetusmap.types import Points3
from fetusmap.volume import Volume

SIDES_UNCERTAIN = "left and right are uncertain"

MIN_FETUS_PROBABILITY = 0.5
"""Below this probability of a fetus, a reason is given."""

MIN_QUALITY_OF_A_FETUS = 0.25
"""Below this quality, an improbable fetus is reported as no fetus, and nothing else is said."""

MIN_SIDES_PROBABILITY = 0.9
"""Below this probability that left and right are not exchanged, a reason is given."""

MIN_CLEAR_MARGIN = 0.02
"""Trunk lengths. Below this margin the mirrored pose fits the library nearly as well."""

MIN_CASE_PROBABILITY = 0.5
"""Below this probability of a correct pose, a reason is given."""


def assess_quality(
    evidence: Evidence,
    positions_mm: Points3,
    skeleton: Skeleton,
    calibration: Calibration,
    prepared: Volume,
    facts: SizeFacts = NOTHING_KNOWN,
) -> Pose:
    """Build the pose with the confidence of each landmark and the quality of the case.

    The confidence is computed from the unrefined detection, for two reasons: the calibration was
    fitted on unrefined detections, and a refined pose resembles the pose library by construction.
    The plausibility is that of the final pose; what is implausible lowers the score, see
    `check_plausibility`.

    Args:
        evidence: evidence for the unrefined detection, see `collect_evidence`.
        positions_mm: (N, 3) final landmarks, which a refinement may have moved.
        skeleton: names the rows.
        calibration: of the model.
        prepared: the prepared volume, in the frame of the landmarks. A landmark outside its field
            of view gets confidence 0.
        facts: what is known about the size of the body, see `size_facts`.

    Returns:
        The pose, in the frame of `positions_mm`.
    """
    in_view = in_field_of_view(prepared, positions_mm)
    confidence = np.where(in_view, calibration.confidence(evidence), 0.0)
    case = calibration.case_probabilities(evidence)
    limbs = calibration.limb_probabilities(evidence, skeleton)
    doubts = doubts_about_landmarks(
        skeleton,
        found=np.asarray(np.isfinite(positions_mm).all(axis=1)),
        inside=np.asarray(prepared.grid.contains(positions_mm)),
        in_view=in_view,
        # Where everything is doubtful, no limb is called lost.
        limbs=limbs if case.correct >= MIN_CASE_PROBABILITY else np.ones(len(limbs)),
    )
    quality = Quality(crown_rump_interval=calibration.crown_rump)
    pose = Pose(skeleton, positions_mm, case.fetus * confidence, quality)
    plausibility = check_plausibility(pose, prepared, facts)
    reasons = reasons_to_doubt(case, evidence.margin, [*plausibility.reasons, *doubts])
    if NO_FETUS in reasons:
        reasons += doubts_about_volume(prepared, facts)
    quality = quality.model_copy(
        update={
            "score": round(case.score * plausibility.factor, 4),
            "fetus": round(case.fetus, 4),
            "sides": round(case.sides, 4),
            "reasons": tuple(reasons),
        }
    )
    return replace(pose, quality=quality)


def no_fetus_pose(skeleton: Skeleton, prepared: Volume, facts: SizeFacts = NOTHING_KNOWN) -> Pose:
    """Build the pose of a volume in which no body frame was found: every landmark is absent.

    Args:
        skeleton: names the landmarks.
        prepared: the prepared volume; a reason says if its size speaks for a wrong voxel size.
        facts: what is known about the size.
    """
    absent = np.full((len(skeleton), 3), np.nan)
    reasons = (NO_FETUS, *doubts_about_volume(prepared, facts))
    quality = Quality(score=0.0, fetus=0.0, sides=0.0, reasons=reasons)
    return Pose(skeleton, absent, np.zeros(len(skeleton)), quality)


def reasons_to_doubt(case: CaseProbabilities, margin: float, doubts: Sequence[str]) -> list[str]:
    """List the reasons to doubt a case, in words; the list of a good case is empty.

    Args:
        case: probabilities of the case.
        margin: how much farther from the library the mirrored pose lies, trunk lengths.
        doubts: what is implausible, and reasons about landmarks; see `check_plausibility` and
            `doubts_about_landmarks`.
    """
    if case.fetus < MIN_FETUS_PROBABILITY and case.score < MIN_QUALITY_OF_A_FETUS:
        return [NO_FETUS]
    reasons = [*doubts]
    if case.fetus < MIN_FETUS_PROBABILITY:
        reasons.append("perhaps " + NO_FETUS)
    if case.sides < MIN_SIDES_PROBABILITY:
        close = ": the mirrored pose fits nearly as well" * (margin < MIN_CLEAR_MARGIN)
        reasons.append(SIDES_UNCERTAIN + close)
    if case.correct < MIN_CASE_PROBABILITY:
        reasons.append("the detection is doubtful: check every landmark")
    return reasons

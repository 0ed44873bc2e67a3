"""How far a detection may be trusted: confidence per landmark, quality per case, and reasons."""

from fetusmap.anatomy import NO_FETUS
from fetusmap.quality.assessment import (
    SIDES_UNCERTAIN,
    assess_quality,
    no_fetus_pose,
    reasons_to_doubt,
)
from fetusmap.quality.calibration import (
    Calibration,
    CaseProbabilities,
    Logistic,
    fit_logistic,
    recalibrate,
)
from fetusmap.quality.doubts import doubts_about_landmarks
from fetusmap.quality.evidence import CASE_FEATURES, LANDMARK_FEATURES, Evidence, collect_evidence
from fetusmap.quality.field_of_view import in_field_of_view
from fetusmap.quality.plausibility import (
    SCORE_FACTORS,
    Plausibility,
    check_plausibility,
    doubts_about_volume,
    size_facts,
)

__all__ = [
    "CASE_FEATURES",
    "LANDMARK_FEATURES",
    "NO_FETUS",
    "SCORE_FACTORS",
    "SIDES_UNCERTAIN",
    "Calibration",
    "CaseProbabilities",
    "Evidence",
    "Logistic",
    "Plausibility",
    "assess_quality",
    "check_plausibility",
    "collect_evidence",
    "doubts_about_landmarks",
    "doubts_about_volume",
    "fit_logistic",
    "in_field_of_view",
    "no_fetus_pose",
    "reasons_to_doubt",
    "recalibrate",
    "size_facts",
]

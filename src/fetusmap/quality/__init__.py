"""How far a detection may be trusted: confidence per landmark, quality per case, and reasons."""

from fetusmap.quality.assessment import (
    NO_FETUS,
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
from fetusmap.quality.limbs import limbs_of_both_sides

__all__ = [
    "CASE_FEATURES",
    "LANDMARK_FEATURES",
    "NO_FETUS",
    "SIDES_UNCERTAIN",
    "Calibration",
    "CaseProbabilities",
    "Evidence",
    "Logistic",
    "assess_quality",
    "collect_evidence",
    "doubts_about_landmarks",
    "fit_logistic",
    "in_field_of_view",
    "limbs_of_both_sides",
    "no_fetus_pose",
    "reasons_to_doubt",
    "recalibrate",
]

"""How far a detection may be trusted: confidence per landmark, quality per case, and reasons."""

from fetusmap.quality.assessment import NO_FETUS, assess_quality, no_fetus_pose, reasons_to_doubt
from fetusmap.quality.calibration import Calibration, Logistic, fit_logistic, recalibrate
from fetusmap.quality.evidence import FEATURES, Evidence, collect_evidence

__all__ = [
    "FEATURES",
    "NO_FETUS",
    "Calibration",
    "Evidence",
    "Logistic",
    "assess_quality",
    "collect_evidence",
    "fit_logistic",
    "no_fetus_pose",
    "reasons_to_doubt",
    "recalibrate",
]

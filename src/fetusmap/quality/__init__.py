"""How far a detection may be trusted: per landmark, per case, and why not."""

from fetusmap.quality.assessment import judge, nothing_found, reasons_to_doubt
from fetusmap.quality.confidence import (
    Calibration,
    Evidence,
    Logistic,
    fit_logistic,
    recalibrate,
)
from fetusmap.quality.evidence import weigh

__all__ = [
    "Calibration",
    "Evidence",
    "Logistic",
    "fit_logistic",
    "judge",
    "nothing_found",
    "reasons_to_doubt",
    "recalibrate",
    "weigh",
]

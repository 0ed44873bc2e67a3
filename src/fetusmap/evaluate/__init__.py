"""How good predictions are: errors in millimetres, areas under curves, sides, with intervals."""

from fetusmap.evaluate.metrics import (
    AUC_CAP_MM,
    Interval,
    auc_percent,
    bootstrap_interval,
    landmark_errors_mm,
    pck_percent,
    sides_are_right,
)

__all__ = [
    "AUC_CAP_MM",
    "Interval",
    "auc_percent",
    "bootstrap_interval",
    "landmark_errors_mm",
    "pck_percent",
    "sides_are_right",
]

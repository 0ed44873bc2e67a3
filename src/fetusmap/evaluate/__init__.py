"""How good predictions are: errors in millimetres, areas under curves, sides, with intervals."""

from fetusmap.evaluate.metrics import (
    AUC_CAP_MM,
    auc_percent,
    exchanged_pairs,
    landmark_errors_mm,
    mean_error_mm,
    median_error_mm,
    pck_curve_percent,
    pck_percent,
    sides_are_right,
    swap_rate_percent,
)
from fetusmap.evaluate.pairs import Pairs, find_poses, pair_with_truth
from fetusmap.evaluate.statistics import (
    Comparison,
    Interval,
    bootstrap_interval,
    compare,
    pck_interval,
)
from fetusmap.evaluate.summary import Summary, summarize
from fetusmap.evaluate.wording import (
    SUMMARY_COLUMNS,
    interval_words,
    number_words,
    p_words,
    summary_cells,
)

__all__ = [
    "AUC_CAP_MM",
    "SUMMARY_COLUMNS",
    "Comparison",
    "Interval",
    "Pairs",
    "Summary",
    "auc_percent",
    "bootstrap_interval",
    "compare",
    "exchanged_pairs",
    "find_poses",
    "interval_words",
    "landmark_errors_mm",
    "mean_error_mm",
    "median_error_mm",
    "number_words",
    "p_words",
    "pair_with_truth",
    "pck_curve_percent",
    "pck_interval",
    "pck_percent",
    "sides_are_right",
    "summarize",
    "summary_cells",
    "swap_rate_percent",
]

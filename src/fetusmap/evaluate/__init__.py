"""How accurate predictions are: errors in mm, areas under curves, exchanged sides, intervals."""

from fetusmap.evaluate.case_names import match_by_pattern, match_by_table, match_names
from fetusmap.evaluate.error_table import write_errors_csv
from fetusmap.evaluate.formatting import (
    SUMMARY_COLUMNS,
    format_interval,
    format_number,
    format_p_value,
    summary_cells,
)
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
)
from fetusmap.evaluate.pairs import (
    Pairs,
    abbreviate_names,
    describe_landmarks,
    pair_poses,
    pair_with_truth,
)
from fetusmap.evaluate.pose_folder import find_poses
from fetusmap.evaluate.statistics import (
    Comparison,
    Interval,
    bootstrap_interval,
    compare,
    pck_interval,
)
from fetusmap.evaluate.summary import Summary, summarize

__all__ = [
    "AUC_CAP_MM",
    "SUMMARY_COLUMNS",
    "Comparison",
    "Interval",
    "Pairs",
    "Summary",
    "abbreviate_names",
    "auc_percent",
    "bootstrap_interval",
    "compare",
    "describe_landmarks",
    "exchanged_pairs",
    "find_poses",
    "format_interval",
    "format_number",
    "format_p_value",
    "landmark_errors_mm",
    "match_by_pattern",
    "match_by_table",
    "match_names",
    "mean_error_mm",
    "median_error_mm",
    "pair_poses",
    "pair_with_truth",
    "pck_curve_percent",
    "pck_interval",
    "pck_percent",
    "sides_are_right",
    "summarize",
    "summary_cells",
    "write_errors_csv",
]

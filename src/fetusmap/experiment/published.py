"""The paper's own numbers: tables 1 and 2 of Yang et al. (MICCAI 2019)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from fetusmap.files import read_rows

Metric = Literal["mean_mm", "auc_percent"]

_PATH = Path(__file__).with_name("published.csv")
_LANDMARKS = tuple(f"L{number}" for number in range(1, 17))


@cache
def published(metric: Metric) -> dict[str, tuple[float, ...]]:
    """Return, for each row by name, the values of landmarks L1 to L16 and their mean.

    Args:
        metric: "mean_mm" for table 1, "auc_percent" for table 2.
    """
    columns = (*_LANDMARKS, "mean")
    rows = read_rows(_PATH, ["metric", "row", *columns])
    return {
        row["row"]: tuple(float(row[name]) for name in columns)
        for row in rows
        if row["metric"] == metric
    }

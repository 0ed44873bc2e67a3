"""What each row cost. Kept apart from the tables, as no two runs take the same time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fetusmap.experiment.predicting import COSTS
from fetusmap.experiment.rows import Row
from fetusmap.experiment.table import Cell, Table
from fetusmap.experiment.training import COSTS_FILE, NETWORKS_FOLDER
from fetusmap.files.reading import visible_files


def costs_table(folder: Path, rows: Sequence[Row]) -> Table:
    """Time and memory of each row's training and prediction."""
    lines = [(row.name, *_training(folder, row), *_prediction(folder, row)) for row in rows]
    columns = (
        "", "training, min", "training, peak GB", "a case, s (median)", "a case, peak GB",
    )  # fmt: skip
    title = (
        "Time and memory of the process, one thread for each network and each case. SSL, Fast and "
        "Land of one size share a network."
    )
    return Table(title, columns, tuple(tuple(map(Cell, line)) for line in lines))


def _training(folder: Path, row: Row) -> tuple[str, str]:
    if row.group == "peer":
        told = _read(folder / COSTS / f"{row.name}.json")
    elif row.network is not None:
        told = _read(folder / NETWORKS_FOLDER / row.network.name / COSTS_FILE)
    else:
        told = {}
    if not told:
        return "-", "-"
    return f"{told['seconds'] / 60:.0f}", f"{told['peak_bytes'] / 1e9:.1f}"


def _prediction(folder: Path, row: Row) -> tuple[str, str]:
    # Peers write theirs into the same place.
    told = [_read(path) for path in visible_files(folder / COSTS / row.name, "*.json")]
    if not told:
        return "-", "-"
    seconds = np.median([one["seconds"] for one in told])
    return f"{seconds:.2f}", f"{max(one['peak_bytes'] for one in told) / 1e9:.1f}"


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.is_file() else {}

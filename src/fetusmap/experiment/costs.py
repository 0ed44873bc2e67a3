"""Time and memory of each row, apart from the other tables because they differ between runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fetusmap.experiment.predicting import COSTS
from fetusmap.experiment.rows import Row
from fetusmap.experiment.text_table import Cell, TextTable
from fetusmap.experiment.training import COSTS_FILE, NETWORKS_FOLDER
from fetusmap.files import visible_files


def costs_table(folder: Path, rows: Sequence[Row]) -> TextTable:
    """Return a table with the time and memory of each row's training and prediction."""
    lines = [(row.name, *_training(folder, row), *_prediction(folder, row)) for row in rows]
    columns = (
        "", "training, min", "training, peak GB", "a case, s (median)", "a case, peak GB",
    )  # fmt: skip
    title = (
        "Time and memory of the process, with one thread for each network and each case. SSL, Fast "
        "and Land of the same size share a network."
    )
    return TextTable(title, columns, tuple(tuple(map(Cell, line)) for line in lines))


def _training(folder: Path, row: Row) -> tuple[str, str]:
    if row.group == "peer":
        cost = _read(folder / COSTS / f"{row.name}.json")
    elif row.network is not None:
        cost = _read(folder / NETWORKS_FOLDER / row.network.name / COSTS_FILE)
    else:
        cost = {}
    if not cost:
        return "-", "-"
    return f"{cost['seconds'] / 60:.0f}", f"{cost['peak_bytes'] / 1e9:.1f}"


def _prediction(folder: Path, row: Row) -> tuple[str, str]:
    # Peers write their costs into the same folder.
    costs = [_read(path) for path in visible_files(folder / COSTS / row.name, "*.json")]
    if not costs:
        return "-", "-"
    seconds = np.median([one["seconds"] for one in costs])
    return f"{seconds:.2f}", f"{max(one['peak_bytes'] for one in costs) / 1e9:.1f}"


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.is_file() else {}

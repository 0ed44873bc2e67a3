"""Determine the progress of the tasks of an experiment from the files that they write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from fetusmap.experiment.predicting import PREDICTIONS
from fetusmap.experiment.profile import COHORT, Network, Profile
from fetusmap.experiment.rows import Row
from fetusmap.experiment.training import NETWORKS_FOLDER
from fetusmap.files import visible_files
from fetusmap.train import METRICS_FILE

MAX_TAIL_BYTES = 4096
"""Bytes at the end of a file of metrics that are read; a line is much shorter."""


class Progress(NamedTuple):
    """Progress of a task.

    Attributes:
        done: number of its parts that are done.
        total: number of its parts.
        remark: further information in words.
    """

    done: int
    total: int
    remark: str = ""


def cohort_progress(folder: Path, profile: Profile) -> Progress:
    """Return how many cases of an experiment are simulated."""
    return Progress(len(visible_files(folder / COHORT / "landmarks", "*.json")), profile.cases)


def training_progress(folder: Path, profile: Profile, network: Network) -> Progress:
    """Return the step of a network's training, with its loss and the minutes that remain."""
    metrics = _last_metrics(folder / NETWORKS_FOLDER / network.name / METRICS_FILE)
    if not metrics:
        return Progress(0, profile.steps)
    minutes = (profile.steps - metrics["step"]) * metrics["pace"] / 60
    remark = f"loss {metrics['loss']:.1f}, {minutes:.0f} min left"
    return Progress(int(metrics["step"]), profile.steps, remark)


def prediction_progress(folder: Path, profile: Profile, row: Row) -> Progress:
    """Return how many test cases of a row are predicted."""
    done = len(visible_files(folder / PREDICTIONS / row.name, "*.json"))
    return Progress(done, profile.cases - profile.training_cases)


def _last_metrics(path: Path) -> dict[str, float]:
    """Return the last metrics of a training; empty before the first ones are written."""
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MAX_TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    for line in reversed(lines):
        try:
            return dict(json.loads(line))
        except ValueError:
            continue
    return {}

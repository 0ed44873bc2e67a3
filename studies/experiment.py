"""A miniature of the paper's experiment from scratch: every stage, in three to ten minutes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from fetusmap.experiment import PROFILES, Experiment
from fetusmap.workers import available_processors


def run() -> dict[str, object]:
    """Run all stages of the profile mini; seconds of each task, and the rows' main numbers.

    Twenty-four training cases and 400 steps teach a network little: this shows that the chain
    works and what it costs, not which method is better.
    """
    start = time.perf_counter()
    with TemporaryDirectory() as folder:
        work = Experiment(Path(folder), PROFILES["mini"], workers=available_processors())
        work.run()
        results = json.loads((Path(folder) / "results" / "results.json").read_text())
        manifests = {task.name: work.tasks.manifest(task.name) for task in work.tasks}
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "seconds_of_tasks": {name: m.seconds for name, m in manifests.items() if m is not None},
        "rows": {
            name: {key: row[key] for key in ("mean_mm", "auc_percent", "swap_percent")}
            for name, row in results["rows"].items()
        },
    }

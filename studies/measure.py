"""Functions that measure times, and a description of the machine."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).with_name("results.json")
"""File of all results that the documentation shows."""


def store_result(path: Path, name: str, result: dict[str, object]) -> None:
    """Write the result of one study into the file of all results; the others stay as they were."""
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    described = manifest()
    results[name] = result
    results["commits"] = {**(results.get("commits") or {}), name: described["commit"]}
    results["manifest"] = described
    path.write_text(json.dumps(results, indent=2) + "\n")


def median_seconds(run: Callable[[], object], repeats: int = 7) -> float:
    """Median wall time of `repeats` runs, after one that warms up."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def interleaved_seconds(
    runs: Mapping[str, Callable[[], object]], repeats: int = 7
) -> dict[str, float]:
    """Median wall times of several functions, called in turn so that noise affects all alike."""
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def copy_bandwidth_gb_s() -> float:
    """Bytes read and written per second by a copy far larger than the caches."""
    source = np.ones(32 * 1024 * 1024)
    target = np.empty_like(source)
    return 2 * source.nbytes / median_seconds(lambda: np.copyto(target, source)) / 1e9


def manifest() -> dict[str, object]:
    """What the numbers were measured on."""
    packages = ("fetusmap", "numpy", "scipy", "SimpleITK", "nibabel", "torch")
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "commit": commit.stdout.strip() or "none",
        "versions": {name: metadata.version(name) for name in packages},
    }

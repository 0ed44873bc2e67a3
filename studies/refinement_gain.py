"""When does the paper's refinement help? Its gain over Land in many regimes, step by step.

Each condition is a small experiment with one network: how the fetuses lie, the number of training
cases, the length of the training. The network is trained once; then every test case is refined with
several learning rates, and the pose after each step is kept. The study is resumable: repeat the
command.

    python -m studies.refinement_gain RUN_DIR --workers 2
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.detect import SinglePass
from fetusmap.evaluate import (
    Interval,
    auc_percent,
    bootstrap_interval,
    compare,
    exchanged_pairs,
    mean_error_mm,
)
from fetusmap.experiment import Experiment, Profile
from fetusmap.experiment.cohort import load_test_cases, training_poses
from fetusmap.experiment.dose import poses_by_step, refine_with_doses
from fetusmap.experiment.profile import Network
from fetusmap.experiment.training import load_network
from fetusmap.files.writing import write_text
from fetusmap.types import FloatArray, Points3
from fetusmap.workers import map_in_processes

LEARNING_RATES = (5e-4, 1e-4, 3e-5)
"""The paper's learning rate and two smaller ones."""

STEPS = 6
"""The paper's number of steps."""

LAND = Network("Land", "R4")
TRACES = "traces.npz"
RESULT = Path(__file__).with_name("refinement-gain.json")


@dataclass(frozen=True)
class Condition:
    """One network.

    Attributes:
        presentation: how the fetuses lie.
        standard_part: fraction in the standard presentation, for "clinical".
        training_cases: number of training cases.
        steps: training steps.
    """

    presentation: Literal["any", "clinical", "standard"]
    standard_part: float = 0.0
    training_cases: int = 100
    steps: int = 6400

    @property
    def name(self) -> str:
        """Name of its folder."""
        part = f"-{self.standard_part:g}" if self.standard_part else ""
        return f"{self.presentation}{part}-{self.training_cases}-{self.steps}"

    def profile(self, base: Profile) -> Profile:
        """Return the profile of its experiment."""
        return base.model_copy(
            update={
                "name": "gain",
                "presentation": self.presentation,
                "standard_part": self.standard_part,
                "cases": base.cases - base.training_cases + self.training_cases,
                "training_cases": self.training_cases,
                "steps": self.steps,
            }
        )


BASE = Profile(
    name="gain",
    cases=140,
    training_cases=100,
    preset="half",
    r4_scale=0.16,
    gcp_scale=0.2,
    widths=(16, 32, 64, 128, 128),
    steps=6400,
    decay_part=0.3,
    sigma_voxels=2.4,
    precision="bf16-mixed",
)
"""The R4 network of the profile cpu, on volumes of half resolution and 40 test cases."""

CONDITIONS = (
    *(Condition("clinical", part) for part in (0.8, 0.9, 0.95, 0.5)),
    Condition("standard"),
    Condition("clinical"),
    Condition("any"),
    *(Condition("clinical", 0.8, cases) for cases in (25, 50, 400)),
    *(Condition("clinical", 0.8, steps=steps) for steps in (1600, 3200, 12800)),
    Condition("standard", training_cases=25),
)


def main() -> None:
    """Train, refine, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="RUN_DIR")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    found = run(arguments.folder, arguments.workers)
    write_text(arguments.output, json.dumps(found, indent=1) + "\n")
    print(f"{len(found['conditions'])} conditions: {arguments.output}")


def run(
    folder: Path,
    workers: int,
    conditions: tuple[Condition, ...] = CONDITIONS,
    base: Profile = BASE,
) -> dict[str, Any]:
    """Train the networks side by side, refine their test cases, and compute all numbers."""
    work = partial(_train_and_refine, folder, base)
    for done in map_in_processes(work, conditions, workers):
        print(f"{done}: done", flush=True)
    return {
        "seed": base.seed,
        "test_cases": base.cases - base.training_cases,
        "learning_rates": LEARNING_RATES,
        "conditions": [dict(_numbers(folder, base, condition)) for condition in conditions],
    }


def _train_and_refine(folder: Path, base: Profile, condition: Condition) -> str:
    place, profile = folder / condition.name, condition.profile(base)
    Experiment(place, profile, workers=0).run(["cohort", f"train/{LAND.name}"])
    if not (place / TRACES).exists():
        traces = _refine(place, profile)
        temporary = place / f".{TRACES}"  # numpy keeps the suffix
        np.savez(temporary, allow_pickle=False, **traces)
        temporary.replace(place / TRACES)
    return condition.name


def _refine(folder: Path, profile: Profile) -> dict[str, FloatArray]:
    """Return the annotations, the poses by step for each learning rate, and the label proxies."""
    library = training_poses(folder, profile, LAND)
    pipeline = SinglePass(library.skeleton, load_network(folder, profile, LAND, "cpu"), library)
    true, proxies = [], []
    poses: dict[float, list[Points3]] = {rate: [] for rate in LEARNING_RATES}
    for case in load_test_cases(folder):
        found = refine_with_doses(pipeline, case.load_volume(), profile, LEARNING_RATES, STEPS)
        if not found:
            continue
        true.append(case.load_pose().positions_mm)
        first = found[LEARNING_RATES[0]].iterations
        absent = np.full_like(true[-1], np.nan)
        proxies.append(first[0].support.mean_mm if first else absent)
        for rate, refinement in found.items():
            poses[rate].append(poses_by_step(refinement, STEPS))
    by_rate = {f"poses-{rate:g}": np.array(each) for rate, each in poses.items()}
    return {"true": np.array(true), "proxy": np.array(proxies), **by_rate}


def _numbers(folder: Path, base: Profile, condition: Condition) -> Iterator[tuple[str, Any]]:
    place = folder / condition.name
    with np.load(place / TRACES) as stored:
        traces = dict(stored)
    skeleton = training_poses(place, condition.profile(base), LAND).skeleton
    true = traces["true"]
    before = _errors(traces[f"poses-{LEARNING_RATES[0]:g}"][:, 0], true)
    yield "name", condition.name
    yield "presentation", condition.presentation
    yield "standard_part", condition.standard_part
    yield "training_cases", condition.training_cases
    yield "steps", condition.steps
    yield "cases", len(true)
    yield "land_mm", _plain(bootstrap_interval(before, mean_error_mm))
    yield "land_auc", _plain(bootstrap_interval(before, auc_percent))
    yield "land_exchanged_percent", _exchanged(skeleton, traces, true)
    yield "proxy_mm", _plain(bootstrap_interval(_errors(traces["proxy"], true), mean_error_mm))
    yield (
        "doses",
        {f"{rate:g}": _gains(traces[f"poses-{rate:g}"], true, before) for rate in LEARNING_RATES},
    )


def _gains(poses: Points3, true: Points3, before: FloatArray) -> dict[str, Any]:
    """Return errors and areas by step, and the gains after the last one; positive is better."""
    errors = [_errors(poses[:, step], true) for step in range(poses.shape[1])]
    mean = compare(before, errors[-1], mean_error_mm)
    auc = compare(errors[-1], before, auc_percent)
    return {
        "mean_mm": [round(mean_error_mm(each), 3) for each in errors],
        "auc": [round(auc_percent(each), 2) for each in errors],
        "gain_mm": _plain(mean.difference),
        "gain_auc": _plain(auc.difference),
    }


def _exchanged(skeleton: Skeleton, traces: dict[str, FloatArray], true: Points3) -> list[float]:
    first = traces[f"poses-{LEARNING_RATES[0]:g}"][:, 0]
    swaps = 100 * exchanged_pairs(skeleton, first, true)
    return _plain(bootstrap_interval(swaps, mean_error_mm))


def _errors(found_mm: Points3, true_mm: Points3) -> FloatArray:
    return np.asarray(np.linalg.norm(found_mm - true_mm, axis=-1))


def _plain(interval: Interval) -> list[float]:
    return [round(value, 3) for value in (interval.value, interval.low, interval.high)]


if __name__ == "__main__":
    main()

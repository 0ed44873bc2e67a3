"""Accuracy of models on simulated cohorts that no training has seen: `python -m studies.accuracy`.

Each volume is simulated once and predicted by every model, so that a new model and an earlier one
are compared on the same bytes in one run. `--model` and `--against` name models or model folders.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from fetusmap.anatomy import (
    Pose,
    body_axes_of,
    crown_rump_length,
    load_skeleton,
    trunk_length_mm,
)
from fetusmap.estimate import PoseEstimator
from fetusmap.evaluate import landmark_errors_mm, sides_are_right
from fetusmap.simulate import HARD, Rendering, SimulationSettings, simulate_case
from fetusmap.workers import available_processors, map_in_processes
from studies.accuracy_summary import CrownRump, Outcome, summarize
from studies.measure import RESULTS, store_result

SEED = 2019
TEST_CASES = range(100, 152)
"""Of the 152 subjects of the experiment, those that no network is trained on."""

COHORTS = {
    "normal": SimulationSettings(),
    "hard": SimulationSettings(difficulty=HARD),
    "shifted-sharp": SimulationSettings(profile="shifted-sharp"),
    "shifted-blurred": SimulationSettings(profile="shifted-blurred"),
    "shifted-hazy": SimulationSettings(profile="shifted-hazy"),
    "other-anatomy": SimulationSettings(anatomy="other"),
}


@dataclass(frozen=True)
class Models:
    """The models that are compared, by the names that the tables show."""

    folders: tuple[tuple[str, str], ...] = (("shipped", "default"),)

    @classmethod
    def named(cls, model: str, against: str | None) -> Models:
        """Name a model, and the one that it is compared with."""
        first = ("shipped" if model == "default" else Path(model).name, model)
        return cls((first,) if against is None else (first, ("earlier", against)))


def run(
    models: Models = Models(),
    numbers: Sequence[int] = TEST_CASES,
) -> dict[str, object]:
    """Predict every cohort with every model, and sum up."""
    outcomes = {
        name: predict_cohort(settings, models, numbers) for name, settings in COHORTS.items()
    }
    return {
        "seed": SEED,
        "cases": [numbers[0], numbers[-1]],
        "models": {
            label: {
                **_described(folder),
                "cohorts": {
                    name: summarize([found[label] for found in cohort], numbers)
                    for name, cohort in outcomes.items()
                },
            }
            for label, folder in models.folders
        },
    }


def predict_cohort(
    settings: SimulationSettings, models: Models, numbers: Sequence[int] = TEST_CASES
) -> list[dict[str, Outcome]]:
    """Simulate cases at full resolution and predict each with all models, on all cores."""
    predict = partial(_predict, settings, models)
    return list(map_in_processes(predict, numbers, available_processors()))


def _predict(settings: SimulationSettings, models: Models, number: int) -> dict[str, Outcome]:
    made = simulate_case(settings, SEED, number)
    return {
        label: outcome_of(made, _estimator(folder)(made.volume).pose)
        for label, folder in models.folders
    }


def outcome_of(made: Rendering, found: Pose) -> Outcome:
    """Compare a predicted pose with the truth, on the skeleton of the model."""
    true = made.pose.on(found.skeleton)
    skeleton = true.skeleton
    truth = np.where((true.confidence > 0)[:, None], true.positions_mm, np.nan)
    axes = body_axes_of(skeleton, true.positions_mm)
    found_axes = body_axes_of(skeleton, found.positions_mm)
    trunk_mm = trunk_length_mm(true)
    quality = found.quality
    return Outcome(
        landmarks=skeleton.landmarks,
        errors_mm=landmark_errors_mm(found.positions_mm, truth),
        offsets=(found.positions_mm - truth) @ axes / trunk_mm,
        trunk_mm=trunk_mm,
        confidence=found.confidence,
        sides_right=sides_are_right(skeleton, found.positions_mm, true.positions_mm),
        back_to_front=not float(found_axes[:, 1] @ axes[:, 1]) > 0,
        score=quality.score or 0.0,
        reasons=quality.reasons,
        crown_rump=_crown_rump(made, found),
    )


def _crown_rump(made: Rendering, found: Pose) -> dict[str, CrownRump]:
    """Compare the crown-rump length, and the estimate of fetus-16, with the truth."""
    true_mm = crown_rump_length(made.pose).length_mm
    poses = {"measured": found, "estimated": found.on(load_skeleton())}
    if found.skeleton.crown_rump_ends is None:
        del poses["measured"]
    lengths = {method: crown_rump_length(pose) for method, pose in poses.items()}
    return {
        method: CrownRump(length.length_mm - true_mm, length.half_width_mm, length.method == method)
        for method, length in lengths.items()
    }


def _described(folder: str) -> dict[str, object]:
    estimator = _estimator(folder)
    return {
        "name": estimator.card.name,
        "sha256": estimator.model_sha256,
        "skeleton": estimator.pipeline.skeleton.name,
        "landmarks": list(estimator.pipeline.skeleton.landmarks),
    }


@cache
def _estimator(model: str) -> PoseEstimator:
    torch.set_num_threads(1)
    return PoseEstimator.from_pretrained(model)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default", help="a shipped model or a model folder")
    parser.add_argument("--against", help="the model that it is compared with")
    parser.add_argument("--cases", type=int, default=len(TEST_CASES), help="number of test cases")
    parser.add_argument("--output", type=Path, default=RESULTS, help="file of all results")
    arguments = parser.parse_args()
    models = Models.named(arguments.model, arguments.against)
    found = run(models, TEST_CASES[: arguments.cases])
    print(json.dumps(found, indent=2))
    store_result(arguments.output, "accuracy", found)


if __name__ == "__main__":
    main()

"""How far confidences, quality scores and warnings can be trusted: `python -m studies.quality`.

Simulates the cohorts of `studies.quality_cohorts`, predicts every view, and compares what the
result says about itself with the truth. `--cases` makes it smaller.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from fetusmap.anatomy import limbs_of_both_sides
from fetusmap.estimate import PoseEstimator
from fetusmap.evaluate import landmark_errors_mm, sides_are_right
from fetusmap.train.cases import simulated_skeleton
from fetusmap.workers import available_processors, map_in_processes
from studies.measure import RESULTS, store_result
from studies.quality_cohorts import View, views_of
from studies.quality_summary import LimbOutcome, Outcome, summarize

CASES = 40
CACHE = Path(tempfile.gettempdir()) / "fetusmap-studies"


def run(cases: int = CASES, model: str = "default", folder: Path = CACHE) -> dict[str, object]:
    """Predict all views of the first fetuses, and sum up."""
    return summarize(predict(cases, model, folder))


def predict(cases: int, model: str, folder: Path) -> list[Outcome]:
    """Predict all views of the first fetuses, on all processor cores."""
    work = partial(_predict, model, folder)
    found = map_in_processes(work, range(cases), available_processors())
    return [outcome for outcomes in found for outcome in outcomes]


def _predict(model: str, folder: Path, number: int) -> list[Outcome]:
    estimator = _estimator(model)
    return [_outcome(estimator, view) for view in views_of(number, folder)]


def _outcome(estimator: PoseEstimator, view: View) -> Outcome:
    pose = estimator(view.volume).pose
    skeleton = pose.skeleton
    rows = [simulated_skeleton().index(name) for name in skeleton.landmarks]
    true_mm, visible, hidden = view.positions_mm[rows], view.visible[rows], view.hidden[rows]
    errors = landmark_errors_mm(pose.positions_mm, np.where(visible[:, None], true_mm, np.nan))
    quality = pose.quality
    return Outcome(
        group=view.group,
        cohort=view.cohort,
        number=view.number,
        landmarks=skeleton.landmarks,
        errors_mm=errors,
        hidden=hidden,
        confidence=pose.confidence,
        score=quality.score or 0.0,
        fetus=quality.fetus or 0.0,
        sides=quality.sides or 0.0,
        sides_right=sides_are_right(skeleton, pose.positions_mm, true_mm),
        reasons=quality.reasons,
        limbs={
            name: LimbOutcome(
                any(f"the {name} " in reason for reason in quality.reasons),
                float(errors[rows[-1]]),
                bool(hidden[rows[-1]]),
            )
            for name, rows in limbs_of_both_sides(skeleton).items()
        },
    )


@cache
def _estimator(model: str) -> PoseEstimator:
    torch.set_num_threads(1)
    return PoseEstimator.from_pretrained(model)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=CASES, help="number of fetuses")
    parser.add_argument("--model", default="default", help="a shipped model or a model folder")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of simulated volumes")
    parser.add_argument("--output", type=Path, default=RESULTS, help="file of all results")
    arguments = parser.parse_args()
    found = run(arguments.cases, arguments.model, arguments.cache)
    print(json.dumps(found, indent=2))
    store_result(arguments.output, "quality", found)


if __name__ == "__main__":
    main()

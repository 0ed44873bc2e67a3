"""Draw the worst cases and the misjudged ones, truth beside prediction: `studies.worst_cases`.

The results of `studies.accuracy` and `studies.quality` say which cases they are. The pictures are
`docs/images/worst-cases.png` and `docs/images/misjudged-cases.png`.
"""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from fetusmap.anatomy import Pose
from fetusmap.estimate import PoseEstimator
from fetusmap.report import draw_contact_sheet, preview_picture, save_figure
from fetusmap.simulate import simulate_case
from fetusmap.train.cases import simulated_skeleton
from fetusmap.volume import Volume
from studies.accuracy import COHORTS, SEED
from studies.measure import RESULTS
from studies.quality import CACHE
from studies.quality_cohorts import views_of

IMAGES = Path(__file__).parents[1] / "docs" / "images"

PER_COHORT = 2
MISJUDGED = 8
MAX_REMARK_CHARACTERS = 30


def main() -> None:
    """Simulate each again, predict it, and draw both poses."""
    results = json.loads(RESULTS.read_text())
    estimator = PoseEstimator.from_pretrained()
    _draw_worst(next(iter(results["accuracy"]["models"].values())), estimator)
    if "quality" in results:
        _draw_misjudged(results["quality"]["misjudged"][:MISJUDGED], estimator)


def _draw_worst(model: dict[str, Any], estimator: PoseEstimator) -> None:
    rows = []
    for name, row in model["cohorts"].items():
        for number, error, score in row["worst_cases"][:PER_COHORT]:
            made = simulate_case(COHORTS[name], SEED, number)
            rows.append((f"{name} {number}", made.volume, made.pose, error, score))
    _draw(rows, estimator, "The worst cases of each cohort", IMAGES / "worst-cases.png")


def _draw_misjudged(cases: list[dict[str, Any]], estimator: PoseEstimator) -> None:
    rows = []
    for case in cases:
        name, number = case["cohort"], case["number"]
        view = next(v for v in views_of(number, CACHE) if v.cohort == name)
        skeleton = simulated_skeleton()
        truth = Pose(skeleton, view.positions_mm, view.visible.astype(np.float64))
        rows.append((f"{name} {number}", view.volume, truth, case["mean_mm"], case["score"]))
    heading = "The cases whose quality score is farthest from the truth"
    _draw(rows, estimator, heading, IMAGES / "misjudged-cases.png")


def _draw(
    rows: list[tuple[str, Volume, Pose, float, float]],
    estimator: PoseEstimator,
    heading: str,
    path: Path,
) -> None:
    pictures, titles = [], []
    for name, volume, truth, error, score in rows:
        found = estimator(volume).pose
        remarks = [str(reason) for reason in found.quality.reasons] or ["no remarks"]
        first = shorten(remarks[0].partition(":")[0], MAX_REMARK_CHARACTERS, placeholder=" ...")
        remark = first + " ..." * (len(remarks) > 1 and not first.endswith("..."))
        pictures += [preview_picture(volume, pose, size=240) for pose in (truth, found)]
        titles += [
            f"{name}: truth",
            f"predicted: {error:.1f} mm, quality {score:.2f}, {remark}",
        ]
    sheet = draw_contact_sheet(
        pictures, titles, columns=2, heading=heading,
        caption="Sagittal, coronal and transverse planes of the true pose on the left, and of the "
        "predicted one on the right; mean error of the case in mm.",
    )  # fmt: skip
    save_figure(sheet, path)


if __name__ == "__main__":
    main()

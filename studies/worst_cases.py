"""Draw the worst cases of each cohort, truth beside prediction: `python -m studies.worst_cases`.

The results of `studies.accuracy` say which cases they are. The picture is
`docs/images/worst-cases.png`.
"""

from __future__ import annotations

import json
from pathlib import Path

from fetusmap.estimate import PoseEstimator
from fetusmap.report import draw_contact_sheet, preview_picture, save_figure
from fetusmap.simulate import simulate_case
from studies.accuracy import COHORTS, SEED

RESULTS = Path(__file__).with_name("results.json")
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "worst-cases.png"

PER_COHORT = 2


def main() -> None:
    """Simulate each again, predict it, and draw both poses."""
    results = json.loads(RESULTS.read_text())
    estimator = PoseEstimator.from_pretrained()
    pictures, titles = [], []
    for name, row in results["accuracy"]["cohorts"].items():
        for number, error, score in row["worst_cases"][:PER_COHORT]:
            made = simulate_case(COHORTS[name], SEED, number)
            found = estimator(made.volume).pose
            remarks = [str(reason) for reason in found.quality.reasons] or ["no remarks"]
            remark = remarks[0].partition(":")[0] + " ..." * (len(remarks) > 1)
            pictures += [preview_picture(made.volume, p, size=240) for p in (made.pose, found)]
            titles += [
                f"{name} {number}: truth",
                f"predicted: mean error {error:.1f} mm, quality {score:.2f}, {remark}",
            ]
    sheet = draw_contact_sheet(
        pictures, titles, columns=2, heading="The worst cases of each cohort",
        caption="Sagittal, coronal and transverse planes of the true pose on the left, and of the "
        "predicted one on the right.",
    )  # fmt: skip
    save_figure(sheet, PICTURE)


if __name__ == "__main__":
    main()

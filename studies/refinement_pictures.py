"""Draw each iteration of one hard case, refined in both ways: `-m studies.refinement_pictures`."""

from __future__ import annotations

from pathlib import Path

from fetusmap.estimate import PoseEstimator
from fetusmap.evaluate import landmark_errors_mm
from fetusmap.report import draw_refinement, save_figure
from fetusmap.simulate import simulate_case
from studies.accuracy import COHORTS, SEED

PICTURES = Path(__file__).parents[1] / "docs" / "images"

CASE = 103
FILES = {"test-time-training": "refinement-paper.png", "fast": "refinement-fast.png"}
"""Name of the picture of each kind of refinement."""


def main() -> None:
    """Simulate the case, refine it, and write `docs/images/refinement-*.png`."""
    estimator = PoseEstimator.from_pretrained("land")
    made = simulate_case(COHORTS["hard"], SEED, CASE)
    for way, file in FILES.items():
        found = estimator(made.volume, refine=way).refinement
        if found is None:
            raise SystemExit("no body was found in that case")
        before, after = (
            landmark_errors_mm(d.positions_mm, made.pose.positions_mm).mean()
            for d in (found.before, found.detection)
        )
        title = f"hard, case {CASE}, {way}: mean error {before:.1f} mm before, {after:.1f} mm after"
        figure = draw_refinement(found, made.pose.skeleton, title)
        save_figure(figure, PICTURES / file)


if __name__ == "__main__":
    main()

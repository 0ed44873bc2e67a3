"""Draw one hard case turn by turn, refined in both ways: `python docs/refinement_figures.py`."""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

from studies.accuracy import COHORTS, SEED  # noqa: E402

from fetusmap.estimate import REFINE, PoseEstimator  # noqa: E402
from fetusmap.evaluate import landmark_errors_mm  # noqa: E402
from fetusmap.report import draw_refinement, save_figure  # noqa: E402
from fetusmap.simulate import simulate_case  # noqa: E402

CASE = 103


def main() -> None:
    """Simulate the case, refine it, and write `docs/images/refinement-*.png`."""
    estimator = PoseEstimator.from_pretrained("land")
    made = simulate_case(COHORTS["hard"], SEED, CASE)
    for way in REFINE[1:]:
        found = estimator(made.volume, refine=way).refinement
        if found is None:
            raise SystemExit("no body was found in that case")
        before, after = (
            landmark_errors_mm(d.positions_mm, made.pose.positions_mm).mean()
            for d in (found.before, found.detection)
        )
        title = f"hard, case {CASE}, {way}: mean error {before:.1f} mm before, {after:.1f} mm after"
        figure = draw_refinement(found, made.pose.skeleton, title)
        save_figure(figure, DOCS / "images" / f"refinement-{way}.png")


if __name__ == "__main__":
    main()

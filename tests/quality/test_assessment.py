"""How far a pose may be trusted, in words."""

from __future__ import annotations

import numpy as np
import pytest

from fetusmap.anatomy import LengthInterval, reference_pose
from fetusmap.geometry import Grid
from fetusmap.quality import Calibration, Evidence, Logistic, assess_quality, reasons_to_doubt


@pytest.mark.parametrize(
    ("fetus", "score", "reasons"),
    [
        # Less likely than not, and a pose that nobody could use: said without hedging.
        (0.3, 0.02, ["no fetus in view"]),
        (0.02, 0.9, ["no fetus in view"]),
        (0.4, 0.8, ["perhaps no fetus in view"]),
        (0.9, 0.02, ["the detection is doubtful: check every landmark"]),
        (0.9, 0.9, []),
    ],
)
def test_no_fetus_is_said_plainly_where_the_pose_is_worthless(fetus, score, reasons):
    assert reasons_to_doubt(fetus, 0.99, score, 0.1, []) == reasons


def test_the_interval_of_the_crown_rump_length_comes_with_the_pose() -> None:
    interval = LengthInterval(coverage=0.95, scale=0.7, cases=30)
    flat = Logistic(intercept=0.0, weights=(0.0,) * 4)
    logistics = {name: flat for name in ("landmark", "case", "fetus", "sides")}
    calibration = Calibration(**logistics, cases=30, empty_cases=0, crown_rump=interval)
    pose = reference_pose()
    evidence = Evidence(np.ones(16), np.zeros(16), residual=0.0, margin=0.0)
    grid = Grid.from_spacing((9, 9, 9), (20.0,) * 3, (-80.0,) * 3)
    found = assess_quality(evidence, pose.positions_mm, pose.skeleton, calibration, grid)
    assert found.quality.crown_rump_interval == interval

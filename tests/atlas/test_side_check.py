"""Exchanged sides of named landmarks are found in simulated poses, and right ones never doubted."""

import numpy as np
import pytest

import fetusmap as fm
from fetusmap.atlas import exchanged_parts, load_atlases


@pytest.mark.parametrize("name", ["fetus-16", "fetus-22"])
def test_sides_of_simulated_poses(name: str) -> None:
    skeleton = fm.load_skeleton(name)
    atlases = load_atlases(skeleton)
    rng = np.random.default_rng(0)
    arm, leg = (limb.landmarks for limb in skeleton.limbs)
    found = []
    for row in rng.choice(len(atlases), 12, replace=False):
        noise = rng.normal(0, 1.0, (len(skeleton), 3))
        pose = fm.Pose(skeleton, atlases.positions_mm[row] + noise)
        assert exchanged_parts(pose.positions_mm, atlases) == ()
        assert exchanged_parts(pose.exchange_sides().positions_mm, atlases) == ("body",)
        limbs = [pose.exchange_sides(limb).positions_mm for limb in (arm, leg)]
        found += [exchanged_parts(positions, atlases) for positions in limbs]
    assert found == [("arm",), ("leg",)] * 12


def test_a_line_of_landmarks_has_no_sides() -> None:
    skeleton = fm.load_skeleton()
    line = np.arange(len(skeleton))[:, None] * [1.0, 0, 0]
    assert exchanged_parts(line, load_atlases(skeleton)) == ()

"""The drawing of a refinement: a panel per iteration, and the changes in words."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fetusmap.atlas import SupportSet
from fetusmap.detect import Detection
from fetusmap.geometry import Grid
from fetusmap.heatmap import Heatmaps, encode
from fetusmap.refine import Iteration, Refinement
from fetusmap.report import draw_refinement
from fetusmap.simulate import draw_poses


@pytest.fixture(scope="module")
def refinement(skeleton):
    pose = draw_poses(12, seed=1).on(skeleton).positions_mm.astype(float)
    grid = Grid.centered((30, 30, 30), 3.0, pose[0].mean(axis=0), np.eye(3))
    maps = encode(pose[0], grid, 4.0, [(row,) for row in range(16)])
    heatmaps = Heatmaps(torch.from_numpy(maps), grid)
    found = Detection(pose[0], np.ones(16), 0.1, np.zeros(16), None, heatmaps, grid)
    support = SupportSet(np.arange(12), pose, np.zeros(12))
    iterations = tuple(
        Iteration(pose[n], heatmaps, support, loss) for n, loss in ((0, 7.25), (1, np.nan))
    )
    changes = ("left and right arm exchanged", "head moved by 7 mm", "spine found", "neck found")
    return Refinement(found, found, iterations, changes)


def test_each_iteration_has_its_heatmaps_and_its_support(refinement, skeleton):
    figure = draw_refinement(refinement, skeleton, "a case")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        "iteration 1", "iteration 2", "before", "12 atlases, loss 7.2", "12 atlases", "after",
    ]  # fmt: skip
    assert figure.get_suptitle() == "a case"


def test_the_changes_stand_below_no_more_than_fit(refinement, skeleton):
    words = draw_refinement(refinement, skeleton).get_supxlabel()
    assert words == "left and right arm exchanged; head moved by 7 mm; spine found; and 1 more"


def test_all_panels_show_the_same_millimetres(refinement, skeleton):
    limits = {(a.get_xlim(), a.get_ylim()) for a in draw_refinement(refinement, skeleton).axes}
    assert len(limits) == 1

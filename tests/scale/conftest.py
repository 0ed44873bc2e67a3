"""A tiny model that predicts in a moment, and two pose libraries."""

import pytest
import torch

from fetusmap.anatomy import channel_per_landmark, load_skeleton
from fetusmap.atlas import save_library
from fetusmap.detect import Detector, SinglePass, WholeVolumeGrid
from fetusmap.model import save_model
from fetusmap.network import LandWidths, build_land
from fetusmap.quality import Calibration, Logistic
from fetusmap.simulate import draw_poses


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A model of the paper's network, tiny and with fresh weights, and two libraries."""
    torch.manual_seed(0)
    skeleton = load_skeleton()
    network = build_land(LandWidths((8, 8)), own_statistics=True).eval()
    plain = Detector(network, WholeVolumeGrid(3.0), channel_per_landmark(skeleton))
    place = tmp_path_factory.mktemp("small")
    flat = Logistic(intercept=0.0, weights=(0.0,) * 4)
    sure = Calibration(landmark=flat, case=flat, fetus=flat, sides=flat, cases=1, empty_cases=1)
    pipeline = SinglePass(skeleton, plain, draw_poses(20, seed=1).on(skeleton))
    save_model(pipeline, sure, place / "model", name="small", made_by={}, metrics={})
    for seed in (2, 3):
        save_library(draw_poses(40, seed=seed).on(skeleton), place / f"{seed}.safetensors")
    return place

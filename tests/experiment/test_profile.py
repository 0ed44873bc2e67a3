"""Profiles of the experiment."""

import pytest
from pydantic import ValidationError

from fetusmap.experiment import NETWORKS, PROFILES, Profile
from fetusmap.train import PAPER

STAGES = {
    "Land": "land", "RNN": "rnn", "GAN": "gan", "GRU": "rnn", "Sides": "land", "Pairs": "land",
}  # fmt: skip


def test_the_paper_profile_is_the_papers_recipe():
    paper = PROFILES["paper"]
    assert (paper.cases, paper.training_cases, paper.r4_scale, paper.gcp_scale) == (
        152,
        100,
        0.4,
        0.5,
    )
    for network in NETWORKS:
        config = paper.training_config(network)
        for name in (
            "learning_rate", "warmup", "decay_part", "clip", "average", "precision", "sigma_voxels",
            "widths", "intensities", "own_statistics", "steps", "batch",
        ):  # fmt: skip
            assert getattr(config, name) == getattr(PAPER, name), name
        assert (config.steps, config.learning_rate, config.batch) == (16_000, 1e-3, 1)
        assert config.spacing_mm == {"R4": 1.25, "GCP": 1.0}[network.size]
        assert config.checkpointing == {"R4": "none", "GCP": "paper"}[network.size]
        assert (config.dataset, config.split, config.validation_cases) == ("cohort", "train", 0)
        assert config.stage == STAGES[network.family]
        assert getattr(config, "gated", False) == (network.family == "GRU")


def test_all_networks_each_once_and_one_for_tuning():
    assert len({network.name for network in NETWORKS}) == len(NETWORKS) == 11
    assert [network.name for network in NETWORKS if network.for_tuning] == ["Land-R4-tuning"]


def test_flips_and_rotations_belong_to_the_presentation():
    def symmetry(**fields):
        return Profile(name="own", **fields).training_config(NETWORKS[0]).symmetry

    assert symmetry() == "right-angles"
    assert symmetry(presentation="clinical") == "flips"
    assert symmetry(presentation="clinical", standard_part=0.8) == "sagittal-flip"
    assert symmetry(presentation="standard") == "sagittal-flip"


def test_the_differences_from_the_paper_are_listed():
    always = PROFILES["paper"].differences
    assert len(always) == 6
    assert always[5].startswith("fetuses lie in any direction")
    assert always[0].startswith("152 simulated fetuses instead of 152 recorded ones")
    cpu = PROFILES["cpu"].differences
    assert cpu[:6] == always
    assert "input at scale 0.16 (R4) and 0.2 (GCP) instead of 0.4 and 0.5" in cpu
    assert "6400 training steps instead of 16000 (20 epochs of 800)" in cpu
    assert "bfloat16 instead of float32" in cpu
    mini = PROFILES["mini"].differences
    assert "24 training and 8 test cases instead of 100 and 52" in mini
    assert "volumes of the preset half instead of voxels of 0.5 mm" in mini


@pytest.mark.parametrize(
    "wrong",
    [
        {"training_cases": 9},
        {"training_cases": 11},
        {"training_cases": 152},
        {"cases": 5},
        {"r4_scale": 0},
        {"standard_part": 0.5},
        {"presentation": "breech"},
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValidationError):
        Profile(name="wrong", **wrong)

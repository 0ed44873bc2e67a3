"""The configuration of a run: what it refuses, and that it comes back from its file."""

import pytest
from pydantic import ValidationError

from fetusmap.errors import BadInput
from fetusmap.files.documents import parse_document
from fetusmap.network import LandWidths, UNetWidths, build_unet, plan, scale_shape
from fetusmap.train import PAPER, TrainingConfig


@pytest.mark.parametrize("stage", ["coarse", "canonical"])
def test_a_stage_is_all_that_must_be_said(stage):
    config = TrainingConfig(stage=stage)
    assert config.steps is None
    assert config.dataset is None
    assert len({config.case_seed, config.validation_seed}) == 2  # held out means held out
    build_unet(UNetWidths(config.widths))


def test_the_papers_recipe_is_a_configuration_of_its_network():
    """Of the widths that plans of memory are made for."""
    config = TrainingConfig(stage="land", **PAPER)
    assert config.steps == 20 * 800
    assert (config.batch, config.learning_rate, config.average) == (1, 1e-3, 0)
    assert (config.warmup, config.decay_part, config.weight_decay) == (0, 0, 0)
    assert (config.sigma_voxels, config.precision) == (2, "32-true")
    assert LandWidths(config.widths) == LandWidths()
    shape = scale_shape((110, 102, 130), 0.8)
    assert plan("12GB", shape, LandWidths(config.widths)).shape == shape == (88, 82, 104)
    assert TrainingConfig.model_validate_json(config.model_dump_json()) == config


def test_it_comes_back_from_its_file():
    config = TrainingConfig(
        stage="coarse", steps=7, widths=(8, 16), dataset="some/where", learning_rate=1 / 3
    )
    assert TrainingConfig.model_validate_json(config.model_dump_json()) == config


def test_text_from_a_command_line_becomes_numbers():
    config = TrainingConfig.model_validate({"stage": "coarse", "batch": "4", "clip": "0.5"})
    assert (config.batch, config.clip) == (4, 0.5)


def test_it_cannot_be_changed():
    with pytest.raises(ValidationError):
        TrainingConfig(stage="coarse").steps = 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stage", "fine"),
        ("steps", 0),
        ("steps", 2.5),
        ("minutes", 0),
        ("minutes", float("nan")),
        ("batch", 0),
        ("learning_rate", 0),
        ("learning_rate", float("inf")),
        ("warmup", -1),
        ("decay_part", 1.1),
        ("weight_decay", -0.1),
        ("clip", 0),
        ("average", 1),
        ("average", -0.1),
        ("sigma_voxels", 0),
        ("cases", 0),
        ("validation_cases", -1),
        ("validate_every", 0),
        ("checkpoint_minutes", -1),
        ("momentum", 0.9),
        ("widths", (12, 16)),
        ("widths", ()),
    ],
)
def test_what_makes_no_run_is_refused_in_one_line(field, value):
    plain = {"stage": "coarse", field: value}
    with pytest.raises(BadInput, match=field) as caught:
        parse_document(TrainingConfig, plain, "config.json")
    assert "\n" not in str(caught.value)


def test_a_configuration_without_a_stage_is_refused():
    with pytest.raises(BadInput, match="stage"):
        parse_document(TrainingConfig, {"steps": 3}, "config.json")

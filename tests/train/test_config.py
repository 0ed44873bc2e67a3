"""Training configurations: one type per stage, what they refuse, and their round trip."""

import pytest
from pydantic import ValidationError

from fetusmap.errors import BadInput
from fetusmap.network import LandWidths, RecurrentLand, UNet, spec_of
from fetusmap.train import (
    CONFIG_OF_STAGE,
    PAPER,
    CoarseConfig,
    LandConfig,
    RnnConfig,
    parse_training_config,
    stage_of,
)

COMMON = {
    "stage", "seed", "steps", "minutes", "learning_rate", "warmup", "decay_part", "clip",
    "average", "sigma_voxels", "widths", "intensities", "precision", "init", "dataset", "split",
    "validation_split", "cases", "case_seed", "validation_cases", "validation_seed",
    "validate_every", "checkpoint_minutes",
}  # fmt: skip
UNET = COMMON | {"batch", "weight_decay"}
LAND = COMMON | {
    "spacing_mm",
    "checkpointing",
    "own_statistics",
    "symmetry",
    "side_weight",
    "pair_channels",
}
GAN = LAND | {"adversarial_weight", "discriminator_rate", "spectral"}
RNN = LAND | {"recurrent_turns", "gated"}


@pytest.mark.parametrize(
    ("stage", "fields"),
    [
        ("coarse", UNET),
        ("canonical", UNET),
        ("land", LAND),
        ("gan", GAN),
        ("rnn", RNN),
    ],
)
def test_a_stage_has_the_fields_that_affect_it_and_no_others(stage, fields):
    assert set(CONFIG_OF_STAGE[stage].model_fields) == fields
    other = next(iter((UNET | GAN | RNN) - fields))
    with pytest.raises(BadInput, match=other):
        parse_training_config({"stage": stage, other: 1}, "config.json")


@pytest.mark.parametrize("stage", ["coarse", "canonical"])
def test_a_stage_is_the_only_field_that_must_be_given(stage, skeleton):
    config = parse_training_config({"stage": stage}, "config.json")
    assert config.steps is None
    assert config.dataset is None
    assert config.case_seed != config.validation_seed
    assert isinstance(stage_of(config, skeleton).build(), UNet)


def test_a_configuration_names_the_network_that_is_built(skeleton):
    config = RnnConfig(widths=(8, 16), recurrent_turns=2, own_statistics=False)
    network = stage_of(config, skeleton).build()
    assert isinstance(network, RecurrentLand)
    assert spec_of(network) == config.network
    assert network.widths.outputs == len(skeleton)


def test_the_papers_recipe_is_a_configuration_of_its_network():
    """Its widths are those for which memory is planned by default."""
    config = PAPER
    assert config == LandConfig()
    assert config.steps == 20 * 800
    assert (config.batch, config.learning_rate, config.average) == (1, 1e-3, 0)
    assert (config.warmup, config.decay_part, config.clip) == (0, 0, None)
    assert (config.sigma_voxels, config.precision) == (2, "32-true")
    assert LandWidths(config.widths) == LandWidths()
    assert parse_training_config(config.model_dump(mode="json"), "config.json") == config


def test_it_comes_back_from_its_file():
    config = CoarseConfig(
        steps=7, widths=(8, 16), dataset="some/where", learning_rate=1 / 3, init="a/model"
    )
    assert parse_training_config(config.model_dump(mode="json"), "config.json") == config


def test_text_from_a_command_line_becomes_numbers():
    config = parse_training_config({"stage": "coarse", "batch": "4", "clip": "0.5"}, "--set")
    assert (config.batch, config.clip) == (4, 0.5)


def test_it_cannot_be_changed():
    with pytest.raises(ValidationError):
        CoarseConfig().steps = 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stage", "fine"),
        ("steps", 0),
        ("steps", 2.5),
        ("minutes", 0),
        ("minutes", float("nan")),
        ("batch", 0),
        ("init", 3),
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
        parse_training_config(plain, "config.json")
    assert "\n" not in str(caught.value)


def test_a_configuration_without_a_stage_is_refused():
    with pytest.raises(BadInput, match="stage"):
        parse_training_config({"steps": 3}, "config.json")

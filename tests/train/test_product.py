"""The model of a training run: a folder that `predict` can use, and a card that describes it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import fetusmap as fm
from fetusmap.anatomy import load_skeleton
from fetusmap.detect import SinglePass, back_to_front
from fetusmap.errors import BadInput
from fetusmap.estimate import PoseEstimator
from fetusmap.model import LIMITS, load_model
from fetusmap.train import ProductConfig, train_product, train_single_pass
from fetusmap.train.calibration import Trial, try_held_out
from fetusmap.train.cases import held_out_cases
from fetusmap.train.config import CALIBRATION_SEED
from fetusmap.train.product import limits_of, summarize
from fetusmap.volume import Volume

HELD_OUT = 3
EMPTY = 2
WITHOUT = {"split", "validation_split", "init"}
"""Fields that do not affect a network that is trained from scratch on simulated cases."""


@pytest.fixture(scope="module", autouse=True)
def patched(forbid_simulation, shrink_grids):
    """Few poses in the library, few held-out cases, small grids, no simulation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fetusmap.train.product.LIBRARY_POSES", 40)
        patch.setattr("fetusmap.train.product.HELD_OUT_CASES", HELD_OUT)
        patch.setattr("fetusmap.train.product.EMPTY_CASES", EMPTY)
        forbid_simulation(patch)
        shrink_grids(patch)
        yield patch


@pytest.fixture(scope="module")
def config(make_config):
    return ProductConfig(make_config(stage="coarse"), make_config(stage="canonical"), name="tiny")


@pytest.fixture(scope="module")
def product(filled_cache, config, tmp_path_factory):
    """A two-pass model, trained once, with what was reported and calibrated on the way."""
    folder = tmp_path_factory.mktemp("product")
    reported, tried = [], []

    def listen(pipeline, cases, mistake, **settings):
        tried.append((pipeline, cases, mistake, settings))
        return try_held_out(pipeline, cases, mistake, **settings)

    def report(name, metrics):
        reported.append((name, metrics["step"]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fetusmap.train.product.try_held_out", listen)
        card = train_product(config, folder, filled_cache, workers=0, report=report)
    return SimpleNamespace(folder=folder, card=card, reported=reported, tried=tried)


def files_of(folder):
    return {path.name: path.read_bytes() for path in (folder / "model").iterdir()}


def refuse(name, metrics):
    raise AssertionError(metrics)


def trial(errors, right=True):
    return Trial(None, np.array(errors, dtype=float), right)


def test_both_networks_library_and_calibration_become_a_model(product, config, more):
    steps = range(1, 7)
    assert product.reported == [(name, step) for name in ("coarse", "canonical") for step in steps]
    cascade, card = load_model(product.folder / "model")
    assert card == product.card
    assert card.name == "tiny"
    assert card.metrics["cases"] == card.calibration.cases == HELD_OUT
    assert card.calibration.empty_cases == EMPTY
    assert list(card.metrics["mean_mm_per_landmark"]) == list(more.landmarks)
    for one in (config.coarse, config.canonical):
        assert card.made_by[one.stage] == one.model_dump(mode="json", exclude=WITHOUT)
        assert not {"spacing_mm", "checkpointing", "recurrent_turns"} & set(card.made_by[one.stage])
    assert (card.made_by["device"], card.limits) == ("cpu", LIMITS)
    assert card.made_by["library"] == "40 simulated poses"
    assert card.made_by["calibration_data"] == "3 cases: simulated volumes"
    assert card.metrics["without_a_body"] == 0
    assert len(cascade.library) == 40
    assert cascade.skeleton == cascade.library.skeleton == more
    assert (len(cascade.coarse.channels), len(cascade.canonical.channels)) == (14, 22)
    assert cascade.coarse.input_grid.spacing_mm == 2.0
    in_body = cascade.canonical.input_grid
    assert (in_body.step, in_body.shape) == (0.09, (32, 32, 32))
    for detector, stage in ((cascade.coarse, "coarse"), (cascade.canonical, "canonical")):
        content = torch.load(product.folder / stage / "checkpoint.pt", weights_only=True)
        averaged = content["average"]["network"]
        for name, tensor in detector.network.state_dict().items():
            assert torch.equal(tensor, averaged[name].half().float())


def test_repeating_it_trains_nothing_anew_and_gives_the_same_model(product, filled_cache, config):
    content = files_of(product.folder)
    card = train_product(config, product.folder, filled_cache, workers=0, report=refuse)
    assert card == product.card
    assert files_of(product.folder) == content


def test_another_configuration_is_refused_before_anything_is_trained(
    product, filled_cache, config, make_config
):
    other = ProductConfig(config.coarse, make_config(stage="canonical", seed=7))
    with pytest.raises(BadInput, match="seed"):
        train_product(other, product.folder, filled_cache, workers=0, report=refuse)


def test_its_deliberate_mistake_is_the_body_seen_from_behind(product):
    ((cascade, cases, mistake, settings),) = product.tried
    assert len(cases) == HELD_OUT
    assert settings == {"seed": CALIBRATION_SEED, "empty": EMPTY}
    assert all(case.visible.any() for case in cases)
    assert product.card.metrics["cases"] == HELD_OUT  # mistakes do not count there

    volume = Volume(cases[0].array, cases[0].grid)
    found = cascade.detect(volume)[0]
    expected = cascade.detect_in_frame(volume, back_to_front(found.frame))
    made = mistake(volume, found)
    assert np.array_equal(made.positions_mm, expected.positions_mm)
    assert np.array_equal(made.first_pass_mm, found.first_pass_mm, equal_nan=True)
    assert not np.array_equal(expected.positions_mm, found.positions_mm)


# Networks over the whole volume


STAGES = ("land", "gan", "rnn")


@pytest.fixture(scope="module")
def config_of(make_config):
    def make(stage):
        changed = {"widths": (8, 16), "spacing_mm": 3.0, "validation_cases": 0}
        return make_config(stage, **changed, steps=6 if stage == "land" else 2)

    return make


@pytest.fixture(scope="module")
def singles(config_of, filled_cache, tmp_path_factory):
    """A function of a stage: its model, trained once, with the networks before they were saved."""
    made = {}

    def train_once(stage):
        if stage not in made:
            folder = tmp_path_factory.mktemp(stage)
            reported = []
            card = single_pass(
                config_of(stage),
                folder,
                filled_cache,
                lambda name, metrics: reported.append((name, metrics["step"])),
            )
            made[stage] = SimpleNamespace(folder=folder, card=card, reported=reported)
        return made[stage]

    return train_once


def single_pass(config, folder, cache, report=lambda *_: None):
    return train_single_pass(config, folder, cache, name="small", workers=0, report=report)


def test_the_papers_network_library_and_calibration_become_a_model(singles, config_of, skeleton):
    land = singles("land")
    assert land.reported == [("land", step) for step in range(1, 7)]
    single, card = load_model(land.folder / "model")
    assert card == land.card
    assert isinstance(single, SinglePass)
    assert card.name == "small"
    assert list(card.passes) == ["plain"]
    assert card.metrics["cases"] == card.calibration.cases == HELD_OUT
    assert card.calibration.empty_cases == EMPTY
    assert card.made_by["land"] == config_of("land").model_dump(mode="json", exclude=WITHOUT)
    assert not {"batch", "weight_decay", "adversarial_weight"} & set(card.made_by["land"])
    assert not {"coarse", "canonical"} & set(card.made_by)
    assert len(single.library) == 40
    assert single.skeleton == skeleton
    assert single.plain.channels.names == skeleton.landmarks
    assert single.plain.input_grid.spacing_mm == 3.0


@pytest.mark.parametrize("stage", STAGES)
def test_every_network_over_the_whole_volume_is_saved_loaded_and_used(
    singles, make_numbered, stage, skeleton
):
    """Its weights are those of the run, in half precision, and its heatmaps the same to the bit."""
    folder = singles(stage).folder
    single, card = load_model(folder / "model")
    assert single.skeleton == single.library.skeleton == skeleton
    expected = {"land": "land", "gan": "land", "rnn": "recurrent-land"}[stage]
    assert card.passes["plain"].network == expected
    averaged = torch.load(folder / stage / "checkpoint.pt", weights_only=True)["average"]["network"]
    network = single.plain.network
    weights = dict(network.named_parameters())
    assert network.state_dict().keys() == averaged.keys()
    for name, tensor in network.state_dict().items():
        kept = averaged[name].half().float() if name in weights else averaged[name]
        assert torch.equal(tensor, kept), name

    case = make_numbered(skeleton, 3, 0)
    volume = Volume(case.array, case.grid)
    again, _ = load_model(folder / "model")
    first, second = (one.detect(volume)[0].heatmaps.array for one in (single, again))
    assert torch.equal(first, second)
    pose = PoseEstimator.from_pretrained(folder / "model")(volume).pose
    assert pose.provenance.model == "small"
    assert pose.present.any()


def test_repeating_the_papers_recipe_trains_nothing_anew(singles, config_of, filled_cache):
    land = singles("land")
    content = files_of(land.folder)
    assert single_pass(config_of("land"), land.folder, filled_cache, refuse) == land.card
    assert files_of(land.folder) == content


def test_a_network_that_finds_no_body_makes_no_model(
    filled_cache, config_of, monkeypatch, tmp_path
):
    """The error is one line, and the network can be trained further."""
    monkeypatch.setattr(SinglePass, "detect", lambda *_, **__: [])
    config = config_of("land").model_copy(update={"steps": 1})
    with pytest.raises(BadInput, match="found none; train longer") as caught:
        single_pass(config, tmp_path, filled_cache)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model" / "card.json").exists()
    assert (tmp_path / "land" / "checkpoint.pt").is_file()


def test_a_dataset_that_is_not_there_is_refused_before_a_run_begins(
    filled_cache, config_of, tmp_path
):
    missing = config_of("land").model_copy(update={"dataset": str(tmp_path / "data")})
    with pytest.raises(BadInput, match="expected a dataset"):
        single_pass(missing, tmp_path / "run", filled_cache)
    assert not (tmp_path / "run").exists()


# Metrics and limits of the card


def test_metrics_by_hand():
    trials = [trial([1, 3, np.nan]), trial([30, 12, 6], right=False)]
    found = summarize(trials, ("a", "b", "c"))
    assert found["cases"] == 2
    assert found["mean_mm"] == pytest.approx(52 / 5)
    assert found["median_mm"] == 6
    assert found["auc_10_mm"] == pytest.approx(100 * (0.9 + 0.7 + 0 + 0 + 0.4) / 5)
    assert found["cases_above_10_mm"] == 1
    assert found["wrong_sides"] == 1
    assert found["mean_mm_per_landmark"] == {"a": 15.5, "b": 7.5, "c": 6}
    assert found["median_mm_per_landmark"] == {"a": 15.5, "b": 7.5, "c": 6}


def test_a_landmark_that_is_visible_in_no_case_has_no_mean():
    trials = [trial([1, np.nan]), trial([3, np.nan])]
    found = summarize(trials, ("a", "b"))
    assert found["mean_mm_per_landmark"] == {"a": 2, "b": None}
    assert found["median_mm_per_landmark"] == {"a": 2, "b": None}
    assert (found["mean_mm"], found["median_mm"]) == (2, 2)


def test_metrics_are_plain_numbers():
    found = summarize([trial([1 / 3] * 16)], load_skeleton().landmarks)
    assert found["mean_mm"] == 0.333
    assert all(
        isinstance(found[name], (int, float)) for name in ("cases", "mean_mm", "wrong_sides")
    )


def test_a_card_says_on_what_a_model_was_trained_and_measured(make_config, filled_cache, tmp_path):
    """A dataset's split for validation is measured on; without one, simulated volumes are."""
    grid = fm.Grid.from_spacing((16, 17, 18), 4.0)
    for name, splits in (("plain", {}), ("held", {"train": ("a",), "val": ("b",)})):
        with fm.DatasetWriter(
            tmp_path / name, name=name, licence="CC0-1.0", skeleton=fm.load_skeleton()
        ) as writer:
            for case in ("a", "b"):
                volume = fm.Volume(np.ones(grid.shape, np.uint8), grid, name=case)
                writer.add(volume, fm.reference_pose(40.0))
            writer.splits = splits

    def limits(config):
        return limits_of(config, held_out_cases(config, filled_cache, 3, 7))

    said = [
        limits(make_config(dataset=str(tmp_path / name)))[0].partition(". ")[0]
        for name in ("plain", "held")
    ]
    trained = "Trained on the dataset {}; measured and calibrated on {}"
    assert said[0] == trained.format("plain", "simulated volumes (7 cases)")
    assert said[1] == trained.format("held", "its split val (1 cases)")
    assert limits(make_config()) == LIMITS

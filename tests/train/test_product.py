"""The product's model: a folder that `predict` can use, with an honest card."""

import numpy as np
import pytest
import torch

from fetusmap.anatomy import load_skeleton
from fetusmap.detect import load_model
from fetusmap.errors import BadInput
from fetusmap.train import ProductConfig, train_product
from fetusmap.train.calibration import Trial
from fetusmap.train.product import summarize

HELD_OUT = 3
EMPTY = 2


@pytest.fixture
def few(monkeypatch):
    """Few poses in the library, and few held-out cases."""
    monkeypatch.setattr("fetusmap.train.product.LIBRARY_POSES", 40)
    monkeypatch.setattr("fetusmap.train.product.HELD_OUT_CASES", HELD_OUT)
    monkeypatch.setattr("fetusmap.train.product.EMPTY_CASES", EMPTY)


@pytest.fixture
def config(make_config):
    return ProductConfig(make_config(stage="coarse"), make_config(stage="canonical"), name="tiny")


def trial(errors, right=True):
    return Trial(None, 0.1, np.array(errors, dtype=float), right)


@pytest.mark.usefixtures("small_looks", "few")
def test_both_networks_library_and_calibration_become_a_model(cache, config, tmp_path, skeleton):
    reported = []
    card = train_product(
        config,
        tmp_path,
        cache,
        workers=0,
        report=lambda name, m: reported.append((name, m["step"])),
    )
    steps = range(1, 7)
    assert reported == [(name, step) for name in ("coarse", "canonical") for step in steps]

    cascade, loaded = load_model(tmp_path / "model")
    assert loaded == card
    assert card.name == "tiny"
    assert card.metrics["cases"] == card.calibration.cases == HELD_OUT
    assert card.calibration.empty_cases == EMPTY
    assert list(card.metrics["mean_mm_per_landmark"]) == list(skeleton.landmarks)
    assert card.made_by["coarse"] == config.coarse.model_dump(mode="json")
    assert card.made_by["canonical"] == config.canonical.model_dump(mode="json")
    assert len(cascade.library) == 40
    assert cascade.skeleton == skeleton
    assert (len(cascade.coarse.channels), len(cascade.canonical.channels)) == (10, 16)
    assert cascade.coarse.look.spacing_mm == 2.0
    assert (cascade.canonical.look.step, cascade.canonical.look.shape) == (0.09, (32, 32, 32))
    for detector, stage in ((cascade.coarse, "coarse"), (cascade.canonical, "canonical")):
        content = torch.load(tmp_path / stage / "checkpoint.pt", weights_only=True)
        averaged = content["average"]["network"]
        for name, tensor in detector.network.state_dict().items():
            assert torch.equal(tensor, averaged[name].half().float())


@pytest.mark.usefixtures("small_looks", "few")
def test_repeating_it_trains_nothing_anew_and_gives_the_same_model(cache, config, tmp_path):
    first = train_product(config, tmp_path, cache, workers=0, report=lambda *_: None)
    content = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}

    def refuse(name, metrics):
        raise AssertionError(metrics)

    assert train_product(config, tmp_path, cache, workers=0, report=refuse) == first
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == content


@pytest.mark.usefixtures("small_looks", "few")
def test_another_configuration_is_refused_before_anything_is_trained(
    cache, config, make_config, tmp_path
):
    train_product(config, tmp_path, cache, workers=0, report=lambda *_: None)
    other = ProductConfig(config.coarse, make_config(stage="canonical", seed=7))
    with pytest.raises(BadInput, match="seed"):
        train_product(other, tmp_path, cache, workers=0, report=lambda *_: None)


# Its metrics


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


def test_metrics_are_plain_numbers():
    found = summarize([trial([1 / 3] * 16)], load_skeleton().landmarks)
    assert found["mean_mm"] == 0.333
    assert all(
        isinstance(found[name], (int, float)) for name in ("cases", "mean_mm", "wrong_sides")
    )

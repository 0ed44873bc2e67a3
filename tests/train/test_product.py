"""The product's model: a folder that `predict` can use, with an honest card."""

import numpy as np
import pytest
import torch

import fetusmap as fm
from fetusmap.anatomy import load_skeleton
from fetusmap.detect import SinglePass
from fetusmap.detect.cascade import turn_around
from fetusmap.errors import BadInput
from fetusmap.estimate import PoseEstimator
from fetusmap.model import load_model
from fetusmap.model.model_file import LIMITS
from fetusmap.train import PAPER, ProductConfig, train_product, train_single_pass
from fetusmap.train.calibration import Trial, try_cases
from fetusmap.train.product import _limits, summarize
from fetusmap.volume import Volume

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
    return Trial(None, np.array(errors, dtype=float), right)


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
    unused = {"spacing_mm", "checkpointing", "own_statistics"}  # had no say
    without = unused | {"split", "validation_split"}
    for one in (config.coarse, config.canonical):
        assert card.made_by[one.stage] == one.model_dump(mode="json", exclude=without)
    assert (card.made_by["device"], card.limits) == ("cpu", LIMITS)
    assert card.metrics["without_a_body"] == 0
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


@pytest.mark.usefixtures("small_looks", "few")
def test_its_deliberate_mistake_is_the_body_looked_at_back_to_front(
    cache, config, monkeypatch, tmp_path
):
    """Cases without a fetus are shown without any."""
    asked = []

    def listen(pipeline, cases, mistake=None):
        cases = list(cases)
        asked.append((pipeline, cases, mistake))
        return try_cases(pipeline, cases, mistake)

    monkeypatch.setattr("fetusmap.train.product.try_cases", listen)
    card = train_product(config, tmp_path, cache, workers=0, report=lambda *_: None)
    (cascade, cases, mistake), (_, empty, none) = asked
    assert (len(cases), len(empty), none) == (HELD_OUT, EMPTY, None)
    assert all(case.visible.any() for case in cases)
    assert not any(case.visible.any() for case in empty)
    assert card.metrics["cases"] == HELD_OUT  # mistakes do not count there

    volume = Volume(cases[0].array, cases[0].grid)
    found = cascade.detect(volume)[0]
    expected = cascade.refine_frame(volume, turn_around(found.frame))
    assert np.array_equal(mistake(volume, found).positions_mm, expected.positions_mm)
    assert not np.array_equal(expected.positions_mm, found.positions_mm)


# The paper's network


@pytest.fixture
def paper(make_config):
    return make_config(**{**PAPER, "stage": "land", "steps": 6, "widths": (8, 16), "spacing_mm": 3})


def single_pass(config, folder, cache, report=lambda *_: None):
    return train_single_pass(config, folder, cache, name="small", workers=0, report=report)


@pytest.mark.usefixtures("few")
def test_the_papers_network_library_and_calibration_become_a_model(
    cache, paper, make_numbered, tmp_path, skeleton
):
    reported = []
    card = single_pass(paper, tmp_path, cache, lambda name, m: reported.append((name, m["step"])))
    assert reported == [("land", step) for step in range(1, 7)]

    single, loaded = load_model(tmp_path / "model")
    assert loaded == card
    assert isinstance(single, SinglePass)
    assert card.name == "small"
    assert list(card.passes) == ["plain"]
    assert card.metrics["cases"] == card.calibration.cases == HELD_OUT
    assert card.calibration.empty_cases == EMPTY
    without = {"split", "validation_split"}
    assert card.made_by["land"] == paper.model_dump(mode="json", exclude=without)
    assert not {"coarse", "canonical"} & set(card.made_by)
    assert len(single.library) == 40
    assert single.skeleton == skeleton
    assert single.plain.channels.names == skeleton.landmarks
    assert single.plain.look.spacing_mm == 3.0
    content = torch.load(tmp_path / "land" / "checkpoint.pt", weights_only=True)
    averaged = content["average"]["network"]
    network = single.plain.network
    weights = dict(network.named_parameters())
    for name, tensor in network.state_dict().items():
        kept = averaged[name].half().float() if name in weights else averaged[name]
        assert torch.equal(tensor, kept), name

    case = make_numbered(3, 0)
    pose = PoseEstimator.from_pretrained(tmp_path / "model")(Volume(case.array, case.grid)).pose
    assert pose.provenance.model == "small"
    assert pose.present.any()


@pytest.mark.usefixtures("few")
def test_repeating_the_papers_recipe_trains_nothing_anew(cache, paper, tmp_path):
    first = single_pass(paper, tmp_path, cache)
    content = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}

    def refuse(name, metrics):
        raise AssertionError(metrics)

    assert single_pass(paper, tmp_path, cache, refuse) == first
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == content


@pytest.mark.usefixtures("few")
def test_a_network_that_finds_no_body_makes_no_model(cache, paper, monkeypatch, tmp_path):
    """It is told in one line, and what is trained can be trained on."""
    monkeypatch.setattr(SinglePass, "detect", lambda *_, **__: [])
    with pytest.raises(BadInput, match="found none; train longer") as caught:
        single_pass(paper, tmp_path, cache)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model" / "card.json").exists()
    assert (tmp_path / "land" / "checkpoint.pt").is_file()


def test_a_dataset_that_is_not_there_is_refused_before_a_run_begins(cache, paper, tmp_path):
    missing = paper.model_copy(update={"dataset": str(tmp_path / "data")})
    with pytest.raises(BadInput, match="expected a dataset"):
        single_pass(missing, tmp_path / "run", cache)
    assert not (tmp_path / "run").exists()


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


def test_a_card_says_on_what_a_model_was_trained_and_measured(make_config, tmp_path):
    """A dataset's split for validation is measured on; without one, simulated volumes are."""
    grid = fm.Grid.from_spacing((16, 17, 18), 4.0)
    for name, splits in (("plain", {}), ("held", {"train": ("a",), "val": ("b",)})):
        with fm.DatasetWriter(tmp_path / name, name=name, licence="CC0-1.0") as writer:
            for case in ("a", "b"):
                volume = fm.Volume(np.ones(grid.shape, np.uint8), grid, name=case)
                writer.add(volume, fm.reference_pose(40.0))
            writer.splits = splits
    said = [
        _limits(make_config(dataset=str(tmp_path / name)))[0].partition(". ")[0]
        for name in ("plain", "held")
    ]
    trained = "Trained on the dataset {}; measured and calibrated on {}"
    assert said[0] == trained.format("plain", "simulated volumes")
    assert said[1] == trained.format("held", "its split val")
    assert _limits(make_config()) == LIMITS

"""`fetusmap train`: its configurations, what it refuses, and the model that it writes."""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import fetusmap as fm
from fetusmap.anatomy import built_in_skeletons
from fetusmap.detect import BodyFrameGrid, SinglePass, WholeVolumeGrid
from fetusmap.estimate import PoseEstimator
from fetusmap.model import load_model
from fetusmap.network import LandWidths, build_land, plan, predict_peak_bytes
from fetusmap.train import LandConfig, ProductConfig
from fetusmap.train.cases import TrainingCase, cached, simulated_pool


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The arguments of training, which is not run."""
    asked = SimpleNamespace(config=None, folder=None, cache=None, workers=None)

    def listen(
        config: ProductConfig,
        folder: Path,
        cache: Path,
        *,
        workers: int,
        report: Any,
        device: str,
    ) -> Any:
        asked.device = device
        asked.config, asked.folder, asked.cache, asked.workers = config, folder, cache, workers
        report("coarse", {"step": 1, "loss": 2.0, "pace": 60.0})
        report("coarse", {"step": 2, "steps": 4, "loss": 2.0, "pace": 60.0})
        validation = {
            "validation_mm": 5.0,
            "validation_median_mm": 3.456,
            "validation_loss": 1.2345,
        }
        report("canonical", {"step": 4, "steps": 4, "loss": 1.0, "pace": 60.0, **validation})
        return SimpleNamespace(metrics={"mean_mm": 1.75, "cases": 160})

    monkeypatch.setattr("fetusmap.cli.train.train_product", listen)
    return asked


@pytest.fixture
def asked_land(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The arguments of training the paper's network, which is not run."""
    asked = SimpleNamespace(config=None, name=None)

    def listen(
        config: LandConfig,
        folder: Path,
        cache: Path,
        *,
        name: str,
        workers: int,
        report: Any,
        device: str,
    ) -> Any:
        asked.device = device
        asked.config, asked.folder, asked.cache = config, folder, cache
        asked.name, asked.workers = name, workers
        report("land", {"step": 1, "loss": 2.0, "pace": 60.0})
        return SimpleNamespace(metrics={"mean_mm": 4.5, "cases": 160})

    monkeypatch.setattr("fetusmap.cli.train.train_single_pass", listen)
    monkeypatch.setattr(
        "fetusmap.cli.train.train_product", lambda *_, **__: pytest.fail("not this one")
    )
    return asked


# Configurations


def test_without_options_it_makes_the_model_that_ships(
    fetusmap: Callable, asked: SimpleNamespace, tmp_path: Path
) -> None:
    """Steps are counted then, so that the same model is made on any machine."""
    assert fetusmap("train", "-o", tmp_path / "run").code == 0
    coarse, canonical = asked.config.coarse, asked.config.canonical
    for config, stage in ((coarse, "coarse"), (canonical, "canonical")):
        assert config.steps > 1000
        assert config.stage == stage
        assert config == type(config)(steps=config.steps)
    assert (asked.folder, asked.cache) == (tmp_path / "run", tmp_path / "run" / "cases")
    assert asked.workers == 2
    assert asked.config.name == "run"


def test_it_says_how_good_the_networks_are_and_where_the_model_is(
    fetusmap: Callable, asked: SimpleNamespace, tmp_path: Path
) -> None:
    outcome = fetusmap("train", "-o", tmp_path / "run")
    model = tmp_path / "run" / "model"
    assert outcome.out.splitlines() == [
        "canonical step 4: held-out loss 1.234, median error 3.46 mm",
        f"{model}: mean error 1.75 mm over 160 held-out cases; use it with --model {model}",
    ]


def test_without_a_terminal_no_progress_is_printed(
    fetusmap: Callable, asked: SimpleNamespace, tmp_path: Path
) -> None:
    """Not even an empty line, as with the other commands."""
    assert fetusmap("train", "-o", tmp_path / "run").err == ""


@pytest.mark.parametrize("minutes", [30, 0.5])
def test_minutes_are_split_between_the_networks(
    fetusmap: Callable, asked: SimpleNamespace, tmp_path: Path, minutes: float
) -> None:
    assert fetusmap("train", "-o", tmp_path / "run", "--minutes", minutes).code == 0
    coarse, canonical = asked.config.coarse, asked.config.canonical
    assert (coarse.steps, canonical.steps) == (None, None)
    assert coarse.minutes + canonical.minutes == pytest.approx(minutes)
    assert 0 < coarse.minutes < canonical.minutes


def test_settings_are_for_both_networks_or_for_one(
    fetusmap: Callable, asked: SimpleNamespace, tmp_path: Path
) -> None:
    words = ["learning_rate=1e-3", "canonical.batch=4", "coarse.seed=7", "coarse.learning_rate=0.5"]
    options = [part for word in words for part in ("--set", word)]
    assert fetusmap("train", "-o", tmp_path / "run", *options).code == 0
    coarse, canonical = asked.config.coarse, asked.config.canonical
    assert (coarse.learning_rate, canonical.learning_rate) == (0.5, 1e-3)  # the last one counts
    assert (coarse.batch, canonical.batch) == (2, 4)
    assert (coarse.seed, canonical.seed) == (7, 0)


def test_steps_can_be_set(fetusmap: Callable, asked: SimpleNamespace, tmp_path: Path) -> None:
    assert fetusmap("train", "-o", tmp_path / "run", "--set", "canonical.steps=11").code == 0
    assert asked.config.canonical.steps == 11
    assert asked.config.coarse.steps > 1000


def test_minutes_can_be_set_for_each_network(
    fetusmap: Callable, asked: SimpleNamespace, tmp_path: Path
) -> None:
    """Whether or not there are some in all; the other network keeps to its own."""
    for words, expected in (
        (["--set", "canonical.minutes=3"], ((60.0, True), (3.0, False))),
        (["--set", "minutes=5"], ((5.0, False), (5.0, False))),
        (["--minutes", 30, "--set", "coarse.minutes=5"], ((5.0, False), (18.0, False))),
    ):
        assert fetusmap("train", "-o", tmp_path / "run", *words).code == 0
        for config, (minutes, by_steps) in zip(
            (asked.config.coarse, asked.config.canonical), expected, strict=True
        ):
            assert config.minutes == pytest.approx(minutes)
            assert (config.steps is not None) is by_steps


def test_minutes_and_steps_are_not_both_taken(
    fetusmap: Callable, asked: SimpleNamespace, tmp_path: Path
) -> None:
    words = ("--minutes", 30, "--set", "canonical.steps=11")
    outcome = fetusmap("train", "-o", tmp_path / "run", *words)
    assert outcome.code == 2
    assert outcome.err.startswith("fetusmap: --minutes: expected either minutes or steps")
    assert outcome.err.count("\n") == 1
    assert asked.config is None


def test_steps_of_one_network_can_be_set(
    fetusmap: Callable, asked: SimpleNamespace, tmp_path: Path
) -> None:
    assert fetusmap("train", "-o", tmp_path / "run", "--set", "canonical.steps=11").code == 0
    assert (asked.config.coarse.steps, asked.config.canonical.steps) == (6000, 11)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("case_seed=2", "found 2 for both"),
        ("case_seed=3", "case_seed 3 makes the cases of the calibration"),
        ("spacing_mm=2", "found 'spacing_mm=2'"),
        ("coarse.adversarial_weight=2", "found 'coarse.adversarial_weight=2'"),
        ("widths=8,8,8,8,8", "for 4 widths at most"),
    ],
)
def test_settings_that_would_not_do_what_they_say_are_refused(
    fetusmap: Callable, asked: SimpleNamespace, tmp_path: Path, setting: str, words: str
) -> None:
    outcome = fetusmap("train", "-o", tmp_path / "run", "--set", setting)
    assert outcome.code == 2
    assert outcome.err.startswith("fetusmap: --set: expected ")
    assert words in outcome.err
    assert outcome.err.count("\n") == 1
    assert asked.config is None
    assert not (tmp_path / "run").exists()


def test_widths_can_be_set(fetusmap: Callable, asked: SimpleNamespace, tmp_path: Path) -> None:
    """They are named among the keys; one of these two ways of writing them must do."""
    outcomes = [
        fetusmap("train", "-o", tmp_path / "run", "--set", text)
        for text in ("widths=8,16,24", "widths=[8,16,24]")
    ]
    assert 0 in {outcome.code for outcome in outcomes}
    assert asked.config.coarse.widths == asked.config.canonical.widths == (8, 16, 24)


def test_a_dataset_a_cache_and_workers(
    fetusmap: Callable, asked: SimpleNamespace, tmp_path: Path
) -> None:
    options = ("--cache", tmp_path / "cache", "--workers", 5, "--set", "split=first")
    assert fetusmap("train", tmp_path / "data", "-o", tmp_path / "run", *options).code == 0
    assert (asked.cache, asked.workers) == (tmp_path / "cache", 5)
    for config in (asked.config.coarse, asked.config.canonical):
        assert (config.dataset, config.split) == (str(tmp_path / "data"), "first")


# The paper's network


def test_the_papers_network_is_trained_by_the_papers_recipe(
    fetusmap: Callable, asked_land: SimpleNamespace, tmp_path: Path
) -> None:
    outcome = fetusmap("train", "-o", tmp_path / "run", "--profile", "land", "--workers", 3)
    assert outcome.code == 0
    assert asked_land.config == LandConfig()
    assert (asked_land.folder, asked_land.cache) == (tmp_path / "run", tmp_path / "run" / "cases")
    assert (asked_land.name, asked_land.workers) == ("run", 3)
    model = tmp_path / "run" / "model"
    assert outcome.out.splitlines() == [
        f"{model}: mean error 4.5 mm over 160 held-out cases; use it with --model {model}"
    ]


def test_all_minutes_are_for_the_only_network(
    fetusmap: Callable, asked_land: SimpleNamespace, tmp_path: Path
) -> None:
    for words in (("--minutes", 20), ("--set", "minutes=20"), ("--set", "land.minutes=20")):
        assert fetusmap("train", "-o", tmp_path / "run", "--profile", "land", *words).code == 0
        assert (asked_land.config.minutes, asked_land.config.steps) == (20.0, None)


def test_settings_change_the_papers_recipe(
    fetusmap: Callable, asked_land: SimpleNamespace, tmp_path: Path
) -> None:
    words = ("--set", "seed=2", "--set", "land.widths=8,16", "--set", "checkpointing=lean")
    data = tmp_path / "data"
    assert fetusmap("train", data, "-o", tmp_path / "run", "--profile", "land", *words).code == 0
    changed = {"seed": 2, "widths": (8, 16), "checkpointing": "lean", "dataset": str(data)}
    assert asked_land.config == LandConfig(**changed)


@pytest.mark.parametrize(
    ("memory", "line"),
    [
        # The largest of the simulated volumes at 1 mm, which is scale 0.5 of the paper.
        (
            "16GB",
            "16GB: checkpointing none, voxels of 1.0 mm, peak 12.2 GB for the largest volume "
            "(126 x 118 x 149)",
        ),
        (
            "8GB",
            "8GB: checkpointing norms, voxels of 1.0 mm, peak 6.7 GB for the largest volume "
            "(126 x 118 x 149)",
        ),
    ],
)
def test_memory_decides_the_spacing_and_the_checkpointing(
    fetusmap: Callable, asked_land: SimpleNamespace, tmp_path: Path, memory: str, line: str
) -> None:
    words = ("train", "-o", tmp_path / "run", "--profile", "land", "--memory", memory)
    outcome = fetusmap(*words)
    assert outcome.code == 0
    assert outcome.out.splitlines()[0] == line
    policy = line.split()[2].rstrip(",")
    changed = {"checkpointing": policy, "spacing_mm": 1.0}
    assert asked_land.config == LandConfig(**changed)


def test_memory_is_planned_for_the_widths_that_were_set(
    fetusmap: Callable, asked_land: SimpleNamespace, tmp_path: Path
) -> None:
    """The step that is trained fits, and one a little finer would not, however it is done."""
    words = ("--profile", "land", "--memory", "100MB", "--set", "widths=8,16")
    outcome = fetusmap("train", "-o", tmp_path / "run", *words)
    assert outcome.code == 0
    widths = LandWidths((8, 16))
    average = sum(weight.nbytes for weight in build_land(widths).parameters())
    found = plan(100_000_000 - average, (126, 118, 149), widths)
    assert 0 < found.scale < 1
    config = asked_land.config
    assert config.widths == widths.levels
    assert config.checkpointing == found.policy
    assert config.spacing_mm == pytest.approx(1 / found.scale, abs=1e-4)
    voxels = fm.Grid.from_spacing((126, 118, 149), 1.0).respace(config.spacing_mm).shape
    assert np.abs(np.subtract(voxels, found.shape)).max() <= 1
    assert predict_peak_bytes(widths, config.checkpointing, found.shape) <= 100_000_000
    assert f"{(found.predicted_peak_bytes + average) / 1e9:.1f} GB" in outcome.out


@pytest.mark.parametrize(
    ("setting", "words"),
    [("checkpointing=most", "checkpointing: Input should be"), ("batch=2", "found 'batch=2'")],
)
def test_settings_of_the_papers_network_that_are_wrong_are_refused(
    fetusmap: Callable, asked_land: SimpleNamespace, tmp_path: Path, setting: str, words: str
) -> None:
    outcome = fetusmap("train", "-o", tmp_path / "run", "--profile", "land", "--set", setting)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert words in outcome.err
    assert asked_land.config is None


# TensorBoard


def test_metrics_go_to_tensorboard_as_well(
    fetusmap: Callable, asked: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written, closed = [], []

    class Writer:
        def __init__(self, folder: str, *, purge_step: int) -> None:
            self.folder, self.first = folder, purge_step

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((self.folder, name, value, step))

        def close(self) -> None:
            closed.append(self.folder)

    module = SimpleNamespace(SummaryWriter=Writer)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    outcome = fetusmap("train", "-o", tmp_path / "run", "--tensorboard")
    assert outcome.code == 0
    coarse, canonical = (
        str(tmp_path / "run" / "tensorboard" / name) for name in ("coarse", "canonical")
    )
    assert written == [
        (coarse, "loss", 2.0, 1),
        (coarse, "pace", 60.0, 1),
        (coarse, "loss", 2.0, 2),
        (coarse, "pace", 60.0, 2),
        (canonical, "loss", 1.0, 4),
        (canonical, "pace", 60.0, 4),
        (canonical, "validation_mm", 5.0, 4),
        (canonical, "validation_median_mm", 3.456, 4),
        (canonical, "validation_loss", 1.2345, 4),
    ]
    assert closed == [coarse, canonical]
    # What is printed is the same.
    assert outcome.out == fetusmap("train", "-o", tmp_path / "run").out


def test_without_tensorboard_it_is_refused_in_one_line(
    fetusmap: Callable, asked: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    outcome = fetusmap("train", "-o", tmp_path / "run", "--tensorboard")
    assert outcome.code == 2
    assert outcome.err.startswith("fetusmap: TensorBoard: expected the package tensorboard")
    assert outcome.err.count("\n") == 1
    assert asked.config is None
    assert not (tmp_path / "run").exists()


# What it refuses


@pytest.mark.parametrize("profile", [(), ("--profile", "product")])
def test_memory_without_the_papers_network_is_refused_in_one_line(
    fetusmap: Callable, asked: SimpleNamespace, tmp_path: Path, profile: tuple[str, ...]
) -> None:
    outcome = fetusmap("train", "-o", tmp_path / "run", "--memory", "12GB", *profile)
    assert outcome.code == 2
    assert outcome.err.startswith("fetusmap: --memory: expected --profile land")
    assert "found --profile product" in outcome.err
    assert outcome.err.count("\n") == 1
    assert asked.config is None


@pytest.mark.parametrize(
    ("memory", "words"),
    [("much", "found 'much'"), ("1GB", "found 1.000 GB"), ("", "found ''"), ("-1GB", "'-1GB'")],
)
def test_memory_that_is_none_or_too_little_is_refused_in_one_line(
    fetusmap: Callable, asked_land: SimpleNamespace, tmp_path: Path, memory: str, words: str
) -> None:
    """The network itself takes more than 1 GB."""
    outcome = fetusmap("train", "-o", tmp_path / "run", "--profile", "land", f"--memory={memory}")
    assert outcome.code == 2
    assert outcome.err.startswith("fetusmap: memory: expected ")
    assert words in outcome.err
    assert outcome.err.count("\n") == 1
    assert asked_land.config is None
    assert not (tmp_path / "run").exists()


def test_an_unknown_profile_is_refused(
    fetusmap: Callable, asked: SimpleNamespace, tmp_path: Path
) -> None:
    outcome = fetusmap("train", "-o", tmp_path / "run", "--profile", "paper")
    assert outcome.code == 2
    assert "'paper'" in outcome.err
    assert asked.config is None


@pytest.mark.parametrize(
    "text",
    [
        "learning_rate",
        "nonsense=1",
        "both.batch=2",
        "coarse.nonsense=2",
        "coarse.=2",
        ".batch=2",
        "=3",
        "",
        "batch=two",
        "batch=0",
        "batch=",
        "learning_rate=nan",
        "canonical.decay_part=2",
        "dataset.name=x",
        "stage=fine",
        "stage=canonical",  # then there were two of one kind and none of the other
        "minutes=0",
        "minutes=inf",
        "land.nonsense=2",
    ],
)
def test_settings_that_make_no_sense_are_refused_in_one_line(
    fetusmap: Callable, asked: SimpleNamespace, tmp_path: Path, text: str
) -> None:
    outcome = fetusmap("train", "-o", tmp_path / "run", "--set", text)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("fetusmap: --set: expected ")
    assert outcome.err.count("\n") == 1
    assert asked.config is None
    assert not (tmp_path / "run").exists()


def test_an_unknown_setting_is_answered_with_the_known_ones(
    fetusmap: Callable, tmp_path: Path
) -> None:
    error = fetusmap("train", "-o", tmp_path / "run", "--set", "lr=1").err
    assert "found 'lr=1'" in error
    for name in ("learning_rate", "batch", "cases", "seed"):
        assert name in error


@pytest.mark.parametrize("minutes", [0, -3, "nan", "inf"])
def test_minutes_that_are_none_are_refused_in_one_line(
    fetusmap: Callable, asked: SimpleNamespace, tmp_path: Path, minutes: object
) -> None:
    outcome = fetusmap("train", "-o", tmp_path / "run", "--minutes", minutes)
    assert outcome.code == 2
    assert outcome.err.startswith("fetusmap: --minutes")
    assert outcome.err.count("\n") == 1
    assert asked.config is None


def test_a_dataset_that_is_not_there_is_refused_in_one_line(
    fetusmap: Callable, tmp_path: Path
) -> None:
    outcome = fetusmap("train", tmp_path / "data", "-o", tmp_path / "run", "--workers", 0)
    assert outcome.code == 2
    assert outcome.err.strip().startswith(f"fetusmap: {tmp_path / 'data'}: expected a dataset")
    assert outcome.err.strip().count("\n") == 0


def test_a_mistyped_dataset_can_be_corrected(fetusmap: Callable, tmp_path: Path) -> None:
    """A run that never began does not prevent the right one."""
    for name in ("dta", "data"):
        outcome = fetusmap("train", tmp_path / name, "-o", tmp_path / "run", "--workers", 0)
        assert f"{tmp_path / name}: expected a dataset" in outcome.err


# From end to end


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of three hand-made cases per seed; small grids, a small library."""
    shape = (48, 32, 32)
    for name, look in (
        ("WholeVolumeGrid", partial(WholeVolumeGrid, spacing_mm=3.0, shape=shape)),
        ("BodyFrameGrid", partial(BodyFrameGrid, step=0.09, shape=shape)),
    ):
        monkeypatch.setattr(f"fetusmap.train.stages.{name}", look)
    monkeypatch.setattr("fetusmap.train.product.LIBRARY_POSES", 30)
    monkeypatch.setattr("fetusmap.train.product.HELD_OUT_CASES", 2)

    def make(skeleton: fm.Skeleton, number: int) -> TrainingCase:
        rng = np.random.default_rng(number)
        grid = fm.Grid.centered((50, 50, 60), 1.0, (0, 6, 15))
        positions = fm.reference_pose(45.0 + number, skeleton).positions_mm
        array = rng.integers(1, 200, grid.shape, dtype=np.uint8)
        return TrainingCase(array, grid, positions, np.ones(len(skeleton), bool))

    for skeleton in map(fm.load_skeleton, built_in_skeletons()):
        for seed in (1, 2, 3):
            place = simulated_pool(seed, 1, tmp_path / "cache", skeleton).folder
            for number in range(3):
                cached(partial(make, skeleton), place, number)
    return tmp_path / "cache"


def test_a_model_is_trained_and_used(fetusmap: Callable, small: Path, tmp_path: Path) -> None:
    """Repeated, it trains nothing anew."""
    settings = ("steps=2", "batch=1", "cases=3", "validation_cases=1", "widths=8,16,16")
    options = [part for text in settings for part in ("--set", text)]
    words = ["train", "-o", tmp_path / "run", "--cache", small, "--workers", 0, *options]
    outcome = fetusmap(*words)
    assert (outcome.code, outcome.err.strip()) == (0, "")
    first, second, last = outcome.out.splitlines()
    assert first.startswith("coarse step 2: held-out loss ")
    assert second.startswith("canonical step 2: held-out loss ")
    model = tmp_path / "run" / "model"
    assert last.startswith(f"{model}: mean error ")
    assert last.endswith(f" over 2 held-out cases; use it with --model {model}")
    cascade, card = load_model(model)
    assert card.name == "run"
    assert str(card.metrics["mean_mm"]) in last
    assert cascade.coarse.network.levels == (8, 16, 16)

    again = fetusmap(*words)
    assert (again.code, again.out.splitlines()) == (0, [last])
    other = fetusmap(*words, "--set", "canonical.seed=3")
    assert other.code == 2
    assert "another seed" in other.err
    assert other.err.strip().count("\n") == 0


def test_the_papers_network_is_planned_trained_and_used(
    fetusmap: Callable, small: Path, tmp_path: Path
) -> None:
    """Within the given memory; repeated, it trains nothing anew."""
    settings = ("steps=3", "cases=3", "validation_cases=1", "widths=8,16")
    options = [part for text in settings for part in ("--set", text)]
    words = ["train", "-o", tmp_path / "run", "--cache", small, "--workers", 0, *options]
    words += ["--profile", "land", "--memory", "30MB"]
    outcome = fetusmap(*words)
    assert (outcome.code, outcome.err.strip()) == (0, "")
    planned, validated, last = outcome.out.splitlines()
    average = sum(weight.nbytes for weight in build_land(LandWidths((8, 16))).parameters())
    found = plan(30_000_000 - average, (126, 118, 149), LandWidths((8, 16)))
    i, j, k = found.shape
    spacing_mm = round(1 / found.scale, 4)
    assert planned.startswith(f"30MB: checkpointing {found.policy}, voxels of {spacing_mm} mm, ")
    assert planned.endswith(f" for the largest volume ({i} x {j} x {k})")
    assert validated.startswith("land step 3: held-out loss ")
    model = tmp_path / "run" / "model"
    assert last.startswith(f"{model}: mean error ")
    assert last.endswith(f" over 2 held-out cases; use it with --model {model}")

    config = json.loads((tmp_path / "run" / "land" / "config.json").read_text())
    assert (config["spacing_mm"], config["checkpointing"]) == (spacing_mm, found.policy)
    one = PoseEstimator.from_pretrained(model)
    assert isinstance(one.pipeline, SinglePass)
    assert one.pipeline.plain.network.levels == (8, 16)
    assert one.pipeline.plain.input_grid == WholeVolumeGrid(spacing_mm)
    made_by = one.card.made_by["land"]
    assert made_by == {key: config[key] for key in made_by}
    assert set(config) - set(made_by) == {
        "split",
        "validation_split",
        "init",
    }  # there is no dataset
    array = np.random.default_rng(0).integers(1, 200, (50, 50, 60), dtype=np.uint8)
    pose = one(fm.Volume(array, fm.Grid.from_spacing((50, 50, 60)))).pose
    assert pose.provenance.model == "run"
    assert pose.present.any()

    again = fetusmap(*words)
    assert (again.code, again.out.splitlines()) == (0, [planned, last])


def test_a_run_does_not_continue_on_changed_data(
    fetusmap: Callable, small: Path, tmp_path: Path
) -> None:
    """Or the weights of the earlier annotations would be returned without a word."""
    dataset = tmp_path / "dataset"
    skeleton = fm.load_skeleton()
    with fm.DatasetWriter(dataset, name="own", licence="CC0-1.0", skeleton=skeleton) as writer:
        for number in range(2):
            grid = fm.Grid.centered((40, 40, 50), 1.0, (0, 6, 15))
            array = np.random.default_rng(number).integers(1, 200, grid.shape, dtype=np.uint8)
            writer.add(fm.Volume(array, grid, name=f"c{number}"), fm.reference_pose(40.0))
    settings = ("steps=1", "widths=8,16", "validation_cases=0", "spacing_mm=4")
    options = [part for text in settings for part in ("--set", text)]
    words = ["train", dataset, "-o", tmp_path / "run", "--cache", small, "--workers", 0]
    words += ["--profile", "land", *options]
    assert fetusmap(*words).code == 0
    model = tmp_path / "run" / "model"
    before = {path.name: path.read_bytes() for path in model.iterdir()}

    landmarks = dataset / "landmarks" / "c0.json"
    annotated = landmarks.read_bytes()
    fm.save_pose(fm.reference_pose(42.0), landmarks)
    outcome = fetusmap(*words)
    assert outcome.code == 2
    assert "data that differ from those of the run: 1 changed (such as c0)" in outcome.err
    assert "choose a new folder" in outcome.err
    assert outcome.err.strip().count("\n") == 0
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before

    landmarks.write_bytes(annotated)
    assert fetusmap(*words).code == 0

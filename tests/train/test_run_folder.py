"""The folder of a run: it belongs to one configuration and to one set of cases."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from fetusmap.errors import BadInput
from fetusmap.train import CanonicalConfig, CoarseConfig, LandConfig, RunFolder
from fetusmap.train.muon import Muon

CONFIG = CoarseConfig(steps=9)
DATA = {"a": "1" * 16, "b": "2" * 16}


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path / "a" / "run", CONFIG)


def state(seed):
    """A network and its optimizer after a step."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv3d(2, 4, 3), nn.GroupNorm(2, 4))
    optimizer = Muon(network.parameters(), 0.1)
    network(torch.randn(1, 2, 4, 4, 4)).sum().backward()
    optimizer.step()
    return {"network": network, "optimizer": optimizer}


def same(one, other):
    weights = [part["network"].state_dict() for part in (one, other)]
    moments = [
        [
            value
            for entry in part["optimizer"].state_dict()["state"].values()
            for value in entry.values()
        ]
        for part in (one, other)
    ]
    return all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0]) and all(
        torch.equal(a, b) for a, b in zip(*moments, strict=True)
    )


def lines(run):
    return [json.loads(line) for line in run.metrics.read_text().splitlines()]


# One configuration


def test_a_new_folder_keeps_the_configuration(run):
    assert CoarseConfig.model_validate_json((run.folder / "config.json").read_text()) == CONFIG


def test_the_same_configuration_goes_on(run):
    again = RunFolder(run.folder, CoarseConfig(steps=9))
    assert again.checkpoint == run.checkpoint


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"steps": 10}, ["steps"]),
        ({"widths": (8, 8)}, ["widths"]),
        ({"steps": None, "seed": 4}, ["seed", "steps"]),
        ({"dataset": "elsewhere"}, ["dataset"]),
    ],
)
def test_another_configuration_is_refused_in_one_line_that_names_the_difference(
    run, changed, named
):
    before = (run.folder / "config.json").read_bytes()
    with pytest.raises(BadInput) as caught:
        RunFolder(run.folder, CONFIG.model_copy(update=changed))
    assert "\n" not in str(caught.value)
    assert str(run.folder) in str(caught.value)
    assert caught.value.found == f"another {', '.join(named)}"
    assert (run.folder / "config.json").read_bytes() == before


def test_another_stage_is_refused(run):
    with pytest.raises(BadInput, match="another stage"):
        RunFolder(run.folder, CanonicalConfig(steps=9))


EARLIER = {
    "stage": "coarse", "seed": 0, "steps": 9, "minutes": 60.0, "batch": 2, "learning_rate": 2e-3,
    "warmup": 200, "decay_part": 0.3, "weight_decay": 0.01, "clip": 3.0, "average": 0.998,
    "sigma_voxels": 1.0, "widths": [32, 64, 128, 160], "intensities": True, "dataset": None,
    "split": "train", "validation_split": "val", "cases": 6000, "case_seed": 1,
    "validation_cases": 48, "validation_seed": 2, "validate_every": 1000,
    "checkpoint_minutes": 4.0, "precision": "bf16-mixed", "spacing_mm": 1.25,
    "checkpointing": "none", "own_statistics": True, "adversarial_weight": 1.0,
    "recurrent_turns": 3,
}  # fmt: skip
"""The configuration file that version 0.1 wrote: the fields of all stages."""

EARLIER_LAND = EARLIER | {
    "stage": "land", "batch": 1, "learning_rate": 1e-3, "warmup": 0, "decay_part": 0.0,
    "weight_decay": 0.0, "clip": None, "average": 0.0, "intensities": False, "sigma_voxels": 2.0,
    "widths": [64, 128, 256, 512, 1024], "precision": "32-true",
}  # fmt: skip


@pytest.mark.parametrize(
    ("earlier", "config"), [(EARLIER, CONFIG), (EARLIER_LAND, LandConfig(steps=9))]
)
def test_a_run_of_an_earlier_version_continues(tmp_path, earlier, config):
    """Its file has the fields of all stages; those of other stages are ignored."""
    (tmp_path / "config.json").write_text(json.dumps(earlier))
    RunFolder(tmp_path, config, DATA)
    assert json.loads((tmp_path / "config.json").read_text()) == earlier
    with pytest.raises(BadInput, match="another seed"):
        RunFolder(tmp_path, config.model_copy(update={"seed": 3}), DATA)
    with pytest.raises(BadInput, match="1 added"):  # the data are recorded from now on
        RunFolder(tmp_path, config, {**DATA, "c": "3" * 16})


@pytest.mark.parametrize("content", [b"", b"{", b'{"stage": "coarse", "colour": 1}', b"[]"])
def test_a_damaged_configuration_is_refused_in_one_line(run, content):
    (run.folder / "config.json").write_bytes(content)
    with pytest.raises(BadInput, match=r"config\.json") as caught:
        RunFolder(run.folder, CONFIG)
    assert "\n" not in str(caught.value)


# One set of cases


def test_the_same_data_in_any_order_continue(tmp_path):
    for data in (DATA, dict(reversed(DATA.items()))):
        RunFolder(tmp_path, CONFIG, data)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"a": "1" * 16, "b": "3" * 16}, "1 changed (such as b)"),
        ({**DATA, "c": "3" * 16}, "1 added (such as c)"),
        ({"b": "2" * 16}, "1 removed (such as a)"),
        ({"c": "1" * 16}, "1 added (such as c), 2 removed (such as a)"),
    ],
)
def test_other_data_are_refused_in_one_line_that_says_what_differs(tmp_path, data, found):
    RunFolder(tmp_path, CONFIG, DATA)
    before = (tmp_path / "data.json").read_bytes()
    with pytest.raises(BadInput, match="data that differ from those of the run") as caught:
        RunFolder(tmp_path, CONFIG, data)
    assert found in str(caught.value)
    assert "choose a new folder" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "data.json").read_bytes() == before


def test_a_record_without_a_configuration_is_of_no_run(tmp_path):
    """A process that is killed between the two files leaves the first one alone."""
    RunFolder(tmp_path, CONFIG, DATA)
    (tmp_path / "config.json").unlink()
    RunFolder(tmp_path, CONFIG, {"c": "3" * 16})
    with pytest.raises(BadInput, match="data that differ"):
        RunFolder(tmp_path, CONFIG, DATA)


# Checkpoints


@pytest.mark.parametrize("steps", [9, None])
def test_a_checkpoint_is_restored_as_it_was(run, steps):
    saved, fresh = state(1), state(2)
    assert not same(saved, fresh)
    run.save(saved, 4, steps)
    assert RunFolder(run.folder, CONFIG).restore(fresh) == (4, steps)
    assert same(saved, fresh)


def test_the_last_checkpoint_counts_and_nothing_else_stays(run):
    first, last, fresh = state(1), state(2), state(3)
    run.save(first, 4, 9)
    run.save(last, 6, 9)
    assert run.restore(fresh) == (6, 9)
    assert same(last, fresh)
    assert {path.name for path in run.folder.iterdir()} == {
        "checkpoint.pt",
        "config.json",
        "metrics.jsonl",
    }


def test_a_run_that_has_not_got_so_far_begins_anew(run):
    run.log({"step": 1, "loss": 2.0})
    fresh, unchanged = state(3), state(3)
    assert run.restore(fresh) is None
    assert same(fresh, unchanged)
    assert not run.metrics.exists()


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(run):
    class Unsaved:
        def state_dict(self):
            return {"function": lambda: None}  # what cannot be pickled

    saved, fresh = state(1), state(2)
    run.save(saved, 4, 9)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        run.save({**saved, "more": Unsaved()}, 5, 9)
    assert run.restore(fresh) == (4, 9)
    assert same(saved, fresh)
    assert len(list(run.folder.iterdir())) == 3


def shortened(content):
    return content[: len(content) // 2]


def emptied(content):
    return b""


def overwritten(content):
    return b"\x00" * len(content)


@pytest.mark.parametrize("damage", [shortened, emptied, overwritten])
def test_a_damaged_checkpoint_is_refused_in_one_line(run, damage):
    run.save(state(1), 4, 9)
    run.checkpoint.write_bytes(damage(run.checkpoint.read_bytes()))
    with pytest.raises(BadInput, match=r"checkpoint\.pt: expected a checkpoint") as caught:
        run.restore(state(2))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("lost", ["network", "step", "steps"])
def test_a_checkpoint_that_lacks_something_is_refused(run, lost):
    run.save(state(1), 4, 9)
    content = torch.load(run.checkpoint, weights_only=True)
    del content[lost]
    torch.save(content, run.checkpoint)
    with pytest.raises(BadInput, match=r"checkpoint\.pt"):
        run.restore(state(2))


def test_a_checkpoint_of_another_network_is_refused(run):
    run.save(state(1), 4, 9)
    other = nn.Conv3d(2, 8, 3)
    with pytest.raises(BadInput, match=r"checkpoint\.pt"):
        run.restore({"network": other, "optimizer": Muon(other.parameters(), 0.1)})


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_checkpoint_runs_no_code(run, tmp_path):
    torch.save({"network": Evil(tmp_path / "ran")}, run.checkpoint)
    with pytest.raises(BadInput, match=r"checkpoint\.pt"):
        run.restore(state(2))
    assert not (tmp_path / "ran").exists()


# Metrics


def test_metrics_after_the_checkpoint_are_dropped(run):
    for step in range(1, 8):
        run.log({"step": step, "loss": 1 / step})
        if step in (2, 5):
            run.save(state(1), step, 9)
    run.restore(state(2))
    assert lines(run) == [{"step": step, "loss": 1 / step} for step in range(1, 6)]
    run.log({"step": 6, "loss": 0.5})
    assert lines(run)[-1] == {"step": 6, "loss": 0.5}


def test_a_half_written_line_after_the_checkpoint_is_dropped(run):
    """As a full disk or a power cut leaves it."""
    run.log({"step": 1, "loss": 0.5})
    run.save(state(1), 1, 9)
    with run.metrics.open("a") as file:
        file.write('{"step": 2, "lo')
    assert run.restore(state(2)) == (1, 9)
    assert lines(run) == [{"step": 1, "loss": 0.5}]

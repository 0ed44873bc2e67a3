"""The training loop: it learns, can be interrupted anywhere, and keeps to its plan."""

import json
import multiprocessing
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

import fetusmap as fm
from fetusmap.errors import BadInput
from fetusmap.train import RunFolder, train
from fetusmap.train.augment import NearBody
from fetusmap.train.loop import Clock

pytestmark = pytest.mark.usefixtures("small_grids")

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
PATIENCE_S = 240.0  # for what takes seconds when nothing else runs


class BrokenOff(Exception):
    pass


def stop_at(step):
    def report(metrics):
        if metrics["step"] == step:
            raise BrokenOff

    return report


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def timeless(folder):
    """The metrics but for how long it took."""
    clock = ("seconds", "pace", "waited")
    return [{k: v for k, v in line.items() if k not in clock} for line in lines(folder)]


def same_weights(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    return list(ours) == list(theirs) and all(torch.equal(ours[n], theirs[n]) for n in ours)


@pytest.fixture
def run(cache, tmp_path):
    """A function that trains in a folder, and may be broken off at a step."""

    def call(config, name="run", *, stop=None, **options):
        run = RunFolder(tmp_path / name, config)
        options = {"workers": 0, **options}
        if stop is None:
            return train(config, run, cache, **options)
        with pytest.raises(BrokenOff):
            train(config, run, cache, report=stop_at(stop), **options)
        return None

    return call


# It learns


def test_one_case_is_learnt_by_heart(run, make_config, monkeypatch, tmp_path):
    """Seen without jitter, its landmarks are found to less than half a millimetre."""
    still = partial(NearBody, tilt_deg=0, roll_deg=0, shift=0, scale=0)
    monkeypatch.setattr("fetusmap.train.stages.NearBody", still)
    config = make_config(
        steps=250,
        learning_rate=5e-3,
        average=0.9,
        cases=1,
        validation_seed=1,  # the same cases
        validation_cases=1,
        checkpoint_minutes=60.0,
    )
    run(config)
    found = lines(tmp_path / "run")
    assert found[-1]["validation_median_mm"] < 0.5
    assert found[-1]["validation_within_10_mm"] == 1


def test_the_papers_network_learns_one_case_by_heart(run, paper, monkeypatch, tmp_path):
    """Seen from one side, its landmarks are found to less than a voxel of 3 mm."""

    def straight(look, *symmetry):
        return lambda _, case: case.grid.respace(look.spacing_mm)

    monkeypatch.setattr("fetusmap.train.stages.RightAngles", straight)
    config = paper(
        steps=200,
        widths=(16, 32, 32),
        sigma_voxels=1.5,
        learning_rate=0.01,
        cases=1,
        validation_seed=1,  # the same case
        validation_cases=1,
        checkpoint_minutes=60.0,
    )
    run(config)
    found = lines(tmp_path / "run")
    # It begins with next to nothing, whose error is that of the targets themselves.
    assert found[-1]["loss"] < 0.1 * found[0]["loss"]
    assert found[-1]["validation_median_mm"] < 3.0
    assert found[-1]["validation_within_10_mm"] == 1


@pytest.mark.parametrize("stage", ["coarse", "canonical"])
def test_the_loss_falls_on_the_stream(run, make_config, tmp_path, stage):
    """From that of a network that knows nothing: all of the 4096 voxels alike."""
    run(make_config(stage=stage, steps=100, learning_rate=4e-3, checkpoint_minutes=60.0))
    losses = [line["loss"] for line in lines(tmp_path / "run")]
    assert losses[0] == pytest.approx(np.log(16**3), abs=1.0)
    assert np.mean(losses[-15:]) < np.mean(losses[:5]) - 0.8


def test_a_dataset_is_trained_on_instead(run, make_config, make_numbered, more, tmp_path):
    """The same cases as simulated ones have the same losses, but for the rounding of files."""
    with fm.DatasetWriter(
        tmp_path / "dataset", name="two", licence="CC0-1.0", skeleton=more
    ) as writer:
        for number in range(2):
            case = make_numbered(more, 1, number)
            pose = fm.Pose(more, case.positions_mm)
            writer.add(fm.Volume(case.array, case.grid, name=f"case-{number}"), pose)
    run(make_config(cases=2), "simulated")
    # No case of this seed is in the cache.
    run(make_config(case_seed=99, dataset=str(tmp_path / "dataset")), "dataset")
    one, other = (
        [line["loss"] for line in lines(tmp_path / name)] for name in ("simulated", "dataset")
    )
    assert one == pytest.approx(other, rel=0.01)


# What it writes down


def test_every_step_leaves_a_line(run, make_config, tmp_path):
    reported = []
    run(make_config(steps=5, validate_every=2), report=reported.append)
    found = lines(tmp_path / "run")
    assert found == reported
    assert [line["step"] for line in found] == [1, 2, 3, 4, 5]
    assert ["validation_mm" in line for line in found] == [False, True, False, True, True]
    for line in found:
        assert line["steps"] == 5
        assert all(np.isfinite(value) for value in line.values())
        assert 0 <= line["waited"] <= 1
    assert all(np.diff([line["seconds"] for line in found]) >= 0)


def test_the_learning_rate_follows_the_schedule(run, make_config, tmp_path):
    """Warm-up over two steps, and the last half falls to nothing."""
    run(make_config(steps=8, learning_rate=0.1, warmup=2, decay_part=0.5))
    rates = [line["learning_rate"] for line in lines(tmp_path / "run")]
    assert rates == pytest.approx([0.1 / 3, 0.2 / 3, 0.1, 0.1, 0.1, 0.075, 0.05, 0.025])


def test_without_a_learning_rate_nothing_moves(run, make_config):
    """The schedule reaches the optimizer: a warm-up without end hardly begins."""
    one, four = (
        run(make_config(steps=steps, warmup=10**9, average=0.0), f"{steps}") for steps in (1, 4)
    )
    for before, after in zip(one.parameters(), four.parameters(), strict=True):
        assert torch.allclose(before, after, atol=1e-6)


def test_other_cases_are_held_out(run, make_config, tmp_path):
    """Their seed changes what is validated and nothing that is trained."""
    networks = [run(make_config(steps=2, validation_seed=seed), f"{seed}") for seed in (2, 3)]
    two, three = (timeless(tmp_path / name) for name in ("2", "3"))
    assert [line["loss"] for line in two] == [line["loss"] for line in three]
    assert same_weights(*networks)
    assert two[-1]["validation_loss"] != three[-1]["validation_loss"]
    with pytest.raises(AssertionError, match=r"a case was simulated: .*, 77, "):
        run(make_config(steps=1, validation_seed=77), "77")


@pytest.mark.parametrize("stage", ["coarse", "land"])
def test_every_held_out_case_is_used_once(
    run, make_config, make_case, monkeypatch, tmp_path, stage
):
    sources = []

    def listen(network, source, stage, config):
        sources.append(source)
        return {"validation_loss": 0.0}

    monkeypatch.setattr("fetusmap.train.loop.validate", listen)
    spacing = {"spacing_mm": 4.0} if stage == "land" else {}
    run(make_config(stage=stage, widths=(8, 8), steps=1, validation_cases=4, **spacing))
    (source,) = sources
    made = []

    case = make_case(fm.reference_pose(60.0, source.pool.skeleton).positions_mm)

    def make(number):
        made.append(number)
        return case

    pool = replace(source.pool, make=make, folder=tmp_path / "counted")
    counted = replace(source, pool=pool)
    for number in range(4):
        counted.sample(number)
    assert made == [0, 1, 2, 3]


def test_it_gives_the_averaged_network(run, make_config):
    """A long average has hardly moved from the first weights; none is the last weights."""
    slow, quick = (
        run(make_config(steps=12, learning_rate=0.02, average=decay), f"{decay}")
        for decay in (0.99, 0.0)
    )
    assert not slow.training
    assert not any(parameter.requires_grad for parameter in slow.parameters())
    assert not same_weights(slow, quick)


def test_without_held_out_cases_nothing_is_validated(run, make_config, tmp_path):
    run(make_config(steps=2, validation_cases=0))
    for text in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines():
        assert "NaN" not in text


# Broken off


@pytest.fixture
def unbroken(run, make_config, tmp_path):
    """The network and the metrics of a run in one go."""
    config = make_config(steps=7, batch=2, validate_every=3, validation_cases=1)
    network = run(config, "unbroken")
    return config, network, timeless(tmp_path / "unbroken")


def test_a_run_that_was_broken_off_ends_as_if_it_had_not_been(run, unbroken, tmp_path):
    """Before its first checkpoint, and twice after one."""
    config, network, metrics = unbroken
    for stop in (1, 3, 6):
        run(config, stop=stop)
    resumed = run(config)
    assert timeless(tmp_path / "run") == metrics
    assert same_weights(resumed, network)


def test_steps_after_the_last_checkpoint_are_made_again(run, unbroken, tmp_path):
    """Checkpoints may be far apart."""
    config, network, metrics = unbroken
    rare = config.model_copy(update={"checkpoint_minutes": 60.0})
    run(rare, stop=5)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()
    assert len(lines(tmp_path / "run")) == 5
    again = run(rare)
    assert timeless(tmp_path / "run") == metrics
    assert same_weights(again, network)


def test_a_finished_run_is_not_run_again(run, unbroken, tmp_path):
    config, network, metrics = unbroken
    again = run(config, "unbroken", report=stop_at(8))
    assert same_weights(again, network)
    assert timeless(tmp_path / "unbroken") == metrics


def test_other_seeds_train_other_networks(run, unbroken, tmp_path):
    config, network, metrics = unbroken
    other = run(config.model_copy(update={"seed": 1}))
    assert not same_weights(other, network)
    assert timeless(tmp_path / "run")[0]["loss"] != metrics[0]["loss"]


def test_a_damaged_checkpoint_is_not_trained_over(run, make_config, tmp_path):
    config = make_config(steps=4)
    run(config, stop=3)
    path = tmp_path / "run" / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BadInput, match=r"checkpoint\.pt"):
        run(config)
    assert path.stat().st_size == 1000


@pytest.fixture
def paper(make_config):
    """A function that makes a tiny configuration of the paper's network, but for what is given."""

    def make(**changed):
        return make_config("land", **{"widths": (8, 16), "spacing_mm": 3.0, **changed})

    return make


@pytest.mark.parametrize("own_statistics", [False, True])
@pytest.mark.parametrize("checkpointing", ["none", "lean"])
def test_the_papers_network_goes_on_as_if_it_had_not_been_broken_off(
    run, paper, tmp_path, checkpointing, own_statistics
):
    """Its running statistics and counts of batches included, where it keeps any."""
    config = paper(checkpointing=checkpointing, validate_every=3, own_statistics=own_statistics)
    network = run(config, "unbroken")
    for stop in (2, 5):
        run(config, stop=stop)
    resumed = run(config)
    assert timeless(tmp_path / "run") == timeless(tmp_path / "unbroken")
    assert same_weights(resumed, network)
    counts = {int(b) for name, b in network.named_buffers() if name.endswith("batches_tracked")}
    assert counts == (set() if own_statistics else {6})
    assert bool(list(network.buffers())) is not own_statistics


def test_how_the_papers_network_is_checkpointed_changes_no_loss(run, paper, tmp_path):
    networks = [run(paper(checkpointing=name), name) for name in ("none", "blocks")]
    assert timeless(tmp_path / "none") == timeless(tmp_path / "blocks")
    assert same_weights(*networks)


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on(cache, run, make_config, tmp_path):
    """With a worker, which must not outlive it: whoever waits for its output waits for both."""
    config = make_config(steps=12, validate_every=5)
    script = """if True:
        import sys
        from functools import partial
        from pathlib import Path
        from fetusmap.detect import BodyFrameGrid
        from fetusmap.train import CanonicalConfig, RunFolder, stages, train

        stages.BodyFrameGrid = partial(BodyFrameGrid, step=0.09, shape=(32, 32, 32))
        config = CanonicalConfig.model_validate_json(sys.argv[1])
        folder = RunFolder(Path(sys.argv[2]), config)
        report = lambda metrics: print(metrics["step"], flush=True)
        train(config, folder, Path(sys.argv[3]), workers=1, report=report)
    """
    words = (config.model_dump_json(), tmp_path / "killed", cache)
    command = [sys.executable, "-c", script, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.strip() == "5":
                process.kill()
                break
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGKILL
    done = len(lines(tmp_path / "killed"))
    assert 5 <= done < 12
    finished = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    first = int(finished.stdout.split()[0])
    assert first in (done, done + 1)  # the last line may be younger than the checkpoint
    run(config)
    assert timeless(tmp_path / "killed") == timeless(tmp_path / "run")


# Planned by minutes


@pytest.fixture
def later(monkeypatch):
    """A function that lets seconds pass on the loop's clock, which stands still otherwise."""
    now = [1000.0]
    monkeypatch.setattr("fetusmap.train.loop.time", SimpleNamespace(monotonic=lambda: now[0]))

    def wait(seconds):
        now[0] += seconds

    return wait


def test_steps_are_planned_when_forty_have_been_timed(later, make_config):
    """Of 0.5 s each; ten minutes hold 1200. Slower ones afterwards change nothing."""
    clock = Clock(make_config(steps=None, minutes=10.0), 0, None)
    for step in range(39):
        later(0.5)
        metrics = clock.after(step)
        assert metrics == {"seconds": 0.5 * (step + 1), "pace": 0.5, "waited": 0.0}
        assert clock.steps is None
    later(0.5)
    assert clock.after(39) == {"seconds": 20.0, "pace": 0.5, "waited": 0.0, "steps": 1200}
    assert clock.steps == 1200
    later(980.0)
    assert clock.after(40)["steps"] == 1200


@pytest.mark.parametrize(("minutes", "planned"), [(10.0, 1200), (0.1, 140)])
def test_a_run_that_goes_on_without_a_plan_times_its_own_first_steps(
    later, make_config, minutes, planned
):
    """From step 100 on; and what is done is done, however few the minutes."""
    clock = Clock(make_config(steps=None, minutes=minutes), 100, None)
    for step in range(100, 139):
        later(0.5)
        assert "steps" not in clock.after(step)
    later(0.5)
    assert clock.after(139) == {"seconds": 20.0, "pace": 0.5, "waited": 0.0, "steps": planned}


def test_steps_that_were_given_stay(later, make_config):
    clock = Clock(make_config(minutes=1e-3), 0, 7)
    for step in range(50):
        later(2.0)
        assert clock.after(step)["steps"] == 7
    assert clock.steps == 7


def test_what_is_spent_waiting_is_a_part_of_the_time(later, make_config):
    clock = Clock(make_config(), 0, 7)
    for _ in range(2):
        with clock.waiting():
            later(1.0)
        later(3.0)
    assert clock.after(1) == {"seconds": 8.0, "pace": 4.0, "waited": 0.25, "steps": 7}


def test_a_checkpoint_is_due_when_the_last_one_is_old(later, make_config):
    """And then not again before it is old anew."""
    clock = Clock(make_config(checkpoint_minutes=4.0), 0, 7)
    assert not clock.is_time_to_save()
    later(240.0)
    assert not clock.is_time_to_save()
    later(1.0)
    assert [clock.is_time_to_save() for _ in range(3)] == [True, False, False]
    later(239.0)
    assert not clock.is_time_to_save()
    later(2.0)
    assert clock.is_time_to_save()


def test_minutes_become_steps_that_a_resumed_run_keeps(run, make_config, tmp_path):
    config = make_config(steps=None, minutes=600.0)
    run(config, stop=43)
    before = lines(tmp_path / "run")
    planned = before[-1]["steps"]
    assert ["steps" in line for line in before] == [False] * 39 + [True] * 4
    timed = before[39]
    # As many steps as fit, at the pace of the first ones.
    assert planned == pytest.approx(600 * 60 / timed["pace"], rel=0.05)
    run(config, stop=46)
    after = lines(tmp_path / "run")
    assert [line["step"] for line in after] == list(range(1, 47))
    assert {line["steps"] for line in after[39:]} == {planned}


def test_a_run_of_few_minutes_ends_when_it_knows_its_pace(run, make_config, tmp_path):
    run(make_config(steps=None, minutes=1e-6))
    found = lines(tmp_path / "run")
    assert [line["step"] for line in found] == [*range(1, found[-1]["steps"] + 1)]
    assert "validation_mm" in found[-1]


# Samples made ahead


def test_samples_are_made_while_a_step_is_computed(run, make_config, tmp_path):
    """A step hardly waits for its samples once the worker has begun, and no loss changes."""

    workers = set()

    def compute(metrics):
        workers.add(len(multiprocessing.active_children()))
        time.sleep(0.25)

    config = make_config(steps=8)
    network = run(config, workers=1, report=compute)
    alone = run(config, "alone", workers=0)
    assert timeless(tmp_path / "run") == timeless(tmp_path / "alone")
    assert same_weights(network, alone)
    assert workers == {1}
    assert multiprocessing.active_children() == []
    found = lines(tmp_path / "run")
    waited = [line["waited"] * line["seconds"] for line in found]
    seconds = [line["seconds"] for line in found]
    assert waited[-1] - waited[3] < 0.2 * (seconds[-1] - seconds[3])


# On other devices


@pytest.mark.gpu
@needs_gpu
def test_a_gpu_trains_and_goes_on(run, make_config, tmp_path):
    config = make_config(steps=6, validate_every=3)
    run(config, stop=4, fabric=Fabric(accelerator="cuda", devices=1, precision="bf16-mixed"))
    network = run(config, fabric=Fabric(accelerator="cuda", devices=1, precision="bf16-mixed"))
    on_cpu = run(config, "cpu")
    losses = [[line["loss"] for line in lines(tmp_path / name)] for name in ("run", "cpu")]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    for one, other in zip(network.parameters(), on_cpu.parameters(), strict=True):
        assert one.shape == other.shape

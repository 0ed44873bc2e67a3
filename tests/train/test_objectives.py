"""Objectives: by hand with a discriminator of one weight, and in interrupted runs."""

import copy
import json

import pytest
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import nn

from fetusmap.network import HEIGHT, Discriminator, LandWidths, build_land
from fetusmap.train import RunFolder, train
from fetusmap.train.objectives import Adversarial, Supervised

pytestmark = pytest.mark.usefixtures("small_grids")

SHAPE = (6, 7, 8)


class Scorer(nn.Module):
    """Scores each voxel: what its first heatmap shows, times a weight, plus its grey level."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, volume, heatmaps):
        return volume + self.weight * heatmaps[:, :1]


class Copier(nn.Module):
    """Puts out a weight wherever the volume is 1."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, volume):
        return self.weight * volume


@pytest.fixture
def fabric():
    return Fabric(accelerator="cpu", devices=1, precision="32-true")


@pytest.fixture
def example():
    """A network, a volume and its targets."""
    torch.manual_seed(0)
    network = build_land(LandWidths((4, 6), 2), own_statistics=True)
    return network, torch.randn(1, 1, *SHAPE), HEIGHT * torch.rand(1, 2, *SHAPE)


@pytest.fixture
def make_adversarial(fabric):
    """A function that makes the objective for a discriminator, but for what is given."""

    def make(discriminator, **changed):
        options = {"weight": 1.0, "height": HEIGHT, "learning_rate": 1e-3, **changed}
        return Adversarial(F.mse_loss, discriminator, fabric, **options)

    return make


def gradients(network, loss):
    network.zero_grad()
    loss.backward()
    return [parameter.grad.clone() for parameter in network.parameters()]


def equal(some, others):
    return all(torch.equal(one, other) for one, other in zip(some, others, strict=True))


def copied(parameters):
    return [parameter.detach().clone() for parameter in parameters]


# Supervised


def test_supervised_is_the_distance_and_nothing_else(example):
    network, volume, target = example
    objective = Supervised(F.l1_loss)
    loss = objective.loss(network, volume, target)
    distance = F.l1_loss(network(volume), target)
    assert torch.equal(loss, distance)
    assert equal(gradients(network, loss), gradients(network, distance))
    assert objective.after_step(1.0) == {}
    assert objective.parts == {}


# Adversarial


def test_without_weight_the_network_learns_what_it_learns_by_itself(example, make_adversarial):
    network, volume, target = example
    adversarial = make_adversarial(Discriminator(2, (4, 5)), weight=0.0)
    one = adversarial.loss(network, volume, target)
    other = Supervised(F.mse_loss).loss(network, volume, target)
    assert float(one.detach()) == float(other.detach())
    assert equal(gradients(network, one), gradients(network, other))
    with_weight = make_adversarial(Discriminator(2, (4, 5)), weight=1.0)
    loss = with_weight.loss(network, volume, target)
    assert not equal(
        gradients(network, loss), gradients(network, F.mse_loss(network(volume), target))
    )


def test_the_loss_leaves_the_discriminator_alone_and_its_own_step_does_not(
    example, make_adversarial
):
    """Nor does that step touch the network or its slopes."""
    network, volume, target = example
    discriminator = Discriminator(2, (4, 5))
    objective = make_adversarial(discriminator)
    before = copied(discriminator.parameters())
    gradients(network, objective.loss(network, volume, target))
    assert equal(discriminator.parameters(), before)
    assert all(parameter.grad is None for parameter in discriminator.parameters())
    assert all(parameter.requires_grad for parameter in discriminator.parameters())
    weights, slopes = copied(network.parameters()), [p.grad.clone() for p in network.parameters()]
    objective.after_step(1.0)
    for now, then in zip(discriminator.parameters(), before, strict=True):
        # A bias before a normalisation changes nothing, and learns nothing but rounding.
        assert now.ndim == 1 or not torch.equal(now, then)
    assert equal(network.parameters(), weights)
    assert equal([p.grad for p in network.parameters()], slopes)


def test_losses_by_hand(make_adversarial):
    """Volumes of 1, outputs of 0.5 and targets of 2, all of them twice as high as heatmaps.

    Scored 1 + 3 * 0.25 and 1 + 3 * 1, where 1 is wanted.
    """
    network, scorer = Copier(0.5), Scorer(3.0)
    objective = make_adversarial(scorer, weight=10.0, height=2.0, learning_rate=0.01)
    volume, target = torch.ones(1, 1, 2, 2, 2), torch.full((1, 1, 2, 2, 2), 2.0)
    loss = objective.loss(network, volume, target)
    assert float(loss.detach()) == pytest.approx(1.5**2 + 10 * 0.75**2)
    loss.backward()
    # Twice the errors, times what they change by with the network's weight: 1 and 3 / 2.
    assert float(network.weight.grad) == pytest.approx(2 * -1.5 + 10 * 2 * 0.75 * 1.5)
    assert scorer.weight.grad is None
    aside = objective.after_step(1.0)
    assert aside == {
        "discriminator_real": pytest.approx(3.0**2),
        "discriminator_made": pytest.approx(1.75**2),
    }
    # Half of 2 * 3 * 1 and of 2 * 1.75 * 0.25; of Adam's first step only the sign counts.
    assert float(scorer.weight.grad) == pytest.approx((6 + 0.875) / 2)
    assert float(scorer.weight.detach()) == pytest.approx(3 - 0.01)


def test_a_discriminator_that_separates_them_has_no_loss(make_adversarial):
    """Grey levels of 0: an output of 0 is scored 0, and a target as high as heatmaps are, 1."""
    scorer = Scorer(1.0)
    objective = make_adversarial(scorer)
    volume = torch.zeros(1, 1, 2, 2, 2)
    loss = objective.loss(Copier(5.0), volume, torch.full((1, 1, 2, 2, 2), HEIGHT))
    assert float(loss.detach()) == pytest.approx(HEIGHT**2 + 1)
    assert objective.after_step(1.0) == {"discriminator_real": 0, "discriminator_made": 0}
    assert float(scorer.weight.detach()) == 1


def test_the_discriminator_learns_from_what_the_network_has_shown(example, make_adversarial):
    """The output from before the network's step."""
    network, volume, target = example
    discriminator = Discriminator(2, (4, 5))
    objective = make_adversarial(discriminator)
    with torch.no_grad():
        made = discriminator(volume, network(volume) / HEIGHT).square().mean()
        real = (discriminator(volume, target / HEIGHT) - 1).square().mean()
    objective.loss(network, volume, target).backward()
    torch.optim.SGD(network.parameters(), 100.0).step()
    found = objective.after_step(1.0)
    assert found == {
        "discriminator_real": pytest.approx(float(real)),
        "discriminator_made": pytest.approx(float(made)),
    }


def test_the_discriminator_learns_to_separate_them(example, make_adversarial):
    network, volume, target = example
    objective = make_adversarial(Discriminator(2, (8, 8)), learning_rate=5e-3)
    losses = []
    for _ in range(60):
        objective.loss(network, volume, target)
        losses.append(objective.after_step(1.0))
    first, last = (sum(entry.values()) for entry in (losses[0], losses[-1]))
    assert last < 0.2 * first


def test_with_its_parts_it_goes_on_as_if_it_had_not_been_broken_off(example, make_adversarial):
    """The averages of the discriminator's Adam included."""
    network, volume, target = example
    whole = make_adversarial(Discriminator(2, (4, 5)), learning_rate=0.01)

    def steps(objective, count):
        made = []
        for _ in range(count):
            objective.loss(network, volume, target)
            made.append(objective.after_step(1.0))
        return made

    steps(whole, 3)
    kept = copy.deepcopy({name: part.state_dict() for name, part in whole.parts.items()})
    resumed = make_adversarial(Discriminator(2, (4, 5)), learning_rate=0.01)
    for name, part in resumed.parts.items():
        part.load_state_dict(kept[name])
    assert steps(resumed, 3) == steps(whole, 3)


# Runs


class BrokenOff(Exception):
    pass


def timeless(folder):
    """The metrics but for how long it took."""
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    clock = ("seconds", "pace", "waited")
    return [{k: v for k, v in line.items() if k not in clock} for line in found]


def same_weights(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    return list(ours) == list(theirs) and all(torch.equal(ours[n], theirs[n]) for n in ours)


@pytest.fixture
def rival(make_config):
    """A function that makes a tiny configuration of the paper's network or a rival of it."""

    def make(stage, **changed):
        recipe = {"widths": (8, 16), "spacing_mm": 3.0, "steps": 5, "validate_every": 3}
        return make_config(stage, **{**recipe, **changed})

    return make


@pytest.fixture
def run(cache, tmp_path):
    """A function that trains in a folder, and may be broken off at a step."""

    def call(config, name="run", *, stop=None):
        def report(metrics):
            if metrics["step"] == stop:
                raise BrokenOff

        folder = RunFolder(tmp_path / name, config)
        if stop is None:
            return train(config, folder, cache, workers=0)
        with pytest.raises(BrokenOff):
            train(config, folder, cache, workers=0, report=report)
        return None

    return call


def checkpoint(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)


@pytest.mark.parametrize("own_statistics", [False, True])
@pytest.mark.parametrize("stage", ["gan", "rnn"])
def test_a_rival_goes_on_as_if_it_had_not_been_broken_off(
    run, rival, tmp_path, stage, own_statistics
):
    config = rival(stage, own_statistics=own_statistics, checkpointing="paper")
    network = run(config, "unbroken")
    for stop in (2, 4):
        run(config, stop=stop)
    resumed = run(config)
    metrics = timeless(tmp_path / "run")
    assert metrics == timeless(tmp_path / "unbroken")
    assert [line["step"] for line in metrics] == [1, 2, 3, 4, 5]
    assert same_weights(resumed, network)


def test_the_discriminator_is_kept_in_the_checkpoint(run, rival, tmp_path):
    """It learns in every step, goes on where it was, and is no part of the network."""
    config = rival("gan", steps=3)
    network = run(config, "unbroken")
    run(config, stop=2)  # with a checkpoint of the first step
    early = checkpoint(tmp_path / "run")
    assert early["step"] == 1
    run(config)
    late, unbroken = checkpoint(tmp_path / "run"), checkpoint(tmp_path / "unbroken")
    assert early["discriminator"].keys() == Discriminator(16).state_dict().keys()
    first, last, expected = (
        list(content["discriminator"].values()) for content in (early, late, unbroken)
    )
    assert equal(last, expected)
    assert not equal(first, last)
    plain = build_land(LandWidths((8, 16)), own_statistics=True)
    assert network.state_dict().keys() == plain.state_dict().keys()
    for line in timeless(tmp_path / "run"):
        assert line["discriminator_real"] > 0
        assert line["discriminator_made"] > 0


def test_a_discriminator_without_weight_changes_nothing(run, rival, tmp_path):
    """The paper's network, trained by itself, has the same losses and weights."""
    changed = {"gan": {"adversarial_weight": 0.0}, "land": {}}
    networks = [run(rival(stage, steps=3, **changed[stage]), stage) for stage in ("gan", "land")]
    gan, land = (timeless(tmp_path / stage) for stage in ("gan", "land"))
    assert same_weights(*networks)
    asides = {"discriminator_real", "discriminator_made"}
    assert [{k: v for k, v in line.items() if k not in asides} for line in gan] == land


def test_of_one_turn_the_other_kernel_stays_as_it_was(run, rival):
    """And of three turns it does not."""
    for turns in (1, 3):
        config = rival("rnn", recurrent_turns=turns, validation_cases=0)
        one, five = (
            run(config.model_copy(update={"steps": steps}), f"{turns}-{steps}") for steps in (1, 5)
        )
        kernels = [network.recurrence.across.weight for network in (one, five)]
        assert torch.equal(*kernels) is (turns == 1)
        assert not torch.equal(*(network.recurrence.inward.weight for network in (one, five)))

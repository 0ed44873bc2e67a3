"""Every policy is the same training, to the bit; they differ in what is kept and made again."""

import copy
import gc
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from torch.multiprocessing.reductions import StorageWeakRef

from fetusmap.network import POLICIES, LandWidths, build_land, saved_activation_bytes
from fetusmap.network.land import Convolution, Deconvolution, Land, Normalisation

WIDTHS = LandWidths((4, 6, 8, 10, 12))
SHAPE = (17, 19, 23)
STEPS = 3
RECOMPUTING = [policy for policy in POLICIES if policy != "none"]


@pytest.fixture(scope="module")
def start():
    torch.manual_seed(0)
    return build_land(WIDTHS)


@pytest.fixture(scope="module")
def volumes():
    return torch.randn(STEPS, 1, 1, *SHAPE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def target():
    return torch.rand(1, 16, *SHAPE, generator=torch.Generator().manual_seed(2))


def copy_with(policy: str, land: Land) -> Land:
    land = copy.deepcopy(land)
    land.policy = policy
    return land


def trained(policy, start, volumes, target):
    """Outputs of all steps, and then the network, whose gradients are those of the last."""
    land = copy_with(policy, start)
    optimizer = torch.optim.Adam(land.parameters(), 1e-3)
    outputs = []
    for volume in volumes:
        optimizer.zero_grad()
        outputs.append(land(volume))
        F.mse_loss(outputs[-1], target).backward()
        optimizer.step()
    return [out.detach() for out in outputs], land


def assert_same(ours: Land, plain: Land):
    for (name, a), b in zip(ours.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(a, b), name
        assert torch.equal(a.grad, b.grad), name
    for (name, a), b in zip(ours.named_buffers(), plain.buffers(), strict=True):
        assert torch.equal(a, b), name


@pytest.fixture(scope="module")
def plain(start, volumes, target):
    return trained("none", start, volumes, target)


@pytest.mark.parametrize("policy", RECOMPUTING)
def test_outputs_gradients_weights_and_buffers_are_equal_to_the_bit(
    policy, start, volumes, target, plain
):
    outputs, land = trained(policy, start, volumes, target)
    assert all(torch.equal(a, b) for a, b in zip(outputs, plain[0], strict=True))
    assert_same(land, plain[1])
    norms = [m for m in land.modules() if isinstance(m, Normalisation)]
    assert {int(norm.num_batches_tracked) for norm in norms} == {STEPS}


@pytest.mark.parametrize("policy", RECOMPUTING)
def test_they_are_equal_in_evaluation_mode(policy, volumes, target, plain):
    results = []
    for land in (copy_with("none", plain[1]).eval(), copy_with(policy, plain[1]).eval()):
        land.zero_grad()
        F.mse_loss(land(volumes[0]), target).backward()
        results.append(land)
    assert_same(*results)
    before = plain[1].buffers()
    assert all(torch.equal(a, b) for a, b in zip(results[1].buffers(), before, strict=True))


@pytest.mark.parametrize("policy", RECOMPUTING)
def test_they_are_equal_in_half_precision(policy, start):
    # Large and shallow: below five voxels per axis oneDNN's own bfloat16 gradients vary.
    torch.manual_seed(0)
    start = build_land(LandWidths((4, 8)))
    volume, target = torch.randn(1, 1, 20, 21, 22), torch.rand(1, 16, 20, 21, 22)
    results = []
    for land in (copy_with("none", start), copy_with(policy, start)):
        with torch.autocast("cpu", torch.bfloat16):
            heatmaps = land(volume)
        assert heatmaps.dtype == torch.bfloat16
        F.mse_loss(heatmaps.float(), target).backward()
        results.append(land)
    assert_same(*results)


@pytest.mark.parametrize("policy", RECOMPUTING)
def test_gradients_of_two_passes_may_wait_for_each_other(policy, start, volumes, target):
    results = []
    for land in (copy_with("none", start), copy_with(policy, start)):
        (F.mse_loss(land(volumes[0]), target) + F.mse_loss(land(volumes[1]), target)).backward()
        results.append(land)
    assert_same(*results)


@pytest.mark.parametrize("policy", RECOMPUTING)
def test_a_graph_may_be_used_twice(policy, start, volumes, target):
    results = []
    for land in (copy_with("none", start), copy_with(policy, start)):
        loss = F.mse_loss(land(volumes[0]), target)
        loss.backward(retain_graph=True)
        loss.backward()
        results.append(land)
    assert_same(*results)


def runs_of_convolutions(policy, start, volumes, target):
    """How often one step runs each convolution and deconvolution."""
    land = copy_with(policy, start)
    runs = Counter()
    names = {step: name for name, step in land.named_modules()}
    for step in land.modules():
        if isinstance(step, Convolution | Deconvolution):
            step.register_forward_hook(lambda step, _, __: runs.update([names[step]]))
    F.mse_loss(land(volumes[0]), target).backward()
    return runs


def test_the_papers_rule_recomputes_what_touches_no_concatenation(start, volumes, target):
    runs = runs_of_convolutions("paper", start, volumes, target)
    # A block's convolutions are its steps 0 and 2. The second of an encoder's block and the
    # deconvolution go into a concatenation, but at the bottom, and the first of a decoder's
    # block comes from one.
    touching = [f"encoder.{n}.2" for n in range(4)] + [f"decoder.{n}.0" for n in range(4)]
    touching += [f"rises.{n}.deconvolution" for n in range(4)]
    others = [f"encoder.{n}.0" for n in range(5)] + ["encoder.4.2"]
    others += [f"decoder.{n}.2" for n in range(4)]
    assert runs == {**dict.fromkeys(touching, 1), **dict.fromkeys(others, 2)}


@pytest.mark.parametrize("policy", ["none", "norms"])
def test_no_convolution_runs_twice(policy, start, volumes, target):
    assert set(runs_of_convolutions(policy, start, volumes, target).values()) == {1}


def test_each_policy_stores_less_than_the_one_before(start):
    stored = [
        saved_activation_bytes(start, SHAPE, policy)
        for policy in ("none", "norms", "paper", "blocks", "lean")
    ]
    assert stored == sorted(stored, reverse=True)
    assert len(set(stored)) == len(stored)
    assert stored[0] > 6 * stored[-1]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_step_leaves_nothing_behind(policy, start, volumes, target):
    made = []
    land = copy_with(policy, start)
    for step in land.modules():
        if isinstance(step, Convolution):
            step.register_forward_hook(
                lambda _, __, out: made.append(StorageWeakRef(out.untyped_storage()))
            )
    gc.disable()  # a cycle of references would keep a pass in memory until the collector comes
    try:
        F.mse_loss(land(volumes[0]), target).backward()
        assert not any(not storage.expired() for storage in made)
    finally:
        gc.enable()

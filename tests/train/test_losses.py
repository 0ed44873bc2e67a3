"""Losses, by hand and by a second path."""

import math
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.autograd.graph import saved_tensors_hooks

from fetusmap.network import POLICIES, LandWidths, predict_peak_bytes
from fetusmap.network.ledger import Ledger, TrainingStep, levels_of
from fetusmap.train.losses import (
    SIDE_SHARPNESS,
    scaled_squared_error,
    side_cross_entropy,
    squared_error_with_sides,
    voxel_cross_entropy,
)


def random_target(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).double()


def test_cross_entropy_by_hand():
    """Two voxels with odds 1:3 and a target of equal parts; four voxels all alike."""
    logits = torch.tensor([0.0, math.log(3)]).reshape(1, 1, 1, 1, 2)
    even = torch.tensor([2.0, 2.0]).reshape(1, 1, 1, 1, 2)
    expected = -(math.log(0.25) + math.log(0.75)) / 2
    assert float(voxel_cross_entropy(logits, even)) == pytest.approx(expected)
    first = torch.tensor([0.5, 0.0]).reshape(1, 1, 1, 1, 2)
    assert float(voxel_cross_entropy(logits, first)) == pytest.approx(math.log(4))
    flat = torch.full((1, 1, 1, 2, 2), 5.0)
    assert float(voxel_cross_entropy(flat, torch.rand(1, 1, 1, 2, 2))) == pytest.approx(math.log(4))


def test_cross_entropy_is_the_mean_over_channels_that_show_something():
    logits = torch.zeros(2, 2, 1, 1, 2)
    logits[0, 0, 0, 0, 1] = math.log(3)
    logits[1, 1] = torch.tensor([1e4, -1e4])  # in an empty channel this is no mistake
    target = torch.zeros(2, 2, 1, 1, 2)
    target[0, 0, 0, 0, 0] = 1.0  # -log(1/4)
    target[1, 0] = 3.0  # log(2)
    expected = (math.log(4) + math.log(2)) / 2
    assert float(voxel_cross_entropy(logits, target)) == pytest.approx(expected)


def test_cross_entropy_without_anything_in_view_is_zero_and_has_no_slope():
    logits = torch.randn(1, 3, 2, 2, 2, requires_grad=True)
    loss = voxel_cross_entropy(logits, torch.zeros(1, 3, 2, 2, 2))
    loss.backward()
    assert float(loss.detach()) == 0
    assert float(logits.grad.abs().max()) == 0


def test_cross_entropy_is_least_where_the_output_is_the_targets_distribution():
    """There it is the target's entropy; any step away from it costs."""
    target = random_target(1, 2, 3, 3, 3) + 0.01
    share = target.flatten(2) / target.flatten(2).sum(dim=2, keepdim=True)
    best = target.log().clone().requires_grad_()
    loss = voxel_cross_entropy(best, target)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(-(share * share.log()).sum(dim=2).mean()))
    assert float(best.grad.abs().max()) < 1e-6
    for seed in range(5):
        aside = best.detach() + 0.3 * random_target(*target.shape, seed=seed)
        assert float(voxel_cross_entropy(aside, target)) > float(loss.detach()) + 1e-4


def test_the_slope_of_cross_entropy_is_softmax_minus_target():
    logits = random_target(2, 3, 2, 3, 4, seed=1).float().requires_grad_()
    target = random_target(2, 3, 2, 3, 4, seed=2).float()
    target[1, 2] = 0
    voxel_cross_entropy(logits, target).backward()
    share = target.flatten(2).numpy() / np.maximum(target.flatten(2).sum(2, True).numpy(), 1e-9)
    odds = np.exp(logits.detach().flatten(2).numpy())
    expected = (odds / odds.sum(axis=2, keepdims=True) - share) / 5  # channels with a landmark
    expected[1, 2] = 0
    assert np.allclose(logits.grad.flatten(2).numpy(), expected, atol=1e-6)


def test_cross_entropy_of_half_precision_is_computed_in_full():
    logits = torch.randn(1, 2, 8, 8, 8).bfloat16()
    target = torch.rand(1, 2, 8, 8, 8)
    found = voxel_cross_entropy(logits, target)
    assert found.dtype == torch.float32
    assert float(found) == float(voxel_cross_entropy(logits.float(), target))


def test_squared_error_by_hand():
    """Summed over voxels: 1 + 4 and 9; averaged over two channels of two cases."""
    output, target = torch.zeros(2, 2, 1, 1, 2), torch.zeros(2, 2, 1, 1, 2)
    output[0, 0] = torch.tensor([1.0, -2.0])
    target[1, 1] = torch.tensor([0.0, 3.0])
    assert float(scaled_squared_error(output, target)) == pytest.approx((5 + 9) / 4)
    assert float(scaled_squared_error(target, target)) == 0


def test_squared_error_of_higher_targets_is_that_of_targets_of_height_1():
    output, target = random_target(2, 3, 2, 3, 4, seed=1), random_target(2, 3, 2, 3, 4, seed=2)
    expected = float(scaled_squared_error(output, target))
    found = scaled_squared_error(20 * output, 20 * target, height=20.0)
    assert float(found) == pytest.approx(expected)


def test_squared_error_does_not_shrink_with_the_volume():
    """The same blob costs as much in a volume of eight times the voxels."""
    small = torch.zeros(1, 1, 4, 4, 4)
    small[0, 0, 1:3, 1:3, 1:3] = 0.7
    large = F.pad(small, (0, 4, 0, 4, 0, 4))
    losses = [float(scaled_squared_error(torch.zeros_like(t), t)) for t in (small, large)]
    assert losses[0] == pytest.approx(8 * 0.49)
    assert losses[0] == pytest.approx(losses[1])


def test_the_slope_of_the_squared_error_is_twice_the_error_per_channel():
    output = random_target(2, 3, 2, 3, 4, seed=1).float().requires_grad_()
    target = random_target(2, 3, 2, 3, 4, seed=2).float()
    scaled_squared_error(output, target).backward()
    expected = 2 * (output.detach() - target) / (2 * 3)
    assert torch.allclose(output.grad, expected, atol=1e-7)


# Memory


def stored_bytes(loss):
    """What a loss leaves to the backward pass, each storage once."""
    stored = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        stored[storage.data_ptr()] = storage.nbytes()
        return tensor

    output = torch.rand(1, 16, 20, 18, 22, requires_grad=True)
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        value = loss(output, torch.rand_like(output))
    assert value.requires_grad
    return sum(stored.values())


def test_the_squared_error_stores_its_two_maps_and_nothing_else():
    """As does the loss that the planner of memory counts with."""

    def planned(output, target):
        return F.mse_loss(output, target, reduction="none").mean()

    maps = 16 * 20 * 18 * 22 * 4
    assert stored_bytes(scaled_squared_error) == stored_bytes(planned) == 2 * maps


@pytest.mark.parametrize("policy", POLICIES)
def test_a_step_with_the_squared_error_peaks_where_the_planner_says(policy):
    widths, shape = LandWidths((8, 16, 24)), (44, 52, 68)
    step = TrainingStep.without_data(widths, policy, shape)
    step.run()
    step.forget_gradients()
    ledger = Ledger(step.given(), levels_of(shape, 3))
    with ledger:
        scaled_squared_error(step.network(step.volume), step.target).backward()
        step.optimizer.step()
    peak = ledger.timeline().peak_bytes(shape, on_cpu=True)
    assert peak == pytest.approx(predict_peak_bytes(widths, policy, shape), rel=1e-4)


# Sides

PAIRS = [(0, 1), (2, 3)]


def test_the_cross_entropy_of_the_sides_by_hand():
    """One voxel for each landmark of one pair; the other pair is not in view."""
    target = torch.zeros(1, 4, 1, 1, 3)
    target[0, 0, 0, 0, 0] = target[0, 1, 0, 0, 2] = 10.0
    output = torch.zeros_like(target)
    loss = partial(side_cross_entropy, pairs=PAIRS, height=10.0)
    assert float(loss(output, target)) == pytest.approx(math.log(2))
    output[0, 0, 0, 0, 0], output[0, 1, 0, 0, 2] = 10.0, 5.0
    logits = (SIDE_SHARPNESS, SIDE_SHARPNESS / 2)
    expected = sum(math.log1p(math.exp(-logit)) for logit in logits) / 2
    assert float(loss(output, target)) == pytest.approx(expected)
    exchanged = output[:, [1, 0, 3, 2]]
    assert float(loss(exchanged, target)) == pytest.approx(expected + 0.75 * SIDE_SHARPNESS)
    assert float(loss(output, torch.zeros_like(target))) == 0


def test_the_sides_do_not_depend_on_the_localisation():
    """Voxels without a landmark count nothing, and neither do equal changes of both maps."""
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(2, 4, 3, 4, 5, generator=generator)
    target[..., 0] = 0
    output = torch.randn(2, 4, 3, 4, 5, generator=generator)
    loss = partial(side_cross_entropy, pairs=PAIRS)
    other = output.clone()
    other[..., 0] += 100 * torch.randn(2, 4, 3, 4, generator=generator)
    other[:, 0:2] += 7.0
    torch.testing.assert_close(loss(other, target), loss(output, target))


def test_the_sides_are_added_to_the_squared_errors():
    generator = torch.Generator().manual_seed(1)
    target, output = (torch.rand(1, 4, 2, 3, 4, generator=generator) for _ in range(2))
    found = squared_error_with_sides(output, target, pairs=PAIRS, weight=20.0, height=2.0)
    sides = side_cross_entropy(output, target, pairs=PAIRS, height=2.0)
    plain = scaled_squared_error(output, target, height=2.0)
    torch.testing.assert_close(found, plain + 20 * sides)

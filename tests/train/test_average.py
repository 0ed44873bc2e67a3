"""The moving average of weights, by hand."""

import pytest
import torch
from torch import nn

from fetusmap.train.average import WeightAverage


def network(value):
    """One weight of a value, a bias, and the buffers of a normalisation."""
    made = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    with torch.no_grad():
        made[0].weight.fill_(value)
    return made


def set_weight(changed, value):
    with torch.no_grad():
        changed[0].weight.fill_(value)


def weight(average):
    return float(average.network[0].weight)


def test_young_averages_follow_faster():
    """Update n moves by 10 / (n + 10) of the way, until 1 - decay is more."""
    ours = network(0.0)
    average = WeightAverage(ours, decay=0.2)
    set_weight(ours, 1.0)
    average.update(ours)
    expected = 10 / 11  # 1 / 11 of the old
    assert weight(average) == pytest.approx(expected)
    set_weight(ours, 0.0)
    average.update(ours)
    expected *= 2 / 12
    assert weight(average) == pytest.approx(expected)
    for _ in range(3):  # 3 / 13 of the old would be more than 0.2
        average.update(ours)
        expected *= 0.2
    assert weight(average) == pytest.approx(expected)


def test_without_decay_it_is_the_network_itself():
    ours = network(0.0)
    average = WeightAverage(ours, decay=0.0)
    set_weight(ours, 3.5)
    average.update(ours)
    assert weight(average) == 3.5


def test_buffers_are_taken_as_they_are():
    ours = network(0.0)
    average = WeightAverage(ours, decay=0.9)
    for _ in range(3):
        ours(torch.tensor([[2.0], [4.0]]))
    assert float(ours[1].running_mean) != 0
    average.update(ours)
    assert torch.equal(average.network[1].running_mean, ours[1].running_mean)
    assert int(average.network[1].num_batches_tracked) == 3


def test_it_is_a_network_of_its_own_that_only_predicts():
    ours = network(1.0)
    average = WeightAverage(ours, decay=0.5)
    set_weight(ours, 9.0)
    assert weight(average) == 1.0
    assert not average.network.training
    assert not any(p.requires_grad for p in average.network.parameters())
    assert ours.training
    assert all(p.requires_grad for p in ours.parameters())
    average.update(ours)
    assert float(ours[0].weight.detach()) == 9.0


def test_a_saved_average_goes_on_identically():
    ours = network(0.0)
    average = WeightAverage(ours, decay=0.99)
    set_weight(ours, 1.0)
    for _ in range(4):
        average.update(ours)
    resumed = WeightAverage(network(-5.0), decay=0.99)
    resumed.load_state_dict(average.state_dict())
    set_weight(ours, 2.0)
    for each in (average, resumed):
        each.update(ours)
    assert weight(resumed) == weight(average)
    assert torch.equal(resumed.network[0].bias, average.network[0].bias)

"""The recurrent layer against a loop over torch's own functions."""

import copy

import pytest
import torch
import torch.nn.functional as F

from fetusmap.network import HEIGHT, POLICIES, LandWidths, RecurrentLand, build_land
from fetusmap.network.recurrent import TURNS, GatedRecurrence, Recurrence

WIDTHS = LandWidths((4, 6), 3)
SHAPE = (5, 6, 7)
RECOMPUTING = [policy for policy in POLICIES if policy != "none"]


def random_volume(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def make_network(**options):
    """In double precision, with a layer whose normalisation is not that of fresh weights."""
    torch.manual_seed(0)
    network = RecurrentLand(WIDTHS, **options).double()
    with torch.no_grad():
        network.recurrence.normalisation.weight.uniform_(0.5, 2)
        network.recurrence.normalisation.bias.uniform_(-0.5, 0.5)
    return network


def outputs_and_features(network, volume):
    """What it makes of a volume, and what came into its recurrent layer."""
    seen = []
    hook = network.recurrence.register_forward_pre_hook(lambda _, inputs: seen.append(*inputs))
    output = network(volume)
    hook.remove()
    return output, seen[0]


def standardise(x):
    """Of each channel the mean to 0 and the variance to 1, as batch normalisation does it."""
    mean = x.mean(dim=(0, 2, 3, 4), keepdim=True)
    variance = (x - mean).square().mean(dim=(0, 2, 3, 4), keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


def unrolled(parameters, x, turns):
    """h(t) = ReLU(N(W x + U h(t - 1))), and nothing to begin with."""
    state = torch.zeros_like(x)
    for _ in range(turns):
        total = F.conv3d(x, parameters["inward.weight"], padding=1)
        total = total + F.conv3d(state, parameters["across.weight"], padding=1)
        scale, shift = (
            parameters[f"normalisation.{name}"].reshape(1, -1, 1, 1, 1)
            for name in ("weight", "bias")
        )
        state = F.relu(scale * standardise(total) + shift)
    return state


@pytest.mark.parametrize("own_statistics", [False, True])
def test_one_turn_is_a_convolution_a_normalisation_and_the_head(own_statistics):
    network = make_network(turns=1, own_statistics=own_statistics)
    output, features = outputs_and_features(network, random_volume(2, 1, *SHAPE))
    layer = network.recurrence
    x = F.conv3d(features, layer.inward.weight, padding=1)
    x = F.batch_norm(
        x, None, None, layer.normalisation.weight, layer.normalisation.bias, training=True
    )
    head = network.head.weight[..., None, None, None]
    torch.testing.assert_close(output, F.conv3d(F.relu(x), head, network.head.bias))


@pytest.mark.parametrize("turns", [1, 2, 3, 5])
def test_its_turns_and_their_gradients_are_those_of_a_loop(turns):
    torch.manual_seed(0)
    layer = Recurrence(4, turns, own_statistics=True).double()
    x, aim = random_volume(2, 4, *SHAPE), random_volume(2, 4, *SHAPE, seed=1)
    results = []
    parameters = {
        name: tensor.detach().clone().requires_grad_() for name, tensor in layer.named_parameters()
    }
    for make in (layer, lambda x: unrolled(parameters, x, turns)):
        given = x.clone().requires_grad_()
        state = make(given)
        F.mse_loss(state, aim).backward()
        results.append((state.detach(), given.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)
    for name, parameter in layer.named_parameters():
        if name == "across.weight" and turns == 1:
            assert parameter.grad is None
        else:
            torch.testing.assert_close(parameter.grad, parameters[name].grad)


def gated_unrolled(parameters, x, turns):
    """The equations of the gated recurrent unit, gate by gate."""
    weight = {name: parameters[f"{name}.weight"] for name in ("inward", "across", "recalled")}
    update_kernel, reset_kernel, candidate_kernel = weight["inward"].chunk(3)
    update_across, reset_across = weight["across"].chunk(2)
    scale, shift = (
        parameters[f"normalisation.{name}"].reshape(1, -1, 1, 1, 1) for name in ("weight", "bias")
    )

    def convolved(volume, kernel):
        return F.conv3d(volume, kernel, padding=1)

    state = torch.zeros_like(x)
    for _ in range(turns):
        update = torch.sigmoid(convolved(x, update_kernel) + convolved(state, update_across))
        reset = torch.sigmoid(convolved(x, reset_kernel) + convolved(state, reset_across))
        total = convolved(x, candidate_kernel) + convolved(reset * state, weight["recalled"])
        candidate = F.relu(scale * standardise(total) + shift)
        state = (1 - update) * state + update * candidate
    return state


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_the_gated_layer_follows_its_equations(turns):
    torch.manual_seed(0)
    layer = GatedRecurrence(4, turns, own_statistics=True).double()
    x, aim = random_volume(2, 4, *SHAPE), random_volume(2, 4, *SHAPE, seed=1)
    parameters = {
        name: tensor.detach().clone().requires_grad_() for name, tensor in layer.named_parameters()
    }
    states = layer(x), gated_unrolled(parameters, x, turns)
    for state in states:
        F.mse_loss(state, aim).backward()
    torch.testing.assert_close(*states)
    for name, parameter in layer.named_parameters():
        if turns > 1:
            torch.testing.assert_close(parameter.grad, parameters[name].grad)


def test_a_closed_update_gate_forgets_what_came_in():
    """With the update gate at 0, the state stays 0."""
    torch.manual_seed(0)
    layer = GatedRecurrence(2, 2, own_statistics=True).double()
    x = random_volume(1, 2, *SHAPE).abs() + 1.0
    with torch.no_grad():
        layer.inward.weight[:2] = -1000.0
        layer.across.weight.zero_()
    inside = layer(x)[..., 1:-1, 1:-1, 1:-1]
    assert inside.abs().max() < 1e-12


def test_the_network_takes_three_turns():
    assert TURNS == 3
    network = make_network(own_statistics=True)
    output, features = outputs_and_features(network, random_volume(1, 1, *SHAPE))
    state = unrolled(dict(network.recurrence.named_parameters()), features, 3)
    head = network.head.weight[..., None, None, None]
    torch.testing.assert_close(output, F.conv3d(state, head, network.head.bias))


def test_without_the_layer_it_is_the_plain_network():
    plain = build_land(WIDTHS, own_statistics=True).double()
    network = make_network(own_statistics=True)
    network.recurrence = torch.nn.Identity()
    network.load_state_dict(plain.state_dict())
    volume = random_volume(1, 1, *SHAPE)
    assert torch.equal(network(volume), plain(volume))
    assert torch.equal(network.maps(plain(volume)), plain(volume) / HEIGHT)


@pytest.mark.parametrize("turns", [2, 3])
def test_gradients_reach_both_kernels_and_whatever_lies_before_them(turns):
    network = make_network(turns=turns)
    F.mse_loss(network(random_volume(1, 1, *SHAPE)), random_volume(1, 3, *SHAPE, seed=1)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("turns", [1, 2, 4])
def test_what_neighbours_show_comes_one_voxel_nearer_in_each_turn(turns):
    """A voxel's state depends on voxels up to as many steps away as there were turns."""
    torch.manual_seed(0)
    layer = Recurrence(2, turns, own_statistics=False).eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(0.5, 1)  # positive: nothing is cut off
    x = torch.rand(1, 2, 11, 11, 11, requires_grad=True)
    layer(x)[0, 0, 5, 5, 5].backward()
    expected = torch.zeros(11, 11, 11, dtype=torch.bool)
    near = slice(5 - turns, 5 + turns + 1)
    expected[near, near, near] = True
    assert torch.equal(x.grad[0].abs().sum(0) > 0, expected)


@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 9, 11), (1, 16, 3), (8, 5, 6)])
def test_axes_of_any_size_give_heatmaps_of_that_size(shape):
    network = RecurrentLand(LandWidths((4, 6, 8)), own_statistics=True)
    with torch.no_grad():
        found = network(torch.randn(1, 1, *shape))
    assert found.shape == (1, 16, *shape)
    assert found.isfinite().all()


def test_its_parameters_are_the_plain_networks_and_two_kernels_with_a_normalisation():
    plain, network = (
        sum(parameter.numel() for parameter in build.parameters())
        for build in (build_land(WIDTHS), RecurrentLand(WIDTHS, turns=7))
    )
    assert network == plain + 2 * 27 * 4 * 4 + 2 * 4


@pytest.mark.parametrize(("own_statistics", "gated"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("policy", RECOMPUTING)
def test_how_it_is_checkpointed_changes_no_bit(policy, own_statistics, gated):
    torch.manual_seed(0)
    start = RecurrentLand(LandWidths((4, 6, 8)), own_statistics=own_statistics, gated=gated)
    volume, target = torch.randn(1, 1, 9, 10, 11), torch.rand(1, 16, 9, 10, 11)
    networks, outputs = [], []
    for name in ("none", policy):
        network = copy.deepcopy(start)
        network.policy = name
        outputs.append(network(volume).detach())
        F.mse_loss(network(volume), target).backward()
        networks.append(network)
    assert torch.equal(*outputs)
    plain, other = networks
    for (name, ours), theirs in zip(other.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad), name
    for (name, ours), theirs in zip(other.named_buffers(), plain.buffers(), strict=True):
        assert torch.equal(ours, theirs), name


def test_with_its_own_statistics_a_volume_looks_the_same_in_training_and_in_use():
    network = make_network(own_statistics=True)
    assert not list(network.buffers())
    volume = random_volume(1, 1, *SHAPE)
    with torch.no_grad():
        trained = network(volume)
        network(random_volume(1, 1, *SHAPE, seed=1))
        assert torch.equal(trained, network.eval()(volume))

"""Muon: kernels move by an orthogonal matrix, everything else as Adam moves it."""

import io

import numpy as np
import pytest
import torch
from torch import nn

from fetusmap.train.muon import Muon, orthogonalize

RATE = 0.01


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def parameter(*shape, seed=0):
    return nn.Parameter(normal(*shape, seed=seed))


def step(optimizer, *pairs):
    for each, gradient in pairs:
        each.grad = gradient.clone()
    optimizer.step()


# Orthogonal matrices


@pytest.mark.parametrize(
    "shape", [(8, 216), (216, 8), (32, 864), (160, 64), (64, 160), (16, 24), (1, 50), (3, 3)]
)
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e3])
def test_orthogonal_matrices_have_singular_values_near_one(shape, scale):
    for seed in range(3):
        values = torch.linalg.svdvals(orthogonalize(scale * normal(*shape, seed=seed)))
        assert 0.5 < float(values.min()) <= float(values.max()) < 1.3


def test_singular_vectors_stay():
    """Of the form U S V^T: in the basis of U and V it is diagonal, to the digits of bfloat16."""
    matrix = normal(12, 40)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    turned = u.T @ orthogonalize(matrix) @ v.T
    aside = turned - torch.diag(turned.diagonal())
    assert float(aside.abs().max()) < 0.03
    assert float(turned.diagonal().min()) > 0.5


@pytest.mark.parametrize("shape", [(8, 216), (216, 8), (20, 20)])
def test_the_transposed_matrix_has_the_transposed_result(shape):
    matrix = normal(*shape) + 4 * torch.eye(*shape)
    ours, theirs = orthogonalize(matrix.T), orthogonalize(matrix).T
    assert float((ours - theirs).norm()) < 0.05 * float(theirs.norm())


def test_nothing_becomes_nothing():
    assert torch.equal(orthogonalize(torch.zeros(4, 9)), torch.zeros(4, 9))


# Kernels


def test_the_first_step_of_a_kernel_is_its_gradient_made_orthogonal():
    """By singular value decomposition; a step's size per weight is 0.2 of the learning rate."""
    kernel, gradient = parameter(8, 4, 3, 3, 3), normal(8, 4, 3, 3, 3, seed=1)
    before = kernel.detach().clone()
    step(Muon([kernel], RATE), (kernel, gradient))
    moved = (before - kernel.detach()).flatten(1) / RATE
    u, _, v = torch.linalg.svd(gradient.flatten(1), full_matrices=False)
    exact = 0.2 * 108**0.5 * u @ v
    assert torch.corrcoef(torch.stack([moved.flatten(), exact.flatten()]))[0, 1] > 0.97
    assert 0.5 < float(moved.norm() / exact.norm()) < 1.3
    assert float(moved.square().mean().sqrt()) == pytest.approx(0.2, rel=0.3)


def test_momentum_looks_ahead():
    """The second step is that of 0.05 g + 0.95 m, with m the decaying mean of the gradients."""
    kernel = parameter(8, 4, 3, 3, 3)
    gradients = [normal(8, 4, 3, 3, 3, seed=seed) for seed in (1, 2)]
    optimizer = Muon([kernel], RATE)
    step(optimizer, (kernel, gradients[0]))
    before = kernel.detach().clone()
    step(optimizer, (kernel, gradients[1]))
    mean = 0.95 * 0.05 * gradients[0] + 0.05 * gradients[1]
    ahead = 0.05 * gradients[1] + 0.95 * mean
    expected = before - RATE * 0.2 * 108**0.5 * orthogonalize(ahead.flatten(1)).view_as(before)
    assert torch.allclose(kernel.detach(), expected, atol=RATE * 0.02)
    wrong = before - RATE * 0.2 * 108**0.5 * orthogonalize(mean.flatten(1)).view_as(before)
    assert not torch.allclose(kernel.detach(), wrong, atol=RATE * 0.02)


def test_kernels_may_lie_in_memory_as_they_like():
    plain = parameter(8, 4, 3, 3, 3)
    laid = nn.Parameter(plain.detach().clone().contiguous(memory_format=torch.channels_last_3d))
    optimizer = Muon([plain, laid], RATE, weight_decay=0.1)
    for seed in range(3):
        gradient = normal(8, 4, 3, 3, 3, seed=seed)
        step(optimizer, (plain, gradient), (laid, gradient))
    assert laid.is_contiguous(memory_format=torch.channels_last_3d)
    assert torch.allclose(plain, laid, atol=1e-6)


@pytest.mark.parametrize("shape", [(8, 4, 3, 3, 3), (8, 16, 1, 1, 1)])
def test_kernels_decay(shape):
    """Without a gradient nothing else moves them."""
    kernel = parameter(*shape)
    before = kernel.detach().clone()
    step(Muon([kernel], RATE, weight_decay=0.5), (kernel, torch.zeros(shape)))
    assert torch.allclose(kernel.detach(), before * (1 - RATE * 0.5))


# Everything else


@pytest.mark.parametrize("shape", [(7,), (8, 1, 4, 4, 4)])
def test_biases_and_the_first_layer_go_with_adam(shape):
    """Step by step with torch's own, also when the learning rate changes; nothing decays."""
    ours, theirs = parameter(*shape), parameter(*shape)
    muon = Muon([ours], RATE, weight_decay=0.5)
    adam = torch.optim.Adam([theirs], RATE)
    for seed in range(12):
        for optimizer in (muon, adam):
            optimizer.param_groups[0]["lr"] = RATE / (1 + seed % 3)
        gradient = normal(*shape, seed=seed) * 10.0 ** (seed % 4 - 3)
        step(muon, (ours, gradient))
        step(adam, (theirs, gradient))
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_what_has_no_gradient_stays():
    kernel, bias = parameter(8, 4, 3, 3, 3), parameter(5)
    before = kernel.detach().clone()
    step(Muon([kernel, bias], RATE, weight_decay=0.5), (bias, torch.ones(5)))
    assert torch.equal(kernel.detach(), before)
    assert float((bias.detach() - normal(5)).abs().min()) > 0


def test_a_saved_state_goes_on_identically():
    shapes = [(8, 4, 3, 3, 3), (6,), (8, 1, 4, 4, 4)]
    gradients = [[normal(*shape, seed=seed) for shape in shapes] for seed in range(6)]
    straight = [parameter(*shape) for shape in shapes]
    optimizer = Muon(straight, RATE, weight_decay=0.1)
    for gradient in gradients:
        step(optimizer, *zip(straight, gradient, strict=True))

    broken = [parameter(*shape) for shape in shapes]
    optimizer = Muon(broken, RATE, weight_decay=0.1)
    for gradient in gradients[:3]:
        step(optimizer, *zip(broken, gradient, strict=True))
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    resumed = Muon(broken, 17.0)  # its own numbers are replaced
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for gradient in gradients[3:]:
        step(resumed, *zip(broken, gradient, strict=True))
    for one, other in zip(straight, broken, strict=True):
        assert torch.equal(one, other)


def test_it_learns():
    """A convolution finds the kernel that made the answers."""
    truth, convolution = (nn.Conv3d(2, 3, 3, padding=1) for _ in range(2))
    optimizer = Muon(convolution.parameters(), RATE)
    losses = []
    for seed in range(150):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - seed / 150)
        volume = normal(1, 2, 6, 6, 6, seed=seed)
        loss = (convolution(volume) - truth(volume).detach()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.02 * np.mean(losses[:5])


def test_closures_are_not_supported():
    with pytest.raises(NotImplementedError):
        Muon([parameter(3)], RATE).step(lambda: 0.0)

"""The discriminator against torch's own functions, and how far it sees."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fetusmap.network import Discriminator
from fetusmap.network.discriminator import SLOPE, WIDTHS


def halved(voxels, times):
    """Windows of four voxels at every second one, two voxels of padding at either end."""
    for _ in range(times):
        voxels = voxels // 2 + 1
    return voxels


@pytest.mark.parametrize("shape", [(16, 16, 16), (9, 12, 17), (2, 3, 5), (1, 2, 1), (44, 41, 52)])
def test_each_level_halves_the_axes(shape):
    discriminator = Discriminator(3, (4, 5))
    scores = discriminator(torch.randn(2, 1, *shape), torch.rand(2, 3, *shape))
    assert scores.shape == (2, 1, *[halved(n, 2) for n in shape])


def test_the_default_has_four_levels():
    assert len(WIDTHS) == 4
    shape = (20, 31, 16)
    with torch.no_grad():
        scores = Discriminator(16)(torch.randn(1, 1, *shape), torch.rand(1, 16, *shape))
    assert scores.shape == (1, 1, *[halved(n, 4) for n in shape]) == (1, 1, 3, 3, 2)


def test_it_is_a_chain_of_torchs_own_functions():
    """The volume comes first, and all levels but the first are normalised by volume."""
    torch.manual_seed(0)
    discriminator = Discriminator(2, (4, 5, 6)).double()
    volume, heatmaps = torch.randn(2, 1, 9, 10, 12).double(), torch.rand(2, 2, 9, 10, 12).double()
    kernels = [layer for layer in discriminator.modules() if isinstance(layer, nn.Conv3d)]
    x = torch.cat([volume, heatmaps], 1)
    for level, layer in enumerate(kernels[:-1]):
        x = F.conv3d(x, layer.weight, layer.bias, stride=2, padding=2)
        if level:
            x = F.instance_norm(x)
        x = torch.where(x > 0, x, SLOPE * x)
    expected = F.conv3d(x, kernels[-1].weight, kernels[-1].bias, padding=1)
    torch.testing.assert_close(discriminator(volume, heatmaps), expected)


def test_its_parameters_are_those_of_its_layers():
    kernels = sum(64 * a * b + b for a, b in pairwise((17, *WIDTHS))) + 27 * WIDTHS[-1] + 1
    norms = 2 * sum(WIDTHS[1:])
    assert sum(p.numel() for p in Discriminator(16).parameters()) == kernels + norms


def test_other_heatmaps_of_a_volume_have_other_scores():
    torch.manual_seed(0)
    discriminator = Discriminator(2, (4, 5))
    volume, heatmaps = torch.randn(1, 1, 12, 12, 12), torch.rand(1, 2, 12, 12, 12)
    with torch.no_grad():
        scores = discriminator(volume, heatmaps)
        assert torch.equal(discriminator(volume, heatmaps.clone()), scores)
        for other in (discriminator(volume, heatmaps.flip(1)), discriminator(-volume, heatmaps)):
            assert (other - scores).abs().max() > 1e-3


def test_heatmaps_learn_what_they_are_scored():
    """Every one of them."""
    torch.manual_seed(0)
    heatmaps = torch.rand(1, 16, 17, 18, 19, requires_grad=True)
    Discriminator(16)(torch.randn(1, 1, 17, 18, 19), heatmaps).square().mean().backward()
    assert (heatmaps.grad.abs().amax(dim=(0, 2, 3, 4)) > 0).all()


def test_a_volume_does_not_depend_on_its_batch():
    torch.manual_seed(0)
    discriminator = Discriminator(2, (4, 5))
    volumes, heatmaps = torch.randn(2, 1, 9, 9, 9), torch.rand(2, 2, 9, 9, 9)
    with torch.no_grad():
        alone = discriminator(volumes[:1], heatmaps[:1])
        torch.testing.assert_close(discriminator(volumes, heatmaps)[:1], alone)


def test_a_score_sees_78_voxels_across():
    """Windows of 4 voxels at steps of 1, 2, 4 and 8, and one of 3 at steps of 16.

    1 + 3 (1 + 2 + 4 + 8) + 2 * 16; but for the normalisation, which sees the whole volume.
    """
    discriminator = Discriminator(1)
    for name, layer in discriminator.layers.named_children():
        if isinstance(layer, nn.GroupNorm):
            discriminator.layers[int(name)] = nn.Identity()
    volume = torch.randn(1, 1, 161, 4, 4, requires_grad=True)
    scores = discriminator(volume, torch.rand(1, 1, 161, 4, 4))
    scores[0, 0, scores.shape[2] // 2].sum().backward()
    seen = volume.grad[0, 0].abs().sum(dim=(1, 2)).nonzero()
    assert int(seen.max() - seen.min()) + 1 == 78


@pytest.mark.parametrize("size", [11, 14, 17, 18, 21])
def test_gradients_in_bfloat16_are_those_of_float32(size):
    """Of kernels; the biases before a normalisation have none. Small volumes had infinite ones."""
    torch.manual_seed(size)
    discriminator = Discriminator(2, (4, 4, 4, 4))
    volume, maps = torch.randn(1, 1, size, size + 3, size), torch.rand(1, 2, size, size + 3, size)
    gradients = []
    for half in (False, True):
        discriminator.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, half):
            scores = discriminator(volume, maps)
        (scores.float() - 1).square().mean().backward()
        kernels = [p.grad.clone() for p in discriminator.parameters() if p.dim() == 5]
        gradients.append(torch.cat([kernel.flatten() for kernel in kernels]))
    exact, rough = gradients
    assert torch.isfinite(rough).all()
    assert F.cosine_similarity(rough, exact, dim=0) > 0.8


def test_spectral_normalisation_bounds_every_kernel():
    """By a second path: the singular values of the kernels as they are applied."""
    torch.manual_seed(0)
    discriminator = Discriminator(2, (4, 5, 6), spectral=True)
    pair = torch.randn(1, 1, 9, 10, 11), torch.rand(1, 2, 9, 10, 11)
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.mul_(10)
        for _ in range(30):  # each pass in training improves the estimate of the singular value
            discriminator(*pair)
        discriminator.eval()
        kernels = [layer.weight for layer in discriminator.layers if isinstance(layer, nn.Conv3d)]
        largest = [float(torch.linalg.svdvals(kernel.flatten(1))[0]) for kernel in kernels]
    assert len(largest) == 4
    assert largest == pytest.approx([1.0] * 4, abs=0.02)

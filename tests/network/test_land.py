"""The paper's network against one put together from torch's own modules, and against arithmetic."""

from functools import partial
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef

from fetusmap.errors import BadInput
from fetusmap.network import HEIGHT, LandWidths, build_land
from fetusmap.network.gradients import pool
from fetusmap.network.land import Convolution, Deconvolution, Land

WIDTHS = LandWidths((4, 6, 8, 10, 12))
SHAPE = (17, 19, 23)
LAND = build_land(WIDTHS).eval()


def conv_norm_relu(own_statistics, inputs, outputs):
    return [
        nn.Conv3d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm3d(outputs, track_running_stats=not own_statistics),
        nn.ReLU(),
    ]


class Plain(nn.Module):
    """The network as anyone would write it."""

    def __init__(self, widths, own_statistics):
        super().__init__()
        conv_norm = partial(conv_norm_relu, own_statistics)
        self.down = nn.ModuleList(
            nn.Sequential(*conv_norm(a, b), *conv_norm(b, b))
            for a, b in zip((1, *widths.levels), widths.levels, strict=False)
        )
        levels = list(pairwise(widths.levels))
        self.deconvolve = nn.ModuleList(
            nn.ConvTranspose3d(b, a, 2, 2, bias=False) for a, b in levels
        )
        self.norm = nn.ModuleList(
            nn.BatchNorm3d(a, track_running_stats=not own_statistics) for a, _ in levels
        )
        self.up = nn.ModuleList(
            nn.Sequential(*conv_norm(2 * a, a), *conv_norm(a, a)) for a, _ in levels
        )
        self.head = nn.Conv3d(widths.levels[0], widths.outputs, 1)

    def forward(self, x):
        skips = []
        for level, block in enumerate(self.down):
            if level:
                skips.append(x)
                x = F.max_pool3d(x, 2, padding=[n % 2 for n in x.shape[2:]])
            x = block(x)
        for deconvolve, norm, block in reversed(
            list(zip(self.deconvolve, self.norm, self.up, strict=True))
        ):
            skip = skips.pop()
            # All of it, and then without the first voxel where the axis was odd.
            x = deconvolve(x)[(..., *[slice(n % 2, None) for n in skip.shape[2:]])]
            x = block(torch.cat([skip, F.relu(norm(x))], 1))
        return self.head(x)


def pairs_of(land: Land, plain: Plain):
    """The parts of both that do the same."""
    yield from zip(land.encoder, plain.down, strict=True)
    yield from zip(land.decoder, plain.up, strict=True)
    yield from zip((rise.normalisation for rise in land.rises), plain.norm, strict=True)
    yield from zip((rise.deconvolution for rise in land.rises), plain.deconvolve, strict=True)
    yield land.head, plain.head


def plain_of(land: Land) -> Plain:
    """With the same weights."""
    plain = Plain(land.widths, land.own_statistics).double()
    for ours, theirs in pairs_of(land, plain):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            b.data.copy_(a.data.reshape(b.shape))
    return plain


@pytest.mark.parametrize("own_statistics", [False, True])
@pytest.mark.parametrize("shape", [SHAPE, (16, 32, 16)])
def test_it_is_the_network_of_torchs_own_modules(shape, own_statistics):
    torch.manual_seed(0)
    land = build_land(WIDTHS, own_statistics=own_statistics).double()
    plain = plain_of(land)
    volume, target = torch.randn(2, 1, *shape).double(), torch.randn(2, 16, *shape).double()
    for network in (land, plain):
        heatmaps = network(volume)
        F.mse_loss(heatmaps, target).backward()
    torch.testing.assert_close(land(volume), plain(volume))
    for ours, theirs in pairs_of(land, plain):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a.grad.squeeze(), b.grad.squeeze())
        for a, b in zip(ours.buffers(), theirs.buffers(), strict=True):
            torch.testing.assert_close(a, b)


def test_its_parameters_are_those_of_its_layers():
    levels = (4, 6, 8, 10, 12)
    convolutions = 27 * sum(a * b + b * b for a, b in zip((1, *levels), levels, strict=False))
    convolutions += 27 * sum(2 * a * a + a * a for a in levels[:-1])
    deconvolutions = 8 * sum(a * b for a, b in pairwise(levels))
    # Scale and shift of two norms per block, and of one per deconvolution.
    norms = 2 * (2 * sum(levels) + 2 * sum(levels[:-1]) + sum(levels[:-1]))
    head = 4 * 16 + 16
    found = sum(p.numel() for p in build_land(WIDTHS).parameters())
    assert found == convolutions + deconvolutions + norms + head


def test_the_default_has_four_poolings_and_sixteen_heatmaps():
    assert len(LandWidths().levels) == 5
    assert LandWidths().outputs == 16


def test_each_level_halves_and_rounds_up():
    land = build_land(WIDTHS)
    sizes = []
    for block in land.encoder:
        block[0].register_forward_hook(lambda _, __, out: sizes.append(tuple(out.shape[1:])))
    land.eval()(torch.randn(1, 1, *SHAPE))
    assert sizes == [(4, 17, 19, 23), (6, 9, 10, 12), (8, 5, 5, 6), (10, 3, 3, 3), (12, 2, 2, 2)]


@settings(max_examples=20)
@given(st.tuples(*[st.integers(1, 24)] * 3))
def test_any_size_gives_heatmaps_of_that_size(shape):
    with torch.no_grad():
        assert LAND(torch.zeros(2, 1, *shape)).shape == (2, 16, *shape)


@given(st.data(), st.tuples(*[st.integers(1, 9)] * 3))
def test_a_deconvolution_puts_back_what_was_pooled_where_it_was(data, shape):
    voxel = data.draw(st.tuples(*[st.integers(0, n - 1) for n in shape]))
    volume = torch.zeros(1, 1, *shape)
    volume[(0, 0, *voxel)] = 1
    up = Deconvolution(1, 1)
    with torch.no_grad():
        up.weight.fill_(1)
        back = up(pool(volume)[0], odd=tuple(n % 2 for n in shape))[0, 0]
    assert back.shape == shape
    assert back[voxel] == 1
    # Nothing outside of the window of two voxels along each axis.
    assert back.sum() <= 8
    assert all((back.nonzero() - torch.tensor(voxel)).abs().max(dim=0).values <= 1)


def test_in_evaluation_a_volume_does_not_depend_on_its_batch():
    a, b = torch.randn(2, 1, 1, *SHAPE)
    with torch.no_grad():
        torch.testing.assert_close(LAND(torch.cat([a, b]))[:1], LAND(a))


def test_with_its_own_statistics_a_volume_looks_the_same_in_training_and_in_use():
    """And what it looks like depends neither on its brightness nor on what was seen before."""
    torch.manual_seed(0)
    land = build_land(WIDTHS, own_statistics=True)
    assert not list(land.buffers())
    first, second = torch.randn(2, 1, 1, *SHAPE)
    with torch.no_grad():
        trained = land(first)
        land(second)
        used = land.eval()(first)
        brighter = land(3 * first)
    assert torch.equal(trained, used)
    torch.testing.assert_close(brighter, used, atol=1e-4, rtol=1e-3)


def test_a_fresh_network_predicts_next_to_nothing():
    torch.manual_seed(0)
    with torch.no_grad():
        output = build_land(WIDTHS, own_statistics=True)(torch.randn(1, 1, *SHAPE))
    assert output.abs().max() < 0.01 * HEIGHT


def test_nothing_is_stored_without_gradients():
    made = []
    land = build_land(WIDTHS, "none")
    for step in land.modules():
        if isinstance(step, Convolution):
            step.register_forward_hook(
                lambda _, __, out: made.append(StorageWeakRef(out.untyped_storage()))
            )
    with torch.no_grad():
        land(torch.randn(1, 1, *SHAPE))
    assert made
    assert not any(not storage.expired() for storage in made)


def test_an_unknown_policy_is_an_error_that_lists_the_known_ones():
    with pytest.raises(BadInput, match="expected one of none, norms, paper, lean, blocks"):
        build_land(WIDTHS, "papper")

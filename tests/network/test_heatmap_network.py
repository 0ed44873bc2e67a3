"""What is asked of any network: sizes that fit its output, and heatmaps as they are read."""

import pytest
import torch

from fetusmap.network import (
    HEIGHT,
    HeatmapNetwork,
    LandWidths,
    UNetWidths,
    build_land,
    build_unet,
)

UNET = build_unet(UNetWidths((8, 16, 8), 5)).eval()
LAND = build_land(LandWidths((4, 6, 8, 10), 5)).eval()


@pytest.mark.parametrize("network", [UNET, LAND])
@pytest.mark.parametrize("times", [(1, 2, 3), (3, 1, 1), (2, 2, 5)])
def test_any_multiple_goes_in_and_its_part_by_the_stride_comes_out(network, times):
    shape = [n * network.multiple for n in times]
    with torch.no_grad():
        output = network(torch.rand(2, 1, *shape))
        assert output.shape == (2, 5, *(n // network.stride for n in shape))
        assert network.heatmaps(output[0]).shape == output.shape[1:]


def test_what_is_no_multiple_does_not_fit():
    assert UNET.multiple == 8
    with pytest.raises(RuntimeError, match="size"), torch.no_grad():
        UNET(torch.rand(1, 1, 20, 16, 16))


@pytest.mark.parametrize(
    ("network", "levels", "stride", "multiple"),
    [(UNET, (8, 16, 8), 2, 8), (LAND, (4, 6, 8, 10), 1, 1)],
)
def test_numbers_by_hand(network, levels, stride, multiple):
    assert (network.levels, network.stride, network.multiple) == (levels, stride, multiple)
    assert isinstance(network, HeatmapNetwork)


@pytest.mark.parametrize("network", [UNET, LAND])
def test_levels_are_the_channels_of_its_blocks(network):
    seen = []
    hooks = [
        block.register_forward_hook(lambda _, __, out: seen.append(out.shape[1]))
        if network is UNET
        else block[-1].register_forward_hook(lambda _, __, out: seen.append(out.shape[1]))
        for block in network.encoder
    ]
    with torch.no_grad():
        network(torch.rand(1, 1, 16, 16, 16))
    for hook in hooks:
        hook.remove()
    assert tuple(seen) == network.levels


@pytest.mark.parametrize("half", [True, False])
def test_the_unet_gives_the_same_bits_with_any_number_of_threads(half):
    """The sums of a normalisation are over so many voxels that torch would split them."""
    assert UNET.same_on_any_threads
    assert not LAND.same_on_any_threads
    volume = torch.rand(1, 1, 48, 48, 64).contiguous(memory_format=torch.channels_last_3d)
    before = torch.get_num_threads()
    outputs = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, half):
            outputs.append(UNET(volume))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert all(torch.equal(output, outputs[0]) for output in outputs)


def test_logits_become_a_distribution_over_the_voxels_of_each_channel():
    output = torch.tensor([[0.0, 1.0, 1.0, 2.0], [-7.0, -7.0, -7.0, 400.0]]).log2()
    output = torch.nan_to_num(output.reshape(2, 1, 2, 2), nan=-3.0, neginf=-200.0)
    maps = UNET.heatmaps(output * torch.log(torch.tensor(2.0)))  # of 2^0, 2^0, 2^1
    assert maps[0].flatten().tolist() == pytest.approx([0, 0.25, 0.25, 0.5])
    assert maps.flatten(1).sum(dim=1).tolist() == pytest.approx([1, 1])


def test_the_papers_output_is_a_heatmap_where_it_is_above_0():
    output = torch.tensor([10.0, -5.0, 0.0, 60.0]).reshape(1, 1, 2, 2)
    assert LAND.maps(output).flatten().tolist() == [0.5, -0.25, 0, 3]
    assert LAND.heatmaps(output).flatten().tolist() == [0.5, 0, 0, 3]
    assert output.flatten().tolist() == [10, -5, 0, 60]


@pytest.mark.parametrize("sigma", [0.8, 1.0, 2.5])
def test_the_height_of_a_map_is_that_at_a_landmark_without_doubt(sigma):
    """The logarithm of a Gaussian is the output that the cross entropy asks for."""
    axes = torch.meshgrid(*[torch.arange(-12.0, 13.0)] * 3, indexing="ij")
    square = sum(axis**2 for axis in axes)
    gaussian = (-0.5 * square / sigma**2)[None]
    assert float(UNET.maps(gaussian).max()) == pytest.approx(UNET.height(sigma), rel=2e-3)
    assert float(LAND.maps(HEIGHT * gaussian.exp()).max()) == LAND.height(sigma) == 1


def test_an_architecture_must_say_all_of_it():
    class Silent(HeatmapNetwork):
        levels = (8,)
        stride = 1

    with pytest.raises(TypeError, match="abstract"):
        Silent()

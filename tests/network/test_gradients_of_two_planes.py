"""Gradients of kernels in bfloat16 where the first axis has two voxels, against float32.

There torch's own gradients of the weights were unrelated to the right ones, up to infinity.
"""

import pytest
import torch
import torch.nn.functional as F

from fetusmap.network.gradients import CHANNELS_LAST, convolve

ROUNDING = 2**-8
"""Of a number in bfloat16, as a part of it."""


def case(shape, channels, batch=1):
    """A volume, a kernel and the slope of what comes out, all of them numbers of bfloat16."""
    generator = torch.Generator().manual_seed(0)
    inputs, outputs = channels
    tensors = [
        torch.randn(*size, generator=generator).bfloat16()
        for size in ((batch, inputs, *shape), (outputs, inputs, 3, 3, 3), (batch, outputs, *shape))
    ]
    volume, kernel, slope = tensors
    return (
        volume.contiguous(memory_format=CHANNELS_LAST),
        kernel,
        slope.contiguous(memory_format=CHANNELS_LAST),
    )


def gradients(convolution, volume, kernel, slope):
    volume, kernel = volume.clone().requires_grad_(), kernel.clone().requires_grad_()
    convolution(volume, kernel).backward(slope)
    return volume.grad, kernel.grad


def in_full(volume, kernel):
    return F.conv3d(volume, kernel, padding=1)


def part_off(found, expected):
    return float((found.float() - expected).norm() / expected.norm())


@pytest.mark.parametrize("channels", [(1, 8), (8, 8), (16, 32), (32, 64), (160, 160)])
@pytest.mark.parametrize(
    "shape", [(2, 2, 2), (2, 9, 7), (2, 1, 1), (1, 5, 4), (3, 5, 4), (3, 2, 2), (1, 1, 1)]
)
def test_they_are_those_in_float32_but_for_the_rounding(shape, channels):
    parts = case(shape, channels)
    found = gradients(convolve, *parts)
    expected = gradients(in_full, *(part.float() for part in parts))
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.bfloat16
        assert part_off(ours, theirs) < ROUNDING


@pytest.mark.parametrize("planes", [1, 2, 3])
def test_those_of_several_volumes_are_their_sum(planes):
    parts = case((planes, 5, 6), (16, 32), batch=3)
    found = gradients(convolve, *parts)[1]
    volume, kernel, slope = (part.float() for part in parts)
    expected = sum(
        gradients(in_full, volume[n : n + 1], kernel, slope[n : n + 1])[1] for n in range(3)
    )
    assert part_off(found, expected) < ROUNDING


@pytest.mark.parametrize("planes", [1, 2, 3])
def test_under_autocast_the_kernel_learns_in_float32_what_was_computed_in_bfloat16(planes):
    parts = case((planes, 9, 7), (16, 32))
    volume, kernel, slope = (part.float() for part in parts)
    volume.requires_grad_()
    kernel.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        output = convolve(volume, kernel)
    assert output.dtype == torch.bfloat16
    output.backward(slope.bfloat16())
    assert kernel.grad.dtype == torch.float32
    expected = gradients(in_full, *(part.float() for part in parts))
    assert part_off(volume.grad, expected[0]) < ROUNDING
    assert part_off(kernel.grad, expected[1]) < ROUNDING


@pytest.mark.parametrize("planes", [2, 3])
def test_they_are_the_same_each_time(planes):
    parts = case((planes, 6, 5), (16, 32))
    first = gradients(convolve, *parts)
    for _ in range(3):
        again = gradients(convolve, *parts)
        assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


def test_a_volume_of_one_seen_plane_and_one_of_zeros_learns_what_the_one_plane_does():
    """By hand: a 1 at one voxel, a slope of 1 at its neighbour, and the weight between both."""
    volume, slope = torch.zeros(1, 8, 2, 4, 4).bfloat16(), torch.zeros(1, 8, 2, 4, 4).bfloat16()
    volume[0, 3, 0, 1, 2] = 1
    slope[0, 5, 1, 2, 2] = 1
    kernel = torch.zeros(8, 8, 3, 3, 3).bfloat16()
    found = gradients(convolve, volume, kernel, slope)[1]
    expected = torch.zeros_like(kernel)
    expected[5, 3, 0, 0, 1] = 1  # a plane and a row before the neighbour, in its column
    assert torch.equal(found, expected)


def test_float32_is_left_as_it_is():
    parts = [part.float() for part in case((2, 5, 4), (8, 8))]
    for ours, theirs in zip(gradients(convolve, *parts), gradients(in_full, *parts), strict=True):
        torch.testing.assert_close(ours, theirs)

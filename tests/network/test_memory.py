"""Stored bytes against arithmetic, predicted peaks against the allocator's, plans against both."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetusmap.errors import BadInput
from fetusmap.network import (
    POLICIES,
    LandWidths,
    build_land,
    measure_peak_bytes,
    parse_memory,
    plan,
    predict_peak_bytes,
    saved_activation_bytes,
    scale_shape,
)

WIDTHS = LandWidths((4, 8, 12))
PAPER = LandWidths()


def stored_by_hand(widths, shape, convolutions, pooled, *, everything=False):
    """Bytes of float32 activations, level by level; `shape` halves evenly.

    `convolutions` counts the outputs of convolutions kept per level above the lowest one, and at
    the lowest one; `pooled` is whether poolings are kept with their int64 indices.
    """
    total = 0
    bottom = len(widths.levels) - 1
    for level, channels in enumerate(widths.levels):
        values = channels * math.prod(shape) // 8**level
        total += 4 * values * convolutions[level == bottom]
        if everything:  # each also normalised, and the two concatenated inputs
            total += 4 * values * (convolutions[level == bottom] + 2 * (level < bottom))
        if pooled and level < bottom:
            total += (4 + 8) * values // 8
        norms = 2 if level == bottom else 5
        total += norms * 2 * 4 * channels  # mean and spread of each batch
    return total


@pytest.mark.parametrize(
    ("policy", "convolutions", "pooled"),
    [
        ("none", (5, 2), True),  # two on the way down, a deconvolution, two on the way up
        ("norms", (5, 2), False),
        ("paper", (3, 0), False),
        ("lean", (1, 0), True),
    ],
)
def test_what_a_policy_stores_can_be_counted(policy, convolutions, pooled):
    shape = (16, 24, 32)
    expected = stored_by_hand(WIDTHS, shape, convolutions, pooled, everything=policy == "none")
    assert saved_activation_bytes(build_land(WIDTHS, policy), shape) == expected


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("widths", "shape"),
    [(WIDTHS, (25, 30, 21)), (LandWidths((8, 16, 24, 32, 40)), (34, 32, 27)), (WIDTHS, (9, 11, 7))],
)
def test_the_predicted_peak_is_the_allocators(policy, widths, shape):
    predicted = predict_peak_bytes(widths, policy, shape)
    assert predicted == pytest.approx(measure_peak_bytes(widths, policy, shape), rel=0.1)


def test_the_papers_volume_at_its_two_scales():
    assert scale_shape((220, 205, 260), 0.4) == (88, 82, 104)
    assert scale_shape((220, 205, 260), 0.5) == (110, 102, 130)


budgets = st.integers(2 * 10**9, 80 * 10**9)


@given(budgets, budgets)
def test_more_memory_never_means_a_smaller_volume(a, b):
    small, large = (plan(memory) for memory in sorted((a, b)))
    assert small.scale <= large.scale


@given(budgets)
def test_a_plan_fits_and_no_cheaper_policy_reaches_its_scale(memory):
    found = plan(memory)
    assert found.predicted_peak_bytes <= memory
    assert found.predicted_peak_bytes == predict_peak_bytes(PAPER, found.policy, found.shape)
    assert found.shape == scale_shape((220, 205, 260), found.scale)
    for cheaper in list(POLICIES)[: list(POLICIES).index(found.policy)]:
        assert predict_peak_bytes(PAPER, cheaper, found.shape) > memory
    if found.scale < 1:
        larger = scale_shape((220, 205, 260), found.scale + 0.01)
        assert all(predict_peak_bytes(PAPER, policy, larger) > memory for policy in POLICIES)


def test_12_gb_hold_the_papers_network_at_scale_0_4():
    shape = scale_shape((110, 102, 130), 0.8)
    assert plan("12GB", shape).shape == shape == (88, 82, 104)


def test_with_memory_to_spare_nothing_is_recomputed():
    found = plan("1TB")
    assert (found.policy, found.scale, found.shape) == ("none", 1.0, (220, 205, 260))


def test_text_is_read_as_people_write_it():
    assert parse_memory("12GB") == 12 * 10**9
    assert parse_memory(" 8 GiB ") == 8 * 2**30
    assert parse_memory("1.5g") == 1_500_000_000
    assert parse_memory("4096") == 4096
    assert parse_memory("2e9") == 2_000_000_000


@pytest.mark.parametrize("text", ["", "much", "12 parsecs", "-1GB", "8 iB", "1e999GB", "nan"])
def test_other_text_is_an_error(text):
    with pytest.raises(BadInput, match="expected an amount such as 12GB"):
        parse_memory(text)


@pytest.mark.parametrize("memory", ["1GB", 0, -5])
def test_a_budget_too_small_for_the_network_is_an_error_of_one_line(memory):
    with pytest.raises(BadInput, match="narrower LandWidths") as error:
        plan(memory)
    assert "\n" not in str(error.value)


def test_an_unknown_policy_is_an_error():
    with pytest.raises(BadInput, match="expected one of none"):
        plan("12GB", policies=["papper"])


@pytest.mark.parametrize(("policy", "times"), [("norms", 2.0), ("paper", 2.5), ("lean", 2.9)])
def test_so_many_times_the_voxels_fit_where_nothing_is_recomputed(policy, times):
    shape = (88, 82, 104)
    larger = scale_shape(shape, times ** (1 / 3))
    assert math.prod(larger) / math.prod(shape) == pytest.approx(times, rel=0.02)
    assert predict_peak_bytes(PAPER, policy, larger) < predict_peak_bytes(PAPER, "none", shape)

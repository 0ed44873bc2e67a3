"""A stream of cases: each case is a function of the seed and its number alone."""

from itertools import islice, pairwise

import numpy as np
import pytest

from fetusmap.errors import BadInput
from fetusmap.simulate import Shard, SimulationSettings, simulate_case, stream_cases

SMALL = SimulationSettings("half", weeks=(10.0, 10.0))


def same(one, other):
    return (
        one.volume.name == other.volume.name
        and np.array_equal(one.volume.array, other.volume.array)
        and one.volume.grid == other.volume.grid
        and one.pose.equals(other.pose)
        and np.array_equal(one.body_from_probe, other.body_from_probe)
    )


@pytest.fixture(scope="module")
def first_cases():
    stream = stream_cases(SMALL, 4)
    return list(islice(stream, 6))


def take(count, **options):
    stream = stream_cases(SMALL, 4, **options)
    cases = list(islice(stream, count))
    stream.close()
    return cases


def test_a_stream_begins_with_case_0_and_counts_on(first_cases):
    names = [f"sim-{number:06d}" for number in range(6)]
    assert [made.volume.name for made in first_cases] == names
    for number in (0, 3):
        assert same(first_cases[number], simulate_case(SMALL, 4, number))
    for one, other in pairwise(first_cases):
        assert not np.array_equal(one.volume.array, other.volume.array)


def test_a_stream_goes_on_from_its_first_unseen_case(first_cases):
    (resumed,) = take(1, first=4)
    assert same(resumed, first_cases[4])


def test_workers_change_no_case(first_cases):
    for found, expected in zip(take(4, workers=2), first_cases, strict=False):
        assert same(found, expected)


def test_shards_deal_the_stream_out(first_cases):
    dealt = {}
    for index in range(3):
        for made in take(2, shard=Shard(index, 3)):
            dealt[made.volume.name] = made
    assert sorted(dealt) == [made.volume.name for made in first_cases]
    for expected in first_cases:
        assert same(dealt[expected.volume.name], expected)


def test_shards_go_on_from_a_first_case_too():
    """Each from its first number that is not below it, whatever the remainder."""
    found = [
        int(take(1, first=3, shard=Shard(index, 4))[0].volume.name.removeprefix("sim-"))
        for index in range(4)
    ]
    assert found == [4, 5, 6, 3]


@pytest.mark.parametrize("workers", [0, 2])
def test_label_maps_and_sweeps_come_along_on_request(first_cases, workers):
    (made,) = take(1, workers=workers, labels=True, beams=True)
    assert same(made, first_cases[0])
    assert made.labels.grid == made.volume.grid
    assert made.beams.grey.shape == made.beams.lattice.shape
    assert first_cases[0].labels is None
    assert first_cases[0].beams is None


@pytest.mark.parametrize(("index", "of"), [(-1, 2), (2, 2), (0, 0), (5, 3), (0, -1)])
def test_shards_that_do_not_exist_are_refused_in_one_line(index, of):
    with pytest.raises(BadInput, match=r"^shard: expected an index") as caught:
        Shard(index, of)
    assert "\n" not in str(caught.value)
    assert f"{index} of {of}" in str(caught.value)


@pytest.mark.parametrize(
    ("seed", "options", "what"),
    [
        (-1, {}, "seed"),
        (0, {"first": -1}, "case number"),
        (0, {"workers": -1}, "workers"),
    ],
)
def test_bad_streams_are_refused_at_once(seed, options, what):
    """Not when the first case is asked for."""
    with pytest.raises(BadInput, match=f"^{what}: expected 0 or more") as caught:
        stream_cases(SMALL, seed, **options)
    assert "\n" not in str(caught.value)


def test_numbers_can_be_large():
    made = simulate_case(SMALL, 2**40, 10**7)
    assert made.volume.name == "sim-10000000"
    assert same(made, simulate_case(SMALL, 2**40, 10**7))

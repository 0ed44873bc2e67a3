"""Samples: each is a function of the seed and its number, in any order and in any process."""

from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np
import pytest

from fetusmap.detect import BodyFrameGrid
from fetusmap.errors import BadInput
from fetusmap.geometry import Grid
from fetusmap.train.augment import NearBody
from fetusmap.train.cases import CasePool, simulated_pool
from fetusmap.train.samples import SampleSource, stream_samples

GRID = BodyFrameGrid(0.09, (32, 32, 32))
SMALL = Grid.from_spacing((4, 4, 4))


def same(one, other):
    return (
        np.array_equal(one.ranks, other.ranks)
        and one.grid == other.grid
        and np.array_equal(one.positions_mm, other.positions_mm, equal_nan=True)
    )


@pytest.fixture
def source(cache, skeleton):
    """Samples of the cases in the cache, which a worker finds there, too."""
    return SampleSource(simulated_pool(1, 4, cache, skeleton), NearBody(GRID, skeleton), seed=9)


def take(count, source, **options):
    stream = stream_samples(source, **options)
    samples = list(islice(stream, count))
    stream.close()
    return samples


def test_a_sample_does_not_depend_on_what_came_before(source):
    forwards = {number: source.sample(number) for number in range(5)}
    for number in (4, 1, 3, 0, 2):
        assert same(replace(source).sample(number), forwards[number])


def test_numbers_and_seeds_give_other_samples(source):
    samples = [source.sample(0), source.sample(1), replace(source, seed=10).sample(0)]
    grids = {sample.grid for sample in samples}
    assert len(grids) == 3
    assert len({sample.ranks.tobytes() for sample in samples}) == 3


def test_samples_come_from_all_cases_and_from_no_others(blob_case, skeleton, tmp_path):
    def draw(rng, case):
        return SMALL

    def make(number):
        return replace(blob_case, positions_mm=blob_case.positions_mm + number)

    source = SampleSource(CasePool(make, tmp_path, 5, skeleton), draw, seed=0)
    found = [float(source.sample(number).positions_mm[7, 0]) for number in range(300)]
    counts = np.bincount(np.rint(found).astype(int))
    assert len(counts) == 5
    assert counts.min() > 35  # of 60 on average
    assert len(list(tmp_path.iterdir())) == 5


def test_a_case_without_a_body_frame_is_passed_over(blob_case, skeleton, tmp_path):
    without = blob_case.positions_mm.copy()
    without[skeleton.index("sacrum")] = np.nan

    def make(number):
        return blob_case if number == 2 else replace(blob_case, positions_mm=without)

    source = SampleSource(CasePool(make, tmp_path, 3, skeleton), NearBody(GRID, skeleton), seed=0)
    for number in range(6):
        assert np.isfinite(source.sample(number).positions_mm).all()


def test_cases_without_any_body_frame_are_refused_in_one_line(blob_case, skeleton, tmp_path):
    """As in a dataset that nobody has annotated the sacrum in."""
    without = blob_case.positions_mm.copy()
    without[skeleton.index("sacrum")] = np.nan
    case = replace(blob_case, positions_mm=without)
    source = SampleSource(
        CasePool(lambda _: case, tmp_path, 3, skeleton), NearBody(GRID, skeleton), seed=0
    )
    with pytest.raises(BadInput) as caught:
        source.sample(0)
    assert "\n" not in str(caught.value)


def test_cases_in_turn_come_as_often_as_each_other(blob_case, skeleton, tmp_path):
    """One after the other, and from the first one again, whatever the seed."""
    made = []

    def make(number):
        made.append(number)
        return replace(blob_case, positions_mm=blob_case.positions_mm + number)

    for seed in (0, 1):
        source = SampleSource(
            CasePool(make, tmp_path, 5, skeleton), lambda *_: SMALL, seed=seed, in_turn=True
        )
        found = [float(source.sample(number).positions_mm[7, 0]) for number in range(12)]
        assert np.rint(found).tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
    assert made == [0, 1, 2, 3, 4]


def test_a_case_in_turn_without_a_body_frame_is_replaced_by_the_next(blob_case, skeleton, tmp_path):
    without = blob_case.positions_mm.copy()
    without[skeleton.index("sacrum")] = np.nan

    def make(number):
        usable = replace(blob_case, positions_mm=blob_case.positions_mm + 100 * number)
        return replace(blob_case, positions_mm=without) if number == 1 else usable

    draw = NearBody(GRID, skeleton)
    source = SampleSource(CasePool(make, tmp_path, 3, skeleton), draw, seed=0, in_turn=True)
    middles = [np.nanmean(source.sample(number).positions_mm) for number in range(4)]
    assert [round((middle - middles[0]) / 100) for middle in middles] == [0, 2, 2, 0]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_stream_gives_every_sample_in_order(source, workers):
    for number, sample in enumerate(take(3, source, workers=workers)):
        assert same(sample, source.sample(number))


@pytest.mark.parametrize(
    ("options", "numbers"),
    [({"first": 5}, (5, 6, 7)), ({"step": 2}, (0, 2, 4)), ({"first": 7, "step": 3}, (7, 10, 13))],
)
def test_a_stream_has_a_first_number_and_a_step(source, options, numbers):
    for sample, number in zip(take(3, source, workers=0, **options), numbers, strict=True):
        assert same(sample, source.sample(number))


def test_processes_that_train_together_deal_the_samples_out(source):
    streams = [partial(take, 2, source, first=rank, step=2, workers=0)() for rank in range(2)]
    dealt = [sample for pair in zip(*streams, strict=True) for sample in pair]
    for number, sample in enumerate(dealt):
        assert same(sample, source.sample(number))


def test_nothing_is_made_before_it_is_asked_for(source, tmp_path):
    def make(number):
        raise AssertionError

    pool = replace(source.pool, make=make, folder=tmp_path)
    stream = stream_samples(replace(source, pool=pool), workers=0)
    stream.close()


def test_a_negative_number_of_workers_is_refused(source):
    with pytest.raises(BadInput, match="workers: expected 0 or more"):
        take(1, source, workers=-1)

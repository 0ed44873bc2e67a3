"""Splits never share a subject."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetusmap.dataset import check_splits, split_by_subject, split_in_sequence
from fetusmap.errors import BadInput


@settings(deadline=None, max_examples=50)
@given(
    cases=st.integers(12, 60),
    subjects=st.integers(6, 12),
    train=st.floats(0.3, 0.7),
    seed=st.integers(0, 1000),
)
def test_every_case_once_and_no_subject_twice(
    cases: int, subjects: int, train: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    subject_of = {f"c{n}": f"s{rng.integers(subjects)}" for n in range(cases)}
    splits = split_by_subject(subject_of, {"train": train, "test": 1 - train}, seed)
    assert sorted([*splits["train"], *splits["test"]]) == sorted(subject_of)
    people = [{subject_of[c] for c in splits[name]} for name in splits]
    assert not people[0] & people[1]
    reordered = dict(reversed(subject_of.items()))
    assert split_by_subject(reordered, {"train": train, "test": 1 - train}, seed) == splits
    check_splits(splits, subject_of, "splits")


@settings(deadline=None, max_examples=50)
@given(
    shorter=st.integers(12, 40),
    longer=st.integers(40, 90),
    weights=st.lists(st.integers(2, 9), min_size=2, max_size=4),
    seed=st.integers(0, 1000),
)
def test_a_sequence_that_becomes_longer_keeps_its_splits(
    shorter: int, longer: int, weights: list[int], seed: int
) -> None:
    fractions = {f"part-{n}": weight / sum(weights) for n, weight in enumerate(weights)}
    subject_of = {f"c{n}": f"s{n // 2}" for n in range(2 * longer)}
    begun = dict(list(subject_of.items())[: 2 * shorter])
    before, after = (split_in_sequence(of, fractions, seed) for of in (begun, subject_of))
    check_splits(after, subject_of, "splits")
    assert sorted(case for cases in after.values() for case in cases) == sorted(subject_of)
    for name, cases in before.items():
        assert cases == tuple(case for case in after[name] if case in begun)
    for splits, count in ((before, shorter), (after, longer)):
        for name, fraction in fractions.items():
            assert len(splits[name]) / 2 < fraction * count + 1


def test_a_sequence_has_the_exact_fractions_where_they_are_whole_numbers() -> None:
    subject_of = {f"c{n:03d}": f"c{n:03d}" for n in range(40)}
    fractions = {"train": 0.7, "val": 0.1, "test": 0.2}
    for seed in range(20):
        splits = split_in_sequence(subject_of, fractions, seed)
        assert [len(cases) for cases in splits.values()] == [28, 4, 8]
    assert splits != split_in_sequence(subject_of, fractions, 0)


@pytest.mark.parametrize("parts", [{}, {"a": 0.5}, {"a": 0.4, "b": 0.3, "c": 0.3}])
def test_a_sequence_refuses_bad_parts_and_empty_splits(parts: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="splits: expected"):
        split_in_sequence({"a": "a", "b": "b"}, parts, seed=0)


def test_the_papers_split_is_100_and_52() -> None:
    subject_of = {f"c{n:03d}": f"c{n:03d}" for n in range(152)}
    splits = split_by_subject(subject_of, {"train": 100 / 152, "test": 52 / 152}, seed=0)
    assert (len(splits["train"]), len(splits["test"])) == (100, 52)
    assert splits != split_by_subject(subject_of, {"train": 100 / 152, "test": 52 / 152}, seed=1)


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"a": 0.5},
        {"a": 1.5, "b": -0.5},
        {"a": 0.99, "b": 0.01},
        {"a": float("nan")},
        {"": 1.0},
    ],
)
def test_bad_parts_are_refused(parts: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="splits: expected"):
        split_by_subject({"a": "a", "b": "b"}, parts, seed=0)


def test_an_unknown_case_is_refused() -> None:
    with pytest.raises(BadInput, match="'x' in split 'train'"):
        check_splits({"train": ("x",)}, {"a": "a"}, "splits")

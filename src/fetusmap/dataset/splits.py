"""Divide cases into splits by subject, so that no subject is in training and in test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from fetusmap.errors import BadInput


def split_by_subject(
    subject_of: Mapping[str, str], fractions: Mapping[str, float], seed: int | None
) -> dict[str, tuple[str, ...]]:
    """Divide the subjects of a whole dataset; all cases of a subject go to the same split.

    Args:
        subject_of: case name to subject.
        fractions: split name to its fraction of the subjects; the fractions sum to 1.
        seed: the same seed gives the same splits for every order of the cases. None keeps the
            subjects in sorted order: the first ones go to the first split.

    Returns:
        Split name to its case names, sorted.

    Raises:
        BadInput: the fractions do not sum to 1, or a split would be empty.
    """
    check_fractions(fractions)
    subjects = sorted(set(subject_of.values()))
    if seed is not None:
        subjects = [subjects[n] for n in np.random.default_rng(seed).permutation(len(subjects))]
    edges = np.round(np.cumsum(list(fractions.values())) * len(subjects)).astype(int)
    split_of = {
        subject: name
        for name, start, stop in zip(fractions, [0, *edges[:-1]], edges, strict=True)
        for subject in subjects[start:stop]
    }
    return _cases_by_split(subject_of, split_of, fractions)


def split_in_sequence(
    subject_of: Mapping[str, str], fractions: Mapping[str, float], seed: int
) -> dict[str, tuple[str, ...]]:
    """Assign one subject after the other, so that a longer sequence changes no earlier one.

    The split of a subject is drawn with a probability proportional to the number of subjects that
    each split lacks of its fraction. So no split ever gets more than its fraction, rounded up.

    Args:
        subject_of: case name to subject, in the order in which cases are added to the dataset.
        fractions: split name to its fraction of the subjects; the fractions sum to 1.
        seed: the same seed and fractions give a subject the same split.

    Returns:
        Split name to its case names, sorted.

    Raises:
        BadInput: the fractions do not sum to 1, or a split would be empty.
    """
    check_fractions(fractions)
    names, parts = list(fractions), np.array(list(fractions.values()))
    counts = np.zeros(len(parts))
    rng = np.random.default_rng(seed)
    split_of = {}
    for number, subject in enumerate(dict.fromkeys(subject_of.values())):
        # Rounded, because 0.1 + 0.2 is a little more than 0.3 and would make a split too large.
        lacking = np.maximum(np.round(parts * (number + 1) - counts, 9), 0)
        chosen = int(rng.choice(len(parts), p=lacking / lacking.sum()))
        counts[chosen] += 1
        split_of[subject] = names[chosen]
    return _cases_by_split(subject_of, split_of, fractions)


def _cases_by_split(
    subject_of: Mapping[str, str], split_of: Mapping[str, str], names: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """Return the sorted case names of each split; refuse an empty one."""
    splits = {}
    for name in names:
        splits[name] = tuple(
            sorted(c for c, person in subject_of.items() if split_of[person] == name)
        )
        if not splits[name]:
            raise BadInput(
                "splits",
                expected=f"at least one subject in {name!r}",
                found=f"{len(split_of)} subjects in all",
                remedy="use fewer splits or more subjects",
            )
    return splits


def check_fractions(fractions: Mapping[str, float]) -> None:
    """Check that the fractions of named splits are positive and sum to 1.

    Raises:
        BadInput: a name is empty, a fraction is not positive, or the sum is not 1.
    """
    parts = list(fractions.values())
    whole = np.isfinite(parts).all() and abs(sum(parts) - 1) <= 1e-6 and min(parts, default=0) > 0
    if not whole or not all(name.strip() for name in fractions):
        raise BadInput(
            "splits",
            expected="named, positive parts that sum to 1",
            found=", ".join(f"{name}={part:g}" for name, part in fractions.items()) or "none",
            remedy="give, for example, train=0.7 test=0.3",
        )


def check_splits(
    splits: Mapping[str, tuple[str, ...]], subject_of: Mapping[str, str], subject: object
) -> None:
    """Check that splits contain only known cases and share no subject.

    Args:
        splits: split name to its case names.
        subject_of: case name to subject.
        subject: file or folder that an error names.

    Raises:
        BadInput: a case is unknown, or a subject is in two splits.
    """
    first_split: dict[str, str] = {}
    for split, cases in splits.items():
        for case in cases:
            if case not in subject_of:
                raise BadInput(
                    subject,
                    expected="cases of this dataset",
                    found=f"{case!r} in split {split!r}",
                    remedy="make the splits again",
                )
            other = first_split.setdefault(subject_of[case], split)
            if other != split:
                raise BadInput(
                    subject,
                    expected="each subject in one split",
                    found=f"subject {subject_of[case]!r} in {other!r} and {split!r}",
                    remedy="split by subject",
                )

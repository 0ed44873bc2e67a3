"""Splits by subject: nobody is in training and in test."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fetusmap.errors import BadInput


def split_by_subject(
    subject_of: Mapping[str, str], fractions: Mapping[str, float], seed: int | None
) -> dict[str, tuple[str, ...]]:
    """Deal the subjects out, all cases of one subject to the same split.

    Args:
        subject_of: case name to subject.
        fractions: split name to its part of the subjects; the parts sum to 1.
        seed: the same seed gives the same splits, whatever the order of the cases; None deals
            the subjects out in their own order, the first ones to the first split.

    Returns:
        Split name to its case names, sorted.

    Raises:
        BadInput: parts that do not sum to 1, or a split that would be empty.
    """
    check_fractions(fractions)
    subjects = sorted(set(subject_of.values()))
    if seed is not None:
        subjects = [subjects[n] for n in np.random.default_rng(seed).permutation(len(subjects))]
    edges = np.round(np.cumsum(list(fractions.values())) * len(subjects)).astype(int)
    splits = {}
    for name, start, stop in zip(fractions, [0, *edges[:-1]], edges, strict=True):
        chosen = set(subjects[start:stop])
        splits[name] = tuple(sorted(c for c, subject in subject_of.items() if subject in chosen))
        if not splits[name]:
            raise BadInput(
                "splits",
                expected=f"at least one subject in {name!r}",
                found=f"{len(subjects)} subjects in all",
                remedy="use fewer splits or more subjects",
            )
    return splits


def check_fractions(fractions: Mapping[str, float]) -> None:
    """Make sure that named parts make up a whole.

    Raises:
        BadInput: an empty name, a part that is not positive, or parts that do not sum to 1.
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
    """Make sure that splits name known cases and share no subject.

    Raises:
        BadInput: an unknown case, or a subject in two splits.
    """
    home: dict[str, str] = {}
    for split, cases in splits.items():
        for case in cases:
            if case not in subject_of:
                raise BadInput(
                    subject,
                    expected="cases of this dataset",
                    found=f"{case!r} in split {split!r}",
                    remedy="make the splits again",
                )
            other = home.setdefault(subject_of[case], split)
            if other != split:
                raise BadInput(
                    subject,
                    expected="each subject in one split",
                    found=f"subject {subject_of[case]!r} in {other!r} and {split!r}",
                    remedy="split by subject",
                )

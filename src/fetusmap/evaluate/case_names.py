"""Which prediction belongs to which annotation: by name, by a table, or by a pattern."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.files import name_key, read_rows, safe_name, suffix_of

USUAL_ENDING = re.compile(
    r"[_.-](0000|landmarks?|points?|pose|pred(iction)?s?|annotations?|truth|gt)", re.IGNORECASE
)
"""What programs put behind the name of a case; nnU-Net adds the number of a channel, `_0000`."""


def match_names(predictions: Collection[str], truths: Collection[str]) -> dict[str, str]:
    """Find the annotation of each prediction by its name.

    Equal names belong together. Among the others, names belong together that are equal without
    their usual ending, such as `_0000` or `_landmarks`, and without regard to case.

    Args:
        predictions: names of the predictions.
        truths: names of the annotations.

    Returns:
        Prediction to annotation, for those that have one.

    Raises:
        BadInput: several predictions or several annotations fit each other.
    """
    same = {name: name for name in predictions if name in truths}
    left = [name for name in predictions if name not in same]
    free = [name for name in truths if name not in same]
    return same | _by_key(left, free, _without_ending, "leave one out, or map them with --names")


def match_by_pattern(
    predictions: Collection[str], truths: Collection[str], pattern: str
) -> dict[str, str]:
    """Find the annotation of each prediction by what a regular expression finds in both names.

    That is its first group, or all that it matches if it has no group. A name in which the pattern
    is not found stands for itself.

    Raises:
        BadInput: the pattern is not valid, or several names of one side have the same key.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise BadInput(
            "--match",
            expected="a regular expression",
            found=f"{pattern!r}: {error}",
            remedy=r"try (.+)_0000 or (\d+)",
        ) from error

    def key(name: str) -> str:
        found = expression.search(name)
        if found is None:
            return name
        return str(found.group(1 if expression.groups else 0) or name)

    return _by_key(predictions, truths, key, "use a pattern that tells them apart, or --names")


def match_by_table(
    predictions: Collection[str], truths: Collection[str], table: Path
) -> tuple[dict[str, str], list[str]]:
    """Find the annotations in a table with the columns prediction and truth.

    Predictions that the table does not name belong to the annotation of their own name, if it is
    not taken.

    Returns:
        Prediction to annotation, and the names in the table that neither side has.

    Raises:
        UnreadableFile: the table cannot be read, or it names a prediction or an annotation twice.
    """
    mapped: dict[str, str] = {}
    unknown: list[str] = []
    seen: set[str] = set()
    for row in read_rows(table, ("prediction", "truth")):
        prediction = _named(row["prediction"], predictions)
        truth = _named(row["truth"], truths)
        twice = [n for n, known in ((prediction, mapped), (truth, seen)) if n in known]
        if twice or not (prediction and truth):
            raise UnreadableFile(
                table,
                expected="a prediction and an annotation in each row, and each of them once",
                found=f"{twice[0]!r} twice" if twice else "an empty cell",
                remedy="correct the table",
            )
        mapped[prediction] = truth
        seen.add(truth)
        unknown += [prediction] if prediction not in predictions else []
        unknown += [truth] if truth not in truths else []
    own = {n: n for n in predictions if n in truths and n not in mapped and n not in seen}
    return {n: t for n, t in mapped.items() if n in predictions and t in truths} | own, unknown


def _by_key(
    predictions: Collection[str],
    truths: Collection[str],
    key: Callable[[str], str],
    remedy: str,
) -> dict[str, str]:
    """Match the names of both sides that have the same key."""
    sides: tuple[Mapping[str, list[str]], ...] = tuple(
        _groups(n, key) for n in (predictions, truths)
    )
    matched: dict[str, str] = {}
    for shared in sorted(set(sides[0]) & set(sides[1])):
        found, true = (side[shared] for side in sides)
        if len(found) > 1 or len(true) > 1:
            raise BadInput(
                "names of the cases",
                expected="one prediction and one annotation that belong together",
                found=f"predictions {', '.join(found)} and annotations {', '.join(true)}",
                remedy=remedy,
            )
        matched[found[0]] = true[0]
    return matched


def _groups(names: Collection[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(key(name), []).append(name)
    return groups


def _without_ending(name: str) -> str:
    found = re.fullmatch(rf"(.+?)(?:{USUAL_ENDING.pattern})*", name, re.IGNORECASE)
    return name_key(found.group(1) if found else name)


def _named(cell: str, names: Collection[str]) -> str:
    """Return the case that a cell names, also if it names the file of the case."""
    text = cell.strip()
    suffix = suffix_of(Path(text)) if text else ""
    whole = safe_name(text) if text else ""
    if whole in names or not suffix:
        return whole
    return safe_name(text[: -len(suffix)])

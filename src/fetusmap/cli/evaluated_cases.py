"""The two sides of `fetusmap evaluate`: which prediction belongs to which annotation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from fetusmap.anatomy import Pose, Skeleton
from fetusmap.cli.console import warn
from fetusmap.dataset import is_dataset, load_dataset
from fetusmap.errors import BadInput
from fetusmap.evaluate import (
    Pairs,
    abbreviate_names,
    find_poses,
    match_by_pattern,
    match_by_table,
    match_names,
    pair_poses,
)
from fetusmap.files import is_folder, write_rows

UNMATCHED_FILE = "unmatched.csv"


@dataclass(frozen=True)
class Annotations:
    """The annotated cases to compare with.

    Attributes:
        place: where they come from.
        poses: the annotated poses, by case.
        subjects: subject of each case, where it is known.
        names: names of all annotated cases, also of those in other splits.
        skeleton: skeleton of files that do not define their own.
    """

    place: Path
    poses: Mapping[str, Pose]
    subjects: Mapping[str, str]
    names: Collection[str]
    skeleton: Skeleton | None


@dataclass(frozen=True)
class Matching:
    """How cases whose names differ are matched: by a table, by a pattern, or by their endings.

    Raises:
        BadInput: both a table and a pattern are given.
    """

    table: Path | None = None
    pattern: str | None = None

    def __post_init__(self) -> None:
        if self.table is not None and self.pattern is not None:
            raise BadInput(
                "--match", expected="--names or --match", found="both", remedy="leave one out"
            )

    def truth_of(self, predictions: Collection[str], truths: Collection[str]) -> dict[str, str]:
        """Return the annotation of each prediction that has one."""
        if self.pattern is not None:
            return match_by_pattern(predictions, truths, self.pattern)
        if self.table is None:
            return match_names(predictions, truths)
        matched, unknown = match_by_table(predictions, truths, self.table)
        if unknown:
            warn(f"{self.table}: names that no case has: {abbreviate_names(unknown)}")
        return matched


@dataclass(frozen=True)
class PairedCases:
    """Predictions and annotations side by side.

    Attributes:
        pairs: their positions.
        unannotated: predictions without an annotation in any split, by their own names.
    """

    pairs: Pairs
    unannotated: tuple[str, ...]


def load_annotations(place: Path, split: str | None, skeleton: Skeleton | None) -> Annotations:
    """Read the annotations of a dataset, or of anything that `find_poses` reads.

    Raises:
        BadInput: there are none, or a split is named of something that has no splits.
    """
    if not (is_folder(place) and is_dataset(place)):
        if split is not None:
            raise BadInput(
                "--split",
                expected="a dataset as --truth, which has splits",
                found=f"{place}",
                remedy="leave --split out",
            )
        poses = find_poses(place, skeleton)
        return Annotations(place, poses, {}, list(poses), skeleton)
    dataset = load_dataset(place)
    cases = dataset.cases if split is None else dataset.split(split)
    annotated = [case for case in cases if case.is_annotated]
    if not annotated:
        raise BadInput(
            place,
            expected="annotated cases",
            found="none" if not cases else f"{len(cases)} without annotation",
            remedy="name a dataset, or a split of it, that has landmarks",
        )
    return Annotations(
        place,
        {case.name: case.load_pose() for case in annotated},
        {case.name: case.subject for case in annotated},
        [case.name for case in dataset.cases if case.is_annotated],
        skeleton or dataset.skeleton,
    )


def pair_cases(place: Path, truth: Annotations, matching: Matching) -> PairedCases:
    """Pair the predictions of a place with the annotations; warn of what is only on one side.

    Raises:
        BadInput: no prediction belongs to an annotation, or several belong to one.
    """
    found = find_poses(place, truth.skeleton)
    truth_of = matching.truth_of(found, truth.names)
    of_truth = {true: found[name] for name, true in truth_of.items()}
    if not set(of_truth) & set(truth.poses):
        raise BadInput(
            place,
            expected=f"predictions of the annotated cases, such as {next(iter(truth.poses))}",
            found=f"others, such as {next(iter(found))}",
            remedy="give what was predicted, another --split, or map the names with --names or "
            "--match",
        )
    pairs = pair_poses(of_truth, truth.poses, truth.subjects)
    renamed = [f"{name} = {true}" for name, true in truth_of.items() if name != true]
    if renamed:
        warn(f"{place}: {len(renamed)} matched by other names: {abbreviate_names(renamed)}")
    unannotated = tuple(sorted(set(found) - set(truth_of)))
    for names, what in (
        (pairs.without_prediction, "without a prediction, counted as missed"),
        (unannotated, "predicted but not annotated, not counted"),
    ):
        if names:
            count = f"{len(names)} case{'s' * (len(names) > 1)}"
            warn(f"{place}: {count} {what}: {abbreviate_names(names)}")
    return PairedCases(pairs, unannotated)


def describe_cases(paired: PairedCases) -> str:
    """Count the cases of both sides in words."""
    total, missing = len(paired.pairs.cases), len(paired.pairs.without_prediction)
    return (
        f"{total - missing} of {total} annotated cases predicted, {missing} counted as missed, "
        f"{len(paired.unannotated)} predicted but not annotated"
    )


def write_unmatched(path: Path, paired: Mapping[str, PairedCases]) -> None:
    """Write a table of the cases that are on one side only."""
    rows = [
        {"method": method, "case": case, "lacks": lacks}
        for method, each in paired.items()
        for names, lacks in (
            (each.pairs.without_prediction, "prediction"),
            (each.unannotated, "annotation"),
        )
        for case in names
    ]
    write_rows(path, ("method", "case", "lacks"), rows)

"""`fetusmap convert RESULTS DATASET`: predictions that people corrected become a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from fetusmap.anatomy import Skeleton
from fetusmap.cli.console import out, track, warn
from fetusmap.dataset import DatasetWriter, is_dataset, read_subjects, split_by_subject
from fetusmap.errors import BadInput, FetusmapError
from fetusmap.io import ReadLimits
from fetusmap.scale import (
    find_corrected_cases,
    folders_of_cases,
    import_corrected,
    load_prediction,
)


@dataclass(frozen=True)
class CorrectedImport:
    """Settings of the import of corrected predictions.

    Attributes:
        licence: licence of the data.
        skeleton: skeleton of the dataset; None takes that of the first accepted prediction.
        subjects: table of subjects; None makes each case a subject of its own.
        parts: fraction of the subjects for each split, by its name.
        seed: seed of the splits.
        limits: limits for reading the volumes.
    """

    licence: str
    skeleton: Skeleton | None
    subjects: Path | None
    parts: dict[str, float]
    seed: int
    limits: ReadLimits


def is_results(folder: Path) -> bool:
    """Return whether a path is a folder that `fetusmap predict` wrote."""
    if not folder.is_dir() or is_dataset(folder):
        return False
    return any(True for _ in folders_of_cases(folder))


def import_results(copies: Sequence[Path], target: Path, wanted: CorrectedImport) -> int:
    """Turn the cases that people accepted into a dataset, and print what became of them."""
    table = read_subjects(wanted.subjects) if wanted.subjects else None
    cases = find_corrected_cases(copies)
    accepted = [case for case in cases if case.log.status == "done"]
    if not accepted:
        raise BadInput(
            copies[0],
            expected="at least one case that a person has accepted",
            found=f"{len(cases)} cases and none accepted",
            remedy=f"correct and accept cases with: fetusmap serve {copies[0]}",
        )
    skeleton = wanted.skeleton or load_prediction(accepted[0]).skeleton
    made_by: dict[str, JsonValue] = {"corrected_from": [copy.resolve().name for copy in copies]}
    failed = 0
    people: set[str] = set()
    with DatasetWriter(
        target, name=target.name, licence=wanted.licence, skeleton=skeleton, made_by=made_by
    ) as writer:
        steps = import_corrected(accepted, writer, subjects=table, limits=wanted.limits)
        for case, outcome in track(steps, "importing", len(accepted)):
            if isinstance(outcome, FetusmapError):
                failed += 1
                warn(f"case {case.name}: left out: {outcome}")
                continue
            people.update(outcome.annotators)
            for note in outcome.notes:
                warn(f"case {case.name}: {note}")
        if not writer.cases:
            raise BadInput(
                copies[0],
                expected="at least one case that can be imported",
                found=f"{failed} that cannot",
                remedy="see the warnings above",
            )
        if wanted.parts:
            subject_of = {case.name: case.subject for case in writer.cases}
            writer.splits = split_by_subject(subject_of, wanted.parts, wanted.seed)
    passed_over = len(cases) - len(accepted)
    out.print(
        f"{target}: {len(writer.cases)} cases, corrected by {', '.join(sorted(people))}; "
        f"{failed} failed, {passed_over} not accepted yet"
    )
    return 1 if failed else 0

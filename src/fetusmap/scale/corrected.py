"""Corrected predictions as cases of a dataset, also from several copies of the results.

People who correct copies of the same results each have logs of their own. Merged, every line counts
once, in the order of the times; the dataset names everybody whose corrections are in a case, and
keeps the merged log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fetusmap.anatomy import Pose
from fetusmap.corrections import (
    CORRECTIONS_FILE,
    CORRECTIONS_FOLDER,
    CorrectionLog,
    append_correction,
    corrected_pose,
    disagreements,
    merge_logs,
    pose_sha256,
    read_log,
    write_log,
)
from fetusmap.dataset import DatasetWriter, Subject
from fetusmap.errors import BadInput, FetusmapError
from fetusmap.files import make_folder
from fetusmap.io import DEFAULT_LIMITS, Conversion, ReadLimits, Source, load_pose, load_volume
from fetusmap.scale.records import read_done
from fetusmap.scale.summary import folders_of_cases

ANNOTATORS_COLUMN = "annotators"
"""Column of a dataset's table of cases: who corrected the case, separated by semicolons."""


@dataclass(frozen=True)
class CorrectedCase:
    """A case of one or more copies of a folder of results.

    Attributes:
        name: name of the case.
        folders: its folder in each copy that has it, in the order of the copies.
        log: the merged corrections.
    """

    name: str
    folders: tuple[Path, ...]
    log: CorrectionLog


@dataclass(frozen=True)
class ImportedCorrection:
    """A corrected case that became one of a dataset.

    Attributes:
        annotators: everybody whose corrections are in it.
        notes: what is to be said about it, in sentences.
    """

    annotators: tuple[str, ...]
    notes: tuple[str, ...]


def find_corrected_cases(copies: Sequence[Path]) -> list[CorrectedCase]:
    """Return the cases of copies of a folder of results, sorted by name.

    Raises:
        BadInput: a copy is not a folder of results, or a log cannot be read.
    """
    folders: dict[str, list[Path]] = {}
    for copy in copies:
        found = list(folders_of_cases(copy)) if copy.is_dir() else []
        if not found:
            raise BadInput(
                copy,
                expected="a folder of results, as `fetusmap predict` writes it",
                found="no case in it" if copy.is_dir() else "no folder",
                remedy="give the folder that holds summary.csv",
            )
        for folder in found:
            folders.setdefault(folder.name, []).append(folder)
    return [
        CorrectedCase(
            name,
            tuple(folders[name]),
            merge_logs(read_log(folder / CORRECTIONS_FILE) for folder in folders[name]),
        )
        for name in sorted(folders)
    ]


def import_corrected(
    cases: Sequence[CorrectedCase],
    writer: DatasetWriter,
    *,
    subjects: Mapping[str, Subject] | None = None,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> Iterator[tuple[CorrectedCase, ImportedCorrection | FetusmapError]]:
    """Write the cases that a person has accepted into a dataset, one per step.

    Args:
        cases: result of `find_corrected_cases`; those that nobody accepted are passed over.
        writer: writer of the dataset.
        subjects: case name to subject, for every case. None makes each case a subject of its own.
        limits: limits for reading the volumes.

    Yields:
        Each accepted case, with what was written or the error that excluded it.
    """
    for case in cases:
        if case.log.status != "done":
            continue
        try:
            yield case, _write(case, writer, subjects, limits)
        except FetusmapError as error:
            yield case, error


def load_prediction(case: CorrectedCase) -> Pose:
    """Read the prediction of a case, from the first copy that has it.

    Raises:
        BadInput: no copy has it, or it is damaged.
    """
    path = next((p for p in (f / "pose.json" for f in case.folders) if p.is_file()), None)
    return load_pose(path or case.folders[0] / "pose.json")


def _write(
    case: CorrectedCase,
    writer: DatasetWriter,
    subjects: Mapping[str, Subject] | None,
    limits: ReadLimits,
) -> ImportedCorrection:
    subject = Subject(case.name) if subjects is None else subjects.get(case.name)
    if subject is None:
        raise BadInput(
            f"case {case.name!r}",
            expected="a row in the table of subjects",
            found="none",
            remedy="add it, so that no subject can stand in two splits",
        )
    prediction = load_prediction(case)
    pose = corrected_pose(prediction, case.log).on(writer.skeleton)
    done = next((done for folder in case.folders if (done := read_done(folder))), None)
    if done is None:
        raise BadInput(
            case.folders[0],
            expected="done.json, which says where the volume is",
            found="none that can be read",
            remedy="predict the case again; its corrections stay",
        )
    uploads = (path for folder in case.folders for path in sorted(folder.glob("upload.*")))
    here = next(uploads, Path(done.source))  # an uploaded volume lies beside its results
    volume = load_volume(
        Source(here, frame=done.frame, layout=done.layout),
        spacing_mm=done.spacing_mm,
        conversion=Conversion(done.voxel_size_mm, done.mirror, done.force_spacing),
        limits=limits,
    )
    annotators = case.log.authors
    writer.add(
        replace(volume, name=case.name),
        pose,
        subject=subject.name,
        gestational_age_days=subject.gestational_age_days,
        facts={ANNOTATORS_COLUMN: "; ".join(annotators)},
    )
    _keep_log(case, writer.folder / CORRECTIONS_FOLDER / f"{case.name}.jsonl")
    return ImportedCorrection(annotators, tuple(_notes(prediction, case.log)))


def _keep_log(case: CorrectedCase, path: Path) -> None:
    """Write the merged log, or add to one that is there the lines that it lacks."""
    make_folder(path.parent)
    if not path.exists():
        write_log(path, case.log)
        return
    known = {entry.id for entry in read_log(path).entries}
    for entry in case.log.entries:
        if entry.id not in known:
            append_correction(path, lambda _, entry=entry: entry)  # type: ignore[misc]


def _notes(prediction: Pose, log: CorrectionLog) -> Iterator[str]:
    yield from disagreements(prediction, log)
    if any(entry.base_sha256 != pose_sha256(prediction) for entry in log.effective):
        yield "some corrections were made on another prediction; they count as they are"
    if log.damaged:
        yield f"{log.damaged} lines of the corrections cannot be read"

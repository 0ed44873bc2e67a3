"""Write simulated datasets: in parallel, resumable, and with the same bytes for the same seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from fetusmap._version import __version__
from fetusmap.anatomy import Pose, load_skeleton
from fetusmap.atlas import PoseLibrary
from fetusmap.dataset import (
    Case,
    DatasetWriter,
    read_splits,
    split_by_subject,
    split_in_sequence,
    write_case,
)
from fetusmap.errors import BadInput
from fetusmap.files import writable
from fetusmap.io import save_pose
from fetusmap.simulate.case import SimulationSettings, draw_case
from fetusmap.simulate.draws import Seeds
from fetusmap.simulate.kretz_case import true_pose_in_kretz, write_as_kretz
from fetusmap.simulate.rendering import Drawn, Rendering, render, true_pose_of
from fetusmap.simulate.scanner.presentation import USUAL_PRESENTATION, Presentation
from fetusmap.simulate.stream import case_name_of
from fetusmap.simulate.tables import tables_sha256
from fetusmap.workers import check_workers, map_in_processes

LICENCE = "CC0-1.0"
COUNT_KEY = "cases"
"""Entry of `made_by` with the number of cases; a dataset that differs only there is extended."""

FORMATS = ("nii.gz", "vol")
"""Formats of the volumes: NIfTI, or GE Kretz files of beams before scan conversion."""

AfterCase = Callable[[Case, Rendering], None]


@dataclass(frozen=True)
class _Job:
    """Input of a worker that makes one case.

    Attributes:
        case: the case with the paths of its files; the worker draws the facts about it.
        number: number of the case in the series.
        finished: whether the files of the case exist already.
    """

    case: Case
    number: int
    finished: bool


def simulate_dataset(
    folder: str | Path,
    settings: SimulationSettings,
    *,
    count: int,
    seed: int,
    workers: int = 0,
    splits: Mapping[str, float] | None = None,
    shuffle: bool = True,
    file_format: str = FORMATS[0],
    after_case: AfterCase | None = None,
) -> Iterator[Case]:
    """Write a dataset of simulated cases, and yield each case when it is finished, in order.

    Repeat an interrupted run to continue it. A dataset of the same settings with fewer cases is
    extended: its cases keep their bytes and their splits. The dataset counts as finished only when
    the iterator has been used up.

    Args:
        folder: folder of the dataset.
        settings: settings of all cases.
        count: number of cases.
        seed: seed of the series; case n of a dataset is case n of the stream of that seed.
        workers: number of processes; 0 works in this one. It changes no byte of the dataset.
        splits: fraction of the fetuses in each named split.
        shuffle: assign the fetuses to the splits at random. Otherwise the first ones go to the
            first split; such a dataset cannot be extended.
        file_format: "nii.gz", or "vol" for the whole sweep as a GE Kretz file.
        after_case: called in the process that wrote a case; workers must be able to import it.

    Raises:
        BadInput: the count or the splits make no sense, the folder cannot be written, or it holds
            another dataset, one with at least as many cases, or one whose splits would change.
    """
    if count < 1:
        raise BadInput("simulated cases", expected="1 or more", found=f"{count}",
                       remedy="ask for more")  # fmt: skip
    if file_format not in FORMATS:
        raise BadInput(
            "format of simulated volumes",
            expected=f"one of {', '.join(FORMATS)}",
            found=repr(file_format),
            remedy="choose one of them",
        )
    Seeds.of_case(seed, 0)
    check_workers(workers)
    divided = _divide(count, seed, splits, shuffle=shuffle) if splits else {}
    folder = Path(folder)
    begin = partial(
        DatasetWriter,
        folder,
        name=folder.resolve().name,
        licence=LICENCE,
        skeleton=load_skeleton(settings.skeleton),
        made_by=dataset_origin(
            settings, count, seed, splits, shuffle=shuffle, file_format=file_format
        ),
        resume=True,
        count_key=COUNT_KEY,
    )
    make = partial(_make, settings, seed, after_case)
    return _write(begin, folder, divided, make, workers, count, f".{file_format}")


def _divide(
    count: int, seed: int, splits: Mapping[str, float], *, shuffle: bool
) -> dict[str, tuple[str, ...]]:
    """Return the cases of each split."""
    subjects = {name: _subject_of(name) for name in map(case_name_of, range(count))}
    if shuffle:
        return split_in_sequence(subjects, dict(splits), seed)
    return split_by_subject(subjects, dict(splits), seed=None)


def _write(
    begin: Callable[[], DatasetWriter],
    folder: Path,
    splits: dict[str, tuple[str, ...]],
    make: Callable[[_Job], Case],
    workers: int,
    count: int,
    suffix: str,
) -> Iterator[Case]:
    _check_splits_stay(folder, splits)
    with begin() as writer:
        jobs = (_job(writer, number, suffix) for number in range(count))
        for case in map_in_processes(make, jobs, workers):
            writer.adopt(case)
            yield case
        writer.splits = splits


def _check_splits_stay(folder: Path, splits: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse to extend a dataset if a case of it would change to another split."""
    split_of = {case: name for name, cases in splits.items() for case in cases}
    for name, cases in read_splits(folder).items():
        changed = [case for case in cases if split_of.get(case, name) != name]
        if changed:
            raise BadInput(
                folder,
                expected="a dataset whose cases keep their splits when it is extended",
                found=f"{changed[0]} in {name!r}, which would be in {split_of[changed[0]]!r}",
                remedy="choose another folder",
            )


def dataset_origin(
    settings: SimulationSettings,
    count: int,
    seed: int,
    splits: Mapping[str, float] | None = None,
    *,
    shuffle: bool = True,
    file_format: str = FORMATS[0],
) -> dict[str, JsonValue]:
    """Return the `made_by` of a simulated dataset: all that is needed to make it again."""
    return {
        "simulator": "fetusmap",
        "version": __version__,
        "simulator_tables": tables_sha256(),
        COUNT_KEY: count,
        "seed": seed,
        "preset": settings.preset,
        "weeks": list(settings.weeks),
        "scanner_profile": settings.profile,
        "anatomy": settings.anatomy,
        "skeleton": settings.skeleton,
        "difficulty": asdict(settings.difficulty),
        "poses_like": None if settings.like is None else _described(settings.like),
        "splits": dict(splits or {}),
        **({} if shuffle else {"splits_in_order": True}),
        **_described_presentation(settings.presentation),
        **({} if file_format == FORMATS[0] else {"file_format": file_format}),
    }


def _described_presentation(presentation: Presentation) -> dict[str, JsonValue]:
    """Describe a presentation; the usual one is left out, so older datasets can be extended."""
    return {} if presentation == USUAL_PRESENTATION else {"presentation": asdict(presentation)}


def _described(library: PoseLibrary) -> dict[str, JsonValue]:
    """Identify the poses that were imitated by their origin and by a hash of their positions."""
    content = np.ascontiguousarray(library.positions_mm, dtype="<f4").tobytes()
    return {
        **library.made_by,
        "poses": len(library),
        "positions_sha256": hashlib.sha256(content).hexdigest(),
    }


def _job(writer: DatasetWriter, number: int, suffix: str) -> _Job:
    case = replace(writer.case(case_name_of(number)), volume_suffix=suffix)
    return _Job(case, number, writer.has(case))


def _subject_of(name: str) -> str:
    return name.replace("sim", "fetus")


def case_facts(drawn: Drawn, settings: SimulationSettings, seeds: Seeds) -> dict[str, str]:
    """Return the further columns that the table of cases has for a simulated case."""
    scanner = drawn.probe.scanner
    return {
        "crl_mm": f"{drawn.fetus.crown_rump_mm:.2f}",
        "frequency_mhz": f"{scanner.frequency_mhz:.2f}",
        "dynamic_range_db": f"{scanner.dynamic_range_db:.1f}",
        "compounding_frames": f"{scanner.compounding_frames}",
        "outside": _outside(true_pose_of(drawn, settings.preset)),
        **{f"seed_{part}": str(value) for part, value in asdict(seeds).items()},
    }


def _outside(pose: Pose) -> str:
    """Return the names of the landmarks that the volume does not show."""
    seen = zip(pose.skeleton.landmarks, pose.confidence, strict=True)
    return " ".join(name for name, confidence in seen if confidence == 0)


def _make(settings: SimulationSettings, seed: int, after_case: AfterCase | None, job: _Job) -> Case:
    """Draw a case, render and write it unless its files exist, and return it with its facts."""
    seeds = Seeds.of_case(seed, job.number)
    drawn = draw_case(settings, seeds)
    facts = case_facts(drawn, settings, seeds)
    if job.case.volume_suffix == ".vol":
        facts["outside"] = _outside(true_pose_in_kretz(drawn, settings.preset))
        if not job.finished:
            _write_kretz(drawn, settings.preset, after_case, job.case)
    elif not job.finished:
        made = render(drawn, settings.preset, name=job.case.name)
        if after_case is not None:
            after_case(job.case, made)
        write_case(job.case, made.volume, made.pose)
    return replace(
        job.case,
        subject=_subject_of(job.case.name),
        gestational_age_days=round(drawn.fetus.gestational_age_days, 2),
        facts=facts,
    )


def _write_kretz(drawn: Drawn, preset: str, after_case: AfterCase | None, case: Case) -> None:
    """Render a case and write it as a Kretz file; the landmarks come last and mark it complete."""
    made = render(drawn, preset, name=case.name, beams=True)
    with writable(case.landmarks_path):
        case.landmarks_path.unlink(missing_ok=True)
    made = write_as_kretz(drawn, made, case.volume_path)
    if after_case is not None:
        after_case(case, made)
    save_pose(made.pose, case.landmarks_path)

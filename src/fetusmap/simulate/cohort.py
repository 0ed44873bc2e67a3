"""Writing simulated datasets: in parallel, resumable, the same bytes for the same seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from fetusmap._version import __version__
from fetusmap.atlas import PoseLibrary
from fetusmap.dataset import Case, DatasetWriter, split_by_subject, write_case
from fetusmap.errors import BadInput
from fetusmap.simulate.case import SimulationSettings, draw_case
from fetusmap.simulate.draws import Seeds
from fetusmap.simulate.rendering import Drawn, Rendering, render, true_pose_of
from fetusmap.simulate.stream import case_name_of
from fetusmap.workers import check_workers, map_in_order

LICENCE = "CC0-1.0"

AfterCase = Callable[[Case, Rendering], None]


@dataclass(frozen=True)
class _Job:
    """What a worker needs to make one case.

    Attributes:
        case: where its files go; what is known about it is drawn by the worker.
        number: of the case.
        finished: whether the files stand already.
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
    after_case: AfterCase | None = None,
) -> Iterator[Case]:
    """Write a dataset of simulated cases; yields each when it is finished, in order.

    A run that was broken off goes on where it stopped when it is repeated. The dataset counts as
    finished only when the iterator has been used up.

    Args:
        folder: for the dataset.
        settings: what kind of cases.
        count: how many.
        seed: of the series; case n of a dataset is case n of the stream of that seed.
        workers: processes; 0 works in this one. Their number changes no byte.
        splits: part of the fetuses in each named split.
        shuffle: deal the fetuses out at random; otherwise the first ones go to the first split.
        after_case: called where a case was written, in its process; must be importable by name.

    Raises:
        BadInput: no cases asked for, splits that cannot be dealt, or a folder that holds another
            dataset or cannot be written.
    """
    if count < 1:
        raise BadInput("simulated cases", expected="1 or more", found=f"{count}",
                       remedy="ask for more")  # fmt: skip
    Seeds.of_case(seed, 0)
    check_workers(workers)
    subjects = {name: _subject_of(name) for name in map(case_name_of, range(count))}
    dealt = split_by_subject(subjects, dict(splits), seed if shuffle else None) if splits else {}
    folder = Path(folder)
    begin = partial(
        DatasetWriter,
        folder,
        name=folder.resolve().name,
        licence=LICENCE,
        made_by=dataset_origin(settings, count, seed, splits, shuffle=shuffle),
        resume=True,
    )
    return _write(begin, dealt, partial(_make, settings, seed, after_case), count, workers)


def _write(
    begin: Callable[[], DatasetWriter],
    splits: dict[str, tuple[str, ...]],
    make: Callable[[_Job], Case],
    count: int,
    workers: int,
) -> Iterator[Case]:
    with begin() as writer:
        jobs = (_job(writer, number) for number in range(count))
        for case in map_in_order(make, jobs, workers):
            writer.adopt(case)
            yield case
        writer.splits = splits


def dataset_origin(
    settings: SimulationSettings,
    count: int,
    seed: int,
    splits: Mapping[str, float] | None = None,
    *,
    shuffle: bool = True,
) -> dict[str, JsonValue]:
    """What a simulated dataset's `made_by` says: enough to make it again."""
    return {
        "simulator": "fetusmap",
        "version": __version__,
        "cases": count,
        "seed": seed,
        "preset": settings.preset,
        "weeks": list(settings.weeks),
        "scanner_profile": settings.profile,
        "difficulty": asdict(settings.difficulty),
        "poses_like": None if settings.like is None else _described(settings.like),
        "splits": dict(splits or {}),
        **({} if shuffle else {"splits_in_order": True}),
    }


def _described(library: PoseLibrary) -> dict[str, JsonValue]:
    """Which poses were imitated, beyond doubt."""
    content = np.ascontiguousarray(library.positions_mm, dtype="<f4").tobytes()
    return {
        **library.made_by,
        "poses": len(library),
        "positions_sha256": hashlib.sha256(content).hexdigest(),
    }


def _job(writer: DatasetWriter, number: int) -> _Job:
    case = writer.case(case_name_of(number))
    return _Job(case, number, writer.has(case))


def _subject_of(name: str) -> str:
    return name.replace("sim", "fetus")


def case_facts(drawn: Drawn, settings: SimulationSettings, seeds: Seeds) -> dict[str, str]:
    """What the table of cases says about a simulated one."""
    scanner, pose = drawn.probe.scanner, true_pose_of(drawn, settings.preset)
    outside = [
        name
        for name, seen in zip(pose.skeleton.landmarks, pose.confidence, strict=True)
        if seen == 0
    ]
    return {
        "crl_mm": f"{drawn.fetus.crl_mm:.2f}",
        "frequency_mhz": f"{scanner.frequency_mhz:.2f}",
        "dynamic_range_db": f"{scanner.dynamic_range_db:.1f}",
        "looks": f"{scanner.looks}",
        "outside": " ".join(outside),
        **{f"seed_{part}": str(value) for part, value in asdict(seeds).items()},
    }


def _make(settings: SimulationSettings, seed: int, after_case: AfterCase | None, job: _Job) -> Case:
    """Draw a case, and render and write it unless that is done; what is known about it."""
    seeds = Seeds.of_case(seed, job.number)
    drawn = draw_case(settings, seeds)
    if not job.finished:
        made = render(drawn, settings.preset, name=job.case.name)
        if after_case is not None:
            after_case(job.case, made)
        write_case(job.case, made.volume, made.pose)
    return replace(
        job.case,
        subject=_subject_of(job.case.name),
        gestational_age_days=round(drawn.fetus.gestational_age_days, 2),
        facts=case_facts(drawn, settings, seeds),
    )

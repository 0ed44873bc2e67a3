"""`fetusmap convert`: volumes to volumes, poses to poses, folders of cases to datasets and back."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from fetusmap.anatomy import Skeleton, load_skeleton
from fetusmap.cli.console import out, track, warn
from fetusmap.dataset import (
    DatasetWriter,
    export_nnlandmark,
    find_foreign_cases,
    import_cases,
    is_dataset,
    load_dataset,
    read_subjects,
    split_by_subject,
)
from fetusmap.errors import BadInput, FetusmapError
from fetusmap.io import (
    DEFAULT_LIMITS,
    POSE_SUFFIXES,
    load_pose,
    load_volume,
    save_pose,
    save_volume,
    suffix_of,
)
from fetusmap.volume import Volume

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command(
    epilog="Examples:\n\n  fetusmap convert scan.nrrd scan.nii.gz\n\n  fetusmap convert pose.json "
    "pose.mrk.json\n\n  fetusmap convert ANNOTATED_FOLDER DATASET --split train=0.7 --split "
    "test=0.3\n\n  fetusmap convert DATASET NNLANDMARK_FOLDER"
)
def convert(
    source: Annotated[
        Path, typer.Argument(help="A volume, a pose, or a folder of cases.", readable=False)
    ],
    target: Annotated[Path, typer.Argument(help="The file or folder to write.")],
    spacing: Annotated[
        tuple[float, float, float] | None,
        typer.Option(help="True spacing in mm, where the file's is missing or wrong."),
    ] = None,
    skeleton: Annotated[
        str, typer.Option(help="Skeleton of the poses: a built-in name or a JSON file.")
    ] = "fetus-16",
    subjects: Annotated[
        Path | None,
        typer.Option(help="CSV with columns case, subject, gestational_age_days for a folder."),
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option(help="NAME=PART of the subjects; give one per split.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random splits.")] = 0,
    licence: Annotated[str, typer.Option(help="Of a folder's data.")] = "unknown",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing file.")
    ] = False,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Read through symbolic links.")
    ] = False,
) -> int:
    """Convert between volume formats, pose formats, and layouts of annotated cases.

    A folder with volumes and annotations beside them (nnLandmark, 3D Slicer markups) becomes a
    dataset; a dataset becomes a folder of nnLandmark annotations.
    """
    limits = replace(DEFAULT_LIMITS, follow_links=follow_links)
    is_folder = os.path.isdir(source)  # noqa: PTH112 - unlike is_dir() it does not raise
    if not is_folder and (subjects or split):
        raise BadInput(
            source,
            expected="a folder of annotated cases with --subjects and --split",
            found="a file",
            remedy="leave these options out",
        )
    if is_folder and is_dataset(source):
        count = _export(source, target, overwrite)
        out.print(f"{target}: {count} cases")
        return 0
    if is_folder:
        parts = _parts(split or [])
        table = read_subjects(subjects) if subjects else {}
        cases = find_foreign_cases(source)
        writer = DatasetWriter(
            target,
            name=target.name,
            licence=licence,
            skeleton=load_skeleton(skeleton),
            made_by={"imported_from": source.name},
        )
        failed = 0
        with writer:
            steps = import_cases(cases, writer, subjects=table, spacing_mm=spacing, limits=limits)
            for case, outcome in track(steps, "importing", len(cases)):
                failed += isinstance(outcome, FetusmapError)
                for line in _told(outcome):
                    warn(f"case {case.name}: {line}")
            if not writer.cases:
                raise BadInput(
                    source,
                    expected="at least one case that can be imported",
                    found=f"{failed} that cannot",
                    remedy="see the warnings above",
                )
            if parts:
                subject_of = {case.name: case.subject for case in writer.cases}
                writer.splits = split_by_subject(subject_of, parts, seed)
        out.print(f"{target}: {len(writer.cases)} cases, {failed} failed")
        return 1 if failed else 0
    if suffix_of(source, POSE_SUFFIXES):
        save_pose(load_pose(source, _skeleton(skeleton)), target, overwrite=overwrite)
    else:
        volume = load_volume(source, spacing_mm=spacing, limits=limits)
        for warning in volume.warnings:
            warn(warning)
        save_volume(volume, target, overwrite=overwrite)
    out.print(str(target))
    return 0


def _told(outcome: Volume | FetusmapError) -> tuple[str, ...]:
    """What the user should hear about an imported case."""
    if isinstance(outcome, FetusmapError):
        return (f"left out: {outcome}",)
    return outcome.warnings


def _export(source: Path, target: Path, overwrite: bool) -> int:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            target,
            expected="a folder that can be written",
            found=(error.strerror or type(error).__name__).lower(),
            remedy="choose another",
        ) from error
    return export_nnlandmark(load_dataset(source), target, overwrite=overwrite)


def _skeleton(name: str) -> Skeleton | None:
    """None lets a pose file name its own built-in skeleton."""
    return None if name == "fetus-16" else load_skeleton(name)


def _parts(split: list[str]) -> dict[str, float]:
    parts = {}
    for text in split:
        name, _, part = text.partition("=")
        try:
            parts[name] = float(part)
        except ValueError:
            raise BadInput(
                "--split", expected="NAME=PART", found=repr(text), remedy="try train=0.7"
            ) from None
    return parts

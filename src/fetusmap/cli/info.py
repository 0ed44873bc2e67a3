"""`fetusmap info`: describe a file, its geometry, and its problems."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from fetusmap.anatomy import (
    Pose,
    crown_rump_length,
    gestational_age_interval,
    implausibilities,
    measurements,
    size_implausibility,
)
from fetusmap.atlas import PoseLibrary, load_library
from fetusmap.cli.console import out, print_facts, print_table, warn
from fetusmap.cli.options import (
    FollowLinks,
    ForceSpacing,
    Frame,
    Mirror,
    RawOrder,
    RawType,
    Shape,
    SkeletonName,
    Spacing,
    VoxelSize,
    check_options,
    given_reader_options,
    kind_of,
    skeleton_named,
    source_of,
    volumes_in,
)
from fetusmap.dataset import Dataset, load_dataset
from fetusmap.io import (
    DEFAULT_LIMITS,
    Conversion,
    Source,
    count_frames,
    gestational_age_days,
    load_pose,
    load_volume,
    open_source,
    plain_from_pose,
)
from fetusmap.volume import Volume

APPLICABLE: dict[str, set[str]] = {
    "a volume": {
        "--spacing",
        "--force-spacing",
        "--voxel-size",
        "--mirror",
        "--frame",
        "--shape",
        "--dtype",
        "--order",
        "--age",
        "--follow-links",
    },
    "a pose": {"--skeleton"},
    "a folder": set(),
    "a dataset": set(),
    "a pose library": set(),
}

LONGEST_FACT = 300

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command(
    epilog="Examples:\n\n  fetusmap info case.nii.gz\n\n  fetusmap info case.vol\n\n"
    "  fetusmap info scan.nrrd --spacing 0.5 0.5 0.5\n\n"
    "  fetusmap info pose.mrk.json --json\n\n  fetusmap info DATASET_FOLDER\n\n"
    "  fetusmap info poses.safetensors"
)
def info(
    file: Annotated[
        Path,
        typer.Argument(
            help="A volume, a pose, a pose library, or a dataset's folder.", readable=False
        ),
    ],
    spacing: Spacing = None,
    force_spacing: ForceSpacing = False,
    voxel_size: VoxelSize = None,
    mirror: Mirror = False,
    frame: Frame = None,
    shape: Shape = None,
    dtype: RawType = None,
    order: RawOrder = None,
    skeleton: SkeletonName = None,
    age: Annotated[
        bool, typer.Option("--age", help="Print the age of gestation that a DICOM file states.")
    ] = False,
    follow_links: FollowLinks = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Describe a file: its kind, its geometry, and what is wrong with it."""
    conversion = Conversion(voxel_size, mirror, force_spacing)
    given = {
        **given_reader_options(spacing, conversion, frame, shape, dtype, order),
        "--skeleton": skeleton is not None,
        "--age": age,
        "--follow-links": follow_links,
    }
    found = volumes_in(file)
    if len(found) > 1:
        print_volumes(file, found, as_json)
        return
    file = found[0].path if found else file
    kind = kind_of(file)
    check_options(file, kind, given, APPLICABLE)
    if kind in ("a dataset", "a folder"):
        facts = dataset_facts(load_dataset(file))
    elif kind == "a pose library":
        library = load_library(file)
        if not as_json:
            print_library(file, library)
            return
        facts = {
            **library_facts(library),
            "lengths_mm": length_percentiles(library),
            "made_by": dict(library.made_by),
        }
    elif kind == "a pose":
        own = skeleton_named(skeleton)
        pose = load_pose(file, own)
        if not as_json:
            print_pose(file, pose)
            return
        facts = {
            **plain_from_pose(pose),
            "measurements": measurement_facts(pose),
            "warnings": doubts_about(pose),
        }
    else:
        limits = replace(DEFAULT_LIMITS, follow_links=follow_links)
        if frame is None and shape is None and count_frames(file, limits) > 1:
            frame = 0  # the first volume stands for the sequence, whose length is among the facts
        source = source_of(file, frame, shape, dtype, order)
        volume = load_volume(source, spacing_mm=spacing, conversion=conversion, limits=limits)
        facts = volume_facts(volume, source)
        if age:
            weeks, days = divmod(gestational_age_days(file, limits), 7)
            facts["gestational age"] = f"{weeks} weeks {days} days, says the file"
    warnings = facts.pop("warnings", [])
    if as_json:
        out.print_json(json.dumps({**facts, "warnings": warnings}))
        return
    print_facts(str(file), {name: str(value) for name, value in facts.items()})
    for warning in warnings:
        warn(warning)


def print_volumes(folder: Path, found: list[Source], as_json: bool) -> None:
    """Print the names of the volumes of a folder, and the files that stand for them."""
    if as_json:
        files = {source.name: str(source.path) for source in found}
        out.print_json(json.dumps({"volumes": files}))
        return
    rows = [(source.name, str(source.path), source.kind) for source in found]
    print_table(f"{folder}: {len(found)} volumes", ("case", "file", "kind"), rows)


def volume_facts(volume: Volume, source: Source) -> dict[str, Any]:
    """Return what `info` prints about a volume."""
    grid = volume.grid
    low, high = volume.intensity_range
    middle = np.percentile(volume.array[::2, ::2, ::2], [5, 50, 95])
    handedness = "left" if grid.is_left_handed else "right"
    empty = float(np.mean(volume.array == low))
    with open_source(source, replace(DEFAULT_LIMITS, follow_links=True)) as opened:
        size, sha256 = sum(path.stat().st_size for path in opened.files), opened.sha256()
    return {
        "size": _times(grid.shape, "d") + " voxels",
        "spacing": _times(grid.spacing_mm, ".6g") + " mm",
        "extent": _times(grid.extent_mm, ".1f") + " mm",
        "orientation": f"{grid.orientation} ({_obliqueness(volume)}, {handedness}-handed axes)",
        "first voxel at": ", ".join(f"{v:.3f}" for v in grid.origin_mm) + " mm (LPS)",
        "intensity": f"{low:g} to {high:g}; 5/50/95 %: " + "/".join(f"{v:g}" for v in middle),
        "at the lowest": f"{100 * empty:.0f} % of all voxels",
        **volume.facts,
        "file size": f"{size} bytes",
        "sha256": sha256,
        "warnings": list(volume.warnings),
    }


def dataset_facts(dataset: Dataset) -> dict[str, Any]:
    """Return what `info` prints about a dataset."""
    ages = [c.gestational_age_days for c in dataset.cases if c.gestational_age_days is not None]
    splits = {name: len(cases) for name, cases in dataset.splits.items()}
    return {
        "dataset": dataset.name,
        "licence": dataset.licence,
        "skeleton": f"{dataset.skeleton.name} ({len(dataset.skeleton)} landmarks)",
        "cases": f"{len(dataset.cases)} of {len({c.subject for c in dataset.cases})} subjects",
        "annotated": f"{sum(c.is_annotated for c in dataset.cases)}",
        "gestational age": f"{min(ages) / 7:.1f} to {max(ages) / 7:.1f} weeks" if ages else "none",
        "splits": ", ".join(f"{name} {count}" for name, count in splits.items()) or "none",
        "to be checked": f"{sum(bool(case.to_check) for case in dataset.cases)} cases",
        "warnings": [
            f"case {case.name} is to be checked: {doubt}"
            for case in dataset.cases
            for doubt in case.to_check
        ],
    }


def library_facts(library: PoseLibrary) -> dict[str, Any]:
    """Return what `info` prints about a pose library."""
    groups = f"{len(set(library.groups) - {''})}"
    if alone := library.groups.count(""):
        groups += f", and {alone} alone"
    return {
        "pose library": f"{len(library)} poses",
        "skeleton": f"{library.skeleton.name} ({len(library.skeleton)} landmarks)",
        "groups": groups if library.groups else "not known",
        "landmarks present": f"{100 * float(library.present.mean()):.1f} %",
    }


def length_percentiles(library: PoseLibrary) -> dict[str, list[float] | None]:
    """Return the 5th, 50th and 95th percentile of each segment's length, mm; None if absent."""
    known = {name: v[np.isfinite(v)] for name, v in library.lengths_mm().items()}
    return {
        name: np.percentile(v, (5, 50, 95)).round(3).tolist() if len(v) else None
        for name, v in known.items()
    }


def print_library(file: Path, library: PoseLibrary) -> None:
    """Print what a pose library is, and how long its segments are."""
    made_by = json.dumps(dict(library.made_by), ensure_ascii=False)
    shortened = made_by if len(made_by) <= LONGEST_FACT else f"{made_by[:LONGEST_FACT]}..."
    print_facts(str(file), {**library_facts(library), "made by": shortened})
    rows = [
        (name, *(("absent",) * 3 if spread is None else (f"{v:.2f}" for v in spread)))
        for name, spread in length_percentiles(library).items()
    ]
    print_table("Lengths, joint to joint, mm", ("name", "5 %", "median", "95 %"), rows)


def measurement_facts(pose: Pose) -> dict[str, dict[str, float | None]]:
    """Return the measurements of a pose, by kind and name; None where a landmark is absent."""
    facts: dict[str, dict[str, float | None]] = {}
    for m in measurements(pose):
        value = m.value if np.isfinite(m.value) else None
        facts.setdefault(m.kind, {})[f"{m.name}_{m.unit}"] = value
    return facts


def print_pose(file: Path, pose: Pose) -> None:
    """Print landmarks, measurements and doubts."""
    crl = crown_rump_length(pose)
    age = gestational_age_interval(crl.length_mm, crl.half_width_mm)
    chart = "" if np.isnan(age.days) else " weeks (INTERGROWTH-21st)"
    present = f"{int(pose.present.sum())} of {len(pose.skeleton)} landmarks present"
    facts = {
        "skeleton": f"{pose.skeleton.name} ({present})",
        "crown-rump length": str(crl),
        "gestational age": f"{age}{chart}",
    }
    print_facts(str(file), facts)
    print_table(
        "Landmarks, LPS mm",
        ("name", "x", "y", "z", "confidence"),
        [(m.name, *(_mm(v) for v in m.position_mm), f"{m.confidence:.2f}") for m in pose],
    )
    for kind, title, unit in (
        ("length", "Lengths, joint to joint", "mm"),
        ("angle", "Angles", "degrees"),
    ):
        rows = [(m.name, _mm(m.value)) for m in measurements(pose) if m.kind == kind]
        print_table(title, ("name", unit), rows)
    for reason in doubts_about(pose):
        warn(reason)


def doubts_about(pose: Pose) -> list[str]:
    """Return what was doubted when the pose was made, and what is implausible about it."""
    doubts = [*pose.provenance.warnings, *pose.quality.reasons, *implausibilities(pose)]
    size = size_implausibility(pose)
    if size is not None:  # a prediction says the same, and names the voxel size of its file
        claim, _, _ = size.reason.partition(":")
        doubts += [] if any(doubt.startswith(claim) for doubt in doubts) else [size.reason]
    return list(dict.fromkeys(doubts))


def _mm(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "absent"


def _times(values: Any, form: str) -> str:
    return " x ".join(format(v, form) for v in values)


def _obliqueness(volume: Volume) -> str:
    """Return the degrees between the index axes and the anatomical axes that name them."""
    cosine = np.abs(volume.grid.direction).max(axis=0).min()
    angle = float(np.degrees(np.arccos(min(1.0, cosine))))
    return "along the axes" if angle < 0.05 else f"oblique by up to {angle:.1f} degrees"

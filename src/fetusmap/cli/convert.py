"""`fetusmap convert`: convert volumes and poses, and annotated folders to datasets and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from fetusmap.anatomy import Skeleton, built_in_skeleton_for
from fetusmap.cli.console import out, track, warn
from fetusmap.cli.options import (
    Anonymous,
    ClinicalLimbCodes,
    FollowLinks,
    ForceSpacing,
    Frame,
    Merge,
    Mirror,
    RawOrder,
    RawType,
    Scan,
    Shape,
    SkeletonName,
    Spacing,
    Splits,
    VoxelSize,
    check_options,
    given_reader_options,
    is_report,
    kind_of,
    parts_of,
    skeleton_named,
    source_of,
    volumes_in,
)
from fetusmap.dataset import (
    NNUNET_FOLDER_NAME,
    DatasetWriter,
    ForeignCase,
    ImportedCase,
    export_nnlandmark,
    find_foreign_cases,
    import_cases,
    landmark_names,
    load_dataset,
    read_subjects,
    split_by_subject,
    splits_of,
)
from fetusmap.errors import BadInput, FetusmapError
from fetusmap.files import make_folder, suffix_of
from fetusmap.io import (
    DEFAULT_LIMITS,
    WRITABLE_SUFFIXES,
    Conversion,
    ReadLimits,
    load_pose,
    load_volume,
    save_pose,
    save_volume,
)
from fetusmap.types import Triple

NO_LICENCE = "unknown"
NO_SUBJECTS = (
    "without a table of subjects each case counts as a fetus of its own, so two cases of one fetus "
    "may be in training and in test; name the fetuses with --subjects CSV"
)
APPLICABLE: dict[str, set[str]] = {
    "a volume": {
        "--spacing", "--force-spacing", "--voxel-size", "--mirror", "--frame", "--shape",
        "--dtype", "--order", "--overwrite", "--follow-links",
    },
    "a pose": {"--skeleton", "--landmarks", "--overwrite"},
    "a report about a pose": {
        "--source", "--frame", "--anonymous", "--clinical-limb-codes", "--skeleton",
        "--overwrite", "--follow-links",
    },
    "a folder": {
        "--spacing", "--force-spacing", "--skeleton", "--landmarks", "--subjects", "--split",
        "--licence",
        "--follow-links",
    },
    "a folder of results": {
        "--merge", "--skeleton", "--subjects", "--split", "--licence", "--follow-links",
    },
    "a dataset": {"--overwrite"},
    "a pose library": set(),
}  # fmt: skip

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command(
    epilog="Examples:\n\n  fetusmap convert scan.vol scan.nii.gz\n\n  fetusmap convert pose.json "
    "pose.mrk.json\n\n  fetusmap convert results/scan report.dcm --source scan.dcm"
    "\n\n  fetusmap convert ANNOTATED_FOLDER DATASET --split train=0.7 --split "
    "test=0.3\n\n  fetusmap convert RESULTS DATASET --merge COPY_OF_RESULTS"
    "\n\n  fetusmap convert DATASET Dataset901_Fetus"
)
def convert(
    source: Annotated[
        Path, typer.Argument(help="A volume, a pose, or a folder of cases.", readable=False)
    ],
    target: Annotated[Path, typer.Argument(help="The file or folder to write.")],
    spacing: Spacing = None,
    force_spacing: ForceSpacing = False,
    voxel_size: VoxelSize = None,
    mirror: Mirror = False,
    frame: Frame = None,
    shape: Shape = None,
    dtype: RawType = None,
    order: RawOrder = None,
    skeleton: SkeletonName = None,
    landmarks: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Names of the points of 3D Slicer in the order in which they were placed, if they "
            "have its default names (F-1, F-2).",
        ),
    ] = None,
    scan: Scan = None,
    anonymous: Anonymous = False,
    clinical_limb_codes: ClinicalLimbCodes = False,
    subjects: Annotated[
        Path | None,
        typer.Option(help="CSV with columns case, subject, gestational_age_days for a folder."),
    ] = None,
    split: Splits = None,
    seed: Annotated[int, typer.Option(help="Seed of the random splits.")] = 0,
    licence: Annotated[str, typer.Option(help="Licence of the data in a folder.")] = NO_LICENCE,
    merge: Merge = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing file.")
    ] = False,
    follow_links: FollowLinks = False,
) -> int:
    """Convert between volume formats, pose formats, and layouts of annotated cases.

    A folder with volumes and annotations beside them (nnLandmark, 3D Slicer markups) becomes a
    dataset; a dataset becomes a raw folder of nnLandmark. The cases of a folder of results
    that a person has accepted become a dataset with the corrected poses. A pose, or the folder of a
    predicted case, becomes a DICOM report of measurements in the study of its scan.
    """
    conversion = Conversion(voxel_size, mirror, force_spacing)
    given = {
        **given_reader_options(spacing, conversion, frame, shape, dtype, order),
        "--skeleton": skeleton is not None,
        "--landmarks": landmarks is not None,
        "--source": scan is not None,
        "--anonymous": anonymous,
        "--clinical-limb-codes": clinical_limb_codes,
        "--subjects": subjects is not None,
        "--split": bool(split),
        "--licence": licence != NO_LICENCE,
        "--merge": bool(merge),
        "--overwrite": overwrite,
        "--follow-links": follow_links,
    }
    if suffix_of(target, WRITABLE_SUFFIXES) and len(found := volumes_in(source)) == 1:
        source = found[0].path  # a folder with a DICOM series is one volume
    kind = "a report about a pose" if is_report(target) else kind_of(source)
    if kind == "a folder":
        # The networks take a second to load, and volumes and poses are converted without them.
        from fetusmap.cli.convert_results import CorrectedImport, import_results, is_results

        kind = "a folder of results" if is_results(source) else kind
    check_options(source, kind, given, APPLICABLE)
    limits = replace(DEFAULT_LIMITS, follow_links=follow_links)
    if kind == "a report about a pose":
        from fetusmap.cli.dicom_report import write_report
        from fetusmap.scale import ReportSettings

        own = skeleton_named(skeleton)
        write_report(
            source,
            target,
            ReportSettings(scan, frame, anonymous, clinical_limb_codes, own, overwrite, limits),
        )
        return 0
    if kind == "a pose library":
        raise BadInput(
            source,
            expected="a volume, a pose, or a folder of cases",
            found=kind,
            remedy="see 'fetusmap library --help'",
        )
    if kind == "a dataset":
        return _export(source, target, overwrite)
    if kind == "a folder of results":
        chosen, parts = skeleton_named(skeleton), parts_of(split or [])
        return import_results(
            [source, *(merge or [])],
            target,
            CorrectedImport(licence, chosen, subjects, parts, seed, limits),
        )
    if kind == "a folder":
        parts = parts_of(split or [])
        wanted = _Import(spacing, conversion, limits, subjects, parts, seed, names_in(landmarks))
        return _import(source, target, skeleton_named(skeleton), licence, wanted)
    if kind == "a pose":
        own = skeleton_named(skeleton)
        pose = load_pose(source, own, landmarks=names_in(landmarks))
        save_pose(pose, target, overwrite=overwrite)
    else:
        volume = load_volume(
            source_of(source, frame, shape, dtype, order),
            spacing_mm=spacing,
            conversion=conversion,
            limits=limits,
        )
        for warning in volume.warnings:
            warn(warning)
        save_volume(volume, target, overwrite=overwrite)
    out.print(str(target))
    return 0


@dataclass(frozen=True)
class _Import:
    """Settings of the import of a folder."""

    spacing: Triple | None
    conversion: Conversion
    limits: ReadLimits
    subjects: Path | None
    parts: dict[str, float]
    seed: int
    landmarks: tuple[str, ...] | None


def names_in(text: str | None) -> tuple[str, ...] | None:
    """Return the names of a text with commas; None if it is not given."""
    return None if text is None else tuple(name.strip() for name in text.split(","))


def _import(
    source: Path, target: Path, skeleton: Skeleton | None, licence: str, wanted: _Import
) -> int:
    """Turn a folder of annotated volumes into a dataset.

    Without a skeleton, it is the built-in one that has the landmarks of the annotations.
    """
    table = read_subjects(wanted.subjects) if wanted.subjects else None
    cases = find_foreign_cases(source, wanted.landmarks)
    skeleton = skeleton or built_in_skeleton_for(landmark_names(cases))
    made_by = {"imported_from": source.name}
    failed = 0
    with DatasetWriter(
        target, name=target.name, licence=licence, skeleton=skeleton, made_by=made_by
    ) as writer:
        steps = import_cases(
            cases,
            writer,
            subjects=table,
            spacing_mm=wanted.spacing,
            conversion=wanted.conversion,
            limits=wanted.limits,
        )
        for case, outcome in track(steps, "importing", len(cases)):
            failed += isinstance(outcome, FetusmapError)
            for line in _messages_about(outcome):
                warn(f"case {case.name}: {line}")
        if not writer.cases:
            raise BadInput(
                source,
                expected="at least one case that can be imported",
                found=f"{failed} that cannot",
                remedy="see the warnings above",
            )
        if wanted.parts:
            if table is None:
                warn(NO_SUBJECTS)
            subject_of = {case.name: case.subject for case in writer.cases}
            writer.splits = split_by_subject(subject_of, wanted.parts, wanted.seed)
        else:
            writer.splits = _splits_of_folder(cases, writer)
    doubtful = sum(bool(case.to_check) for case in writer.cases)
    to_check = f", {doubtful} to be checked" if doubtful else ""
    out.print(f"{target}: {len(writer.cases)} cases, {failed} failed{to_check}")
    return 1 if failed else 0


def _splits_of_folder(
    cases: Sequence[ForeignCase], writer: DatasetWriter
) -> dict[str, tuple[str, ...]]:
    """Return the splits of the other program, unless one fetus is in two of them."""
    try:
        return splits_of(cases, writer.cases)
    except BadInput as error:
        warn(f"not split as the folder: {error}")
        return {}


def _messages_about(outcome: ImportedCase | FetusmapError) -> tuple[str, ...]:
    """Return the warnings and doubts about an imported case, or why it was left out."""
    if isinstance(outcome, FetusmapError):
        return (f"left out: {outcome}",)
    return (*outcome.warnings, *(f"to be checked: {doubt}" for doubt in outcome.case.to_check))


def _export(source: Path, target: Path, overwrite: bool) -> int:
    """Turn a dataset into a raw folder of nnLandmark."""
    dataset = load_dataset(source)
    make_folder(target)
    if not NNUNET_FOLDER_NAME.fullmatch(target.name):
        warn(f"nnLandmark finds {target} only by a name like Dataset901_{dataset.name}")
    done = failed = reviewed = 0
    steps = export_nnlandmark(dataset, target, overwrite=overwrite)
    for case, trouble in track(steps, "exporting", sum(c.is_annotated for c in dataset.cases)):
        done, failed = done + (trouble is None), failed + (trouble is not None)
        if trouble is not None:
            warn(f"case {case.name}: left out: {trouble}")
        else:
            reviewed += set(case.load_pose().review) != {"machine"}
    if reviewed:
        warn(
            f"{reviewed} cases say which landmarks a person accepted, moved or placed; the layout "
            "of nnLandmark cannot hold that, nor confidences"
        )
    out.print(f"{target}: {done} cases, {failed} failed")
    return 1 if failed else 0

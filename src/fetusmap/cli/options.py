"""Options that several commands have, and the check that options fit their input."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from fetusmap.anatomy import Skeleton, built_in_skeletons, load_skeleton
from fetusmap.cli.console import warn
from fetusmap.dataset import check_fractions, is_dataset
from fetusmap.errors import BadInput
from fetusmap.files import LIBRARY_SUFFIXES, POSE_SUFFIXES, suffix_of
from fetusmap.io import DICOMDIR, Conversion, RawLayout, Source, check_dicomdir, find_sources

Spacing = Annotated[
    tuple[float, float, float] | None,
    typer.Option(
        help="Spacing in mm of files that state none. A file that states another one is refused."
    ),
]
ForceSpacing = Annotated[
    bool,
    typer.Option("--force-spacing", help="Let --spacing replace a spacing that a file states."),
]
SkeletonName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help=f"Skeleton of a pose: {' or '.join(built_in_skeletons())}, or a JSON file; without "
        "it, the one that the file defines or whose landmarks it names.",
    ),
]
VoxelSize = Annotated[
    float | None,
    typer.Option(
        "--voxel-size",
        metavar="MM",
        help="Size of the voxels that the beams of a GE Kretz file are converted to; usually 0.5.",
    ),
]
Mirror = Annotated[
    bool,
    typer.Option(
        "--mirror",
        help="Exchange left and right of files that do not state their sides (GE Kretz).",
    ),
]
Frame = Annotated[
    int | None, typer.Option(metavar="N", help="Take only this volume of a 4D file, from 0.")
]
Shape = Annotated[
    tuple[int, int, int] | None,
    typer.Option(metavar="I J K", help="Number of voxels of a file of raw voxels."),
]
RawType = Annotated[
    str | None, typer.Option("--dtype", metavar="TYPE", help="Type of raw voxels; usually uint8.")
]
RawOrder = Annotated[
    str | None,
    typer.Option(
        "--order",
        metavar="F|C",
        help="Index that changes fastest among raw voxels: F the first (usual), C the last.",
    ),
]
Splits = Annotated[
    list[str] | None, typer.Option(help="NAME=PART of the subjects; give one per split.")
]
Merge = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="RESULTS",
        help="Another copy of the folder of results, which somebody else corrected; repeat the "
        "option for more copies.",
    ),
]
Scan = Annotated[
    Path | None,
    typer.Option(
        "--source",
        metavar="DICOM",
        help="DICOM file or folder that a report is about; by default the one that the case was "
        "predicted from.",
    ),
]
Anonymous = Annotated[
    bool,
    typer.Option(
        "--anonymous", help="Write a DICOM report without a patient, in a study of its own."
    ),
]
ClinicalLimbCodes = Annotated[
    bool,
    typer.Option(
        "--clinical-limb-codes",
        help="Give distances of limbs in a DICOM report the codes of femur, humerus, tibia and "
        "ulna length, although they run from joint to joint.",
    ),
]
FollowLinks = Annotated[bool, typer.Option("--follow-links", help="Read through symbolic links.")]


def source_of(
    path: Path,
    frame: int | None,
    shape: tuple[int, int, int] | None,
    dtype: str | None,
    order: str | None,
) -> Source:
    """Return the volume that the options of a command name, see `layout_of`."""
    return Source(path, frame=frame, layout=layout_of(path, shape, dtype, order))


def layout_of(
    subject: object, shape: tuple[int, int, int] | None, dtype: str | None, order: str | None
) -> RawLayout | None:
    """Return the layout of raw voxels that options describe; None if they describe none.

    Raises:
        BadInput: raw voxels are described without their number.
    """
    if shape is not None:
        order = (order or "F").upper()
        return RawLayout(shape, dtype or "uint8", order)  # type: ignore[arg-type]
    if dtype or order:
        raise BadInput(
            subject,
            expected="--shape with --dtype or --order, which describe raw voxels",
            found="none",
            remedy="give --shape I J K, or leave the others out",
        )
    return None


def is_report(target: Path) -> bool:
    """Return whether a file that is to be written is a DICOM report, by its suffix."""
    return target.suffix.lower() == ".dcm"


def volumes_in(path: Path) -> list[Source]:
    """Return the volumes of a folder or a DICOMDIR; none for a dataset or another path."""
    listed = path.name.upper() == DICOMDIR and path.is_file()
    if not (listed or os.path.isdir(path)) or is_dataset(path):  # noqa: PTH112
        return []
    for sentence in check_dicomdir(path):
        warn(sentence)
    return find_sources(path)


def skeleton_named(name: str | None) -> Skeleton | None:
    """Return the skeleton of an option; None if the option is not given."""
    return None if name is None else load_skeleton(name)


def kind_of(source: Path) -> str:
    """Return what a path is; a file is classified by its suffix."""
    if os.path.isdir(source):  # noqa: PTH112 - unlike is_dir() it does not raise
        return "a dataset" if is_dataset(source) else "a folder"
    if suffix_of(source, LIBRARY_SUFFIXES):
        return "a pose library"
    return "a pose" if suffix_of(source, POSE_SUFFIXES) else "a volume"


def check_options(
    source: Path, kind: str, given: Mapping[str, bool], applicable: Mapping[str, set[str]]
) -> None:
    """Refuse options that mean nothing for this kind of source, instead of ignoring them.

    Raises:
        BadInput: an option does not fit; the error names all such options.
    """
    fitting = applicable[kind]
    odd = [option for option, used in given.items() if used and option not in fitting]
    if odd:
        raise BadInput(
            source,
            expected=f"options that apply to {kind}: {', '.join(sorted(fitting)) or 'none'}",
            found=", ".join(odd),
            remedy="leave them out",
        )


def parts_of(split: list[str]) -> dict[str, float]:
    """Return the fraction of the subjects for each split, by its name, from NAME=PART texts.

    Raises:
        BadInput: a text has another form, a name is given twice, or the fractions are not valid.
    """
    parts = {}
    for text in split:
        name, _, part = text.partition("=")
        if name in parts:
            raise BadInput("--split", expected="each name once", found=name, remedy="drop one")
        try:
            parts[name] = float(part)
        except ValueError:
            raise BadInput(
                "--split", expected="NAME=PART", found=repr(text), remedy="try train=0.7"
            ) from None
    if parts:
        check_fractions(parts)
    return parts


def check_forced_spacing(is_forced: bool, is_given: bool) -> None:
    """Refuse to force a spacing that nothing gives.

    Raises:
        BadInput: a spacing is forced and none is given.
    """
    if is_forced and not is_given:
        raise BadInput(
            "--force-spacing",
            expected="--spacing X Y Z with it",
            found="none",
            remedy="give the spacing, or leave --force-spacing out",
        )


def given_reader_options(
    spacing: object, conversion: Conversion, frame: object, *raw: object
) -> dict[str, bool]:
    """Return which options of reading a volume were given; `raw` is shape, type and order.

    Raises:
        BadInput: a spacing is forced and none is given.
    """
    check_forced_spacing(conversion.force_spacing, spacing is not None)
    names = ("--spacing", "--voxel-size", "--frame", "--shape", "--dtype", "--order")
    values = (spacing, conversion.voxel_size_mm, frame, *raw)
    given = {name: value is not None for name, value in zip(names, values, strict=True)}
    forced = {"--force-spacing": conversion.force_spacing}
    return {**given, "--mirror": conversion.mirror, **forced}

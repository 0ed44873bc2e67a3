"""`fetusmap library`: build pose libraries, and show their content."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from fetusmap._version import __version__
from fetusmap.anatomy import Skeleton
from fetusmap.atlas import PoseLibrary, join_libraries, load_library, save_library
from fetusmap.cli.console import out, warn
from fetusmap.cli.info import print_library
from fetusmap.cli.options import SkeletonName, kind_of, skeleton_named
from fetusmap.dataset import (
    find_pose_files,
    library_from_dataset,
    library_from_files,
    load_dataset,
)
from fetusmap.errors import BadInput, FetusmapError, UnreadableFile
from fetusmap.report import draw_library, save_figure
from fetusmap.report.figure_file import check_figure_path
from fetusmap.simulate import draw_poses

WEEKS = (10.0, 14.0)

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    no_args_is_help=True,
    epilog="Examples:\n\n  fetusmap library build DATASET --split train -o poses.safetensors\n\n"
    "  fetusmap library show poses.safetensors -o poses.png",
)

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")]


@app.callback()
def library() -> None:
    """Build pose libraries, and show their content.

    A pose library is one small file of poses with which predictions are compared.
    """


@app.command(
    epilog="Examples:\n\n  fetusmap library build DATASET --split train -o poses.safetensors\n\n"
    "  fetusmap library build POSES/ more.safetensors -o poses.safetensors\n\n"
    "  fetusmap library build --simulate 5000 --seed 1 --weeks 11 13 -o poses.safetensors"
)
def build(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The library to write (.safetensors).")
    ],
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SOURCE",
            help="Datasets, pose files, folders of pose files, or pose libraries.",
            readable=False,
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Take only this split of each dataset.")
    ] = None,
    simulate: Annotated[int, typer.Option(min=0, metavar="N", help="Add N simulated poses.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated poses.")] = 0,
    weeks: Annotated[
        tuple[float, float],
        typer.Option(metavar="LOW HIGH", help="Gestational age of the simulated poses."),
    ] = WEEKS,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Add the mirror image of every pose.")
    ] = False,
    skeleton: SkeletonName = None,
    overwrite: Overwrite = False,
) -> int:
    """Build a pose library from annotated, stored or simulated poses.

    The library has the skeleton of its sources; simulated poses alone have that of the simulator,
    or the one that --skeleton names. Poses that cannot be read are named and left out;
    the exit code is then 1.
    """
    given = sources or []
    kinds = {kind_of(source) for source in given}
    _check_use("--split", split is not None, "a dataset" in kinds, "a dataset as SOURCE")
    _check_use(
        "--skeleton", skeleton is not None, bool(kinds & {"a pose", "a folder"}) or simulate > 0,
        "a pose file or a folder of them as SOURCE, or --simulate N",
    )  # fmt: skip
    _check_use("--seed", seed != 0, simulate > 0, "--simulate N")
    _check_use("--weeks", weeks != WEEKS, simulate > 0, "--simulate N")
    _check_use("library build", True, bool(given) or simulate > 0, "a SOURCE or --simulate N")
    own = skeleton_named(skeleton)
    parts, left_out = _read_sources(given, split, own)
    simulated = [draw_poses(simulate, seed=seed, weeks=weeks)] if simulate else []
    if wanted := own or (parts[0].skeleton if parts else None):
        simulated = [library.on(wanted) for library in simulated]
    if not parts and not simulated:
        raise BadInput(
            "library build",
            expected="at least one pose that can be read",
            found="none",
            remedy="see the warnings above",
        )
    joined = join_libraries([*parts, *simulated])
    if mirror:
        joined = joined.mirrored()
    joined = replace(joined, made_by={"fetusmap": __version__, **joined.made_by})
    save_library(joined, output, overwrite=overwrite)
    out.print(f"{output}: {len(joined)} poses, {left_out} left out")
    return 1 if left_out else 0


@app.command(
    epilog="Examples:\n\n  fetusmap library show poses.safetensors\n\n"
    "  fetusmap library show poses.safetensors -o poses.png"
)
def show(
    file: Annotated[Path, typer.Argument(metavar="LIB", help="A pose library.", readable=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A picture of all poses to write (.png, .svg, .pdf)."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Show the content of a pose library in numbers and as a picture."""
    if output is not None:
        check_figure_path(output)
    shown = load_library(file)
    print_library(file, shown)
    if output is not None:
        save_figure(draw_library(shown, file.name), output, overwrite=overwrite)
        out.print(f"\n{output}")


def _check_use(option: str, used: bool, useful: bool, needed: str) -> None:
    """Refuse an option that has no effect instead of ignoring it."""
    if used and not useful:
        raise BadInput(
            option, expected=needed, found="none", remedy="see 'fetusmap library build --help'"
        )


def _read_sources(
    sources: list[Path], split: str | None, skeleton: Skeleton | None
) -> tuple[list[PoseLibrary], int]:
    """Return the libraries of all readable sources, and how many poses or sources were left out."""
    parts: list[PoseLibrary] = []
    left_out = 0
    for source in sources:
        try:
            part, errors = _read_source(source, split, skeleton)
            _check_skeleton(part, parts, source)
        except FetusmapError as error:
            errors = (error,)
        else:
            parts.append(part)
        for problem in errors:
            warn(f"left out: {problem}")
        left_out += len(errors)
    return parts, left_out


def _check_skeleton(part: PoseLibrary, parts: list[PoseLibrary], source: Path) -> None:
    if parts and part.skeleton != parts[0].skeleton:
        raise BadInput(
            source,
            expected=f"poses of {parts[0].skeleton.name}, as in the first source",
            found=f"poses of {part.skeleton.name}",
            remedy="build one library per skeleton",
        )


def _read_source(
    source: Path, split: str | None, skeleton: Skeleton | None
) -> tuple[PoseLibrary, tuple[FetusmapError, ...]]:
    """Read a source; return its library and the errors that excluded poses from it."""
    kind = kind_of(source)
    if kind == "a dataset":
        return library_from_dataset(load_dataset(source), split)
    if kind == "a pose library":
        return load_library(source), ()
    if kind == "a volume":
        raise UnreadableFile(
            source,
            expected="a dataset, a pose, a folder of poses, or a pose library",
            found="another file" if os.path.isfile(source) else "no such file",  # noqa: PTH113
            remedy="check the path",
        )
    paths = [source] if kind == "a pose" else find_pose_files(source)
    return library_from_files(paths, skeleton)

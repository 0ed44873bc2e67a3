"""`fetusmap predict`: estimate poses from volumes, and write measurements and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fetusmap.cli.console import err, out, track, warn
from fetusmap.cli.dicom_report import write_reports
from fetusmap.cli.options import (
    FollowLinks,
    ForceSpacing,
    Frame,
    Mirror,
    RawOrder,
    RawType,
    Shape,
    Spacing,
    VoxelSize,
    check_forced_spacing,
    layout_of,
)
from fetusmap.cli.prediction_lines import print_results, print_warnings
from fetusmap.errors import BadInput
from fetusmap.io import check_dicomdir, check_highdicom
from fetusmap.network import device_named
from fetusmap.refine import refinement_named
from fetusmap.scale import (
    SUMMARY_FILE,
    PredictionSettings,
    assign_folders,
    describe_raw,
    find_volumes,
    predict_cases,
    split_sequences,
)
from fetusmap.workers import available_processors, check_workers

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command(
    epilog="Examples:\n\n  fetusmap predict scan.nii.gz -o results\n\n  fetusmap predict FOLDER "
    "-o results --refine fast\n\n  fetusmap predict cases.csv -o results --no-previews"
)
def predict(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            help="Volume files, folders, datasets, or CSVs with a column path, and optionally "
            "case, spacing and frame.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder of the results, with one folder per case."),
    ],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Search the folders in a folder, too.")
    ] = False,
    refine: Annotated[
        str,
        typer.Option(
            metavar="none|fast|test-time-training",
            help="Correct the detected pose with a library of poses. fast combines heatmaps and "
            "library; test-time-training is the method of the paper, which often makes a good pose "
            "worse.",
        ),
    ] = "none",
    library: Annotated[
        Path | None,
        typer.Option(
            metavar="LIB", help="Pose library to refine with; by default that of the package."
        ),
    ] = None,
    flip_average: Annotated[
        bool,
        typer.Option(
            "--flip-average/--no-flip-average",
            help="Average the heatmaps with those of the mirror.",
        ),
    ] = True,
    model: Annotated[
        str,
        typer.Option(metavar="NAME|FOLDER", help="default or land, or the folder of a model."),
    ] = "default",
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda", help="Where to compute.")
    ] = "auto",
    spacing: Spacing = None,
    force_spacing: ForceSpacing = False,
    voxel_size: VoxelSize = None,
    mirror: Mirror = False,
    frame: Frame = None,
    shape: Shape = None,
    dtype: RawType = None,
    order: RawOrder = None,
    previews: Annotated[bool, typer.Option(help="Draw each case.")] = True,
    pages: Annotated[
        bool,
        typer.Option(help="Write a page about each case that a browser opens from disk."),
    ] = True,
    parquet: Annotated[
        bool,
        typer.Option(
            "--parquet", help="Write the landmarks of all cases as landmarks.parquet, too."
        ),
    ] = False,
    dicom: Annotated[
        bool,
        typer.Option("--dicom", help="Write a DICOM report about each case whose scan is DICOM."),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Number of processes; by default one per processor core.")
    ] = None,
    follow_links: FollowLinks = False,
) -> int:
    """Estimate the pose of the fetus in each volume: landmarks in mm, with left and right.

    Each volume of a 4D file is a case of its own, named after the file and its number. Files of raw
    voxels need --shape and --spacing, or a .json beside them.

    Repeat the command to continue an interrupted run. A case that fails is named in summary.csv,
    and the exit code is 1; all other cases are done. Cases of earlier commands stay in summary.csv.
    """
    chosen = refinement_named(refine)
    if library is not None and chosen == "none":
        raise BadInput(
            "--library",
            expected="--refine fast or --refine test-time-training with it",
            found="--refine none, which needs no library",
            remedy="choose a refinement, or leave the library out",
        )
    settings = PredictionSettings(
        model=model,
        device=device,
        refine=chosen,
        library=None if library is None else str(library),
        flip_average=flip_average,
        spacing_mm=spacing,
        force_spacing=force_spacing,
        voxel_size_mm=voxel_size,
        mirror=mirror,
        follow_links=follow_links,
        previews=previews,
        pages=pages,
        parquet=parquet,
    )
    if dicom:
        check_highdicom()
    found = find_volumes(inputs, recursive=recursive, follow_links=follow_links)
    check_forced_spacing(force_spacing, any((spacing, *(v.spacing_mm for v in found))))
    layout = layout_of("--shape", shape, dtype, order)
    described = found if layout is None else describe_raw(found, layout)
    volumes, renamed = assign_folders(
        split_sequences(described, settings.limits, frame), output, settings.limits
    )
    missing = [sentence for path in inputs for sentence in check_dicomdir(path)]
    for sentence in (*found.notes, *missing, *renamed):
        warn(sentence)
    processes = _process_count(workers, device, len(volumes))
    running = predict_cases(volumes, output, settings, processes)
    results = list(track(running, "predicting", len(volumes)))
    failed = [result for result in results if result.pose is None]
    if len(results) == len(failed) == 1 and not found.left_out:
        err.print(f"fetusmap: {failed[0].error}")
        return 2
    print_results(results)
    print_warnings(results)
    for result in failed:
        err.print(f"{result.case}: {result.error}")
    for sentence in found.left_out:
        err.print(f"left out: {sentence}")
    count = len(results) - len(failed)
    what = f"{count} of {len(results)} cases" if failed else f"{count} case{'s' * (count > 1)}"
    out.print(f"{what} predicted; see {output / SUMMARY_FILE}")
    without_report = write_reports(volumes, results, output, settings.limits) if dicom else 0
    return 1 if failed or without_report or found.left_out else 0


def _process_count(asked: int | None, device: str, cases: int) -> int:
    """Return the number of processes; 0 computes in this one."""
    check_workers(asked or 0)
    if cases == 1:  # a process of its own would protect no other case
        return 0
    if asked is not None:
        return asked
    on_card = device_named(device).type == "cuda"  # a graphics card has room for one process
    return 1 if on_card else min(available_processors(), cases)

"""`fetusmap predict`: volumes in, poses, measurements and pictures out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fetusmap.cli.console import err, out, print_table, track
from fetusmap.cli.options import FollowLinks, Spacing
from fetusmap.errors import BadInput
from fetusmap.estimate import REFINE
from fetusmap.network import device_named
from fetusmap.scale.prediction import PredictionSettings, predict_cases
from fetusmap.scale.sources import find_volumes
from fetusmap.scale.summary import SUMMARY_FILE, CaseResult, changes_of, joined
from fetusmap.workers import available_processors

SHOWN = 20

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command(
    epilog="Examples:\n\n  fetusmap predict scan.nii.gz -o results\n\n  fetusmap predict FOLDER "
    "-o results --refine fast\n\n  fetusmap predict cases.csv -o results --no-previews"
)
def predict(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...", help="Volume files, folders, datasets, or CSVs with a column path."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="One folder per case goes here.")],
    refine: Annotated[
        str,
        typer.Option(
            metavar="none|fast|paper",
            help="Correct what was found by a library of poses: fast is ours; paper tunes the "
            "network to it, and often makes a good pose worse.",
        ),
    ] = "none",
    library: Annotated[
        Path | None,
        typer.Option(metavar="LIB", help="Poses to refine with; those that ship unless told."),
    ] = None,
    flip_average: Annotated[
        bool,
        typer.Option(
            "--flip-average/--no-flip-average", help="Look at the mirror image, too, and average."
        ),
    ] = True,
    model: Annotated[
        str, typer.Option(metavar="NAME|FOLDER", help="The one that ships, or a model folder.")
    ] = "default",
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda", help="Where to compute.")
    ] = "auto",
    spacing: Spacing = None,
    previews: Annotated[bool, typer.Option(help="Draw each case.")] = True,
    workers: Annotated[
        int | None, typer.Option(help="Processes; one per processor core unless told.")
    ] = None,
    follow_links: FollowLinks = False,
) -> int:
    """Find the pose of the fetus in each volume: 16 landmarks in mm, left told from right.

    Repeat the command to go on with a run that was broken off. A case that fails is named in
    summary.csv, and the exit code is 1; the others are done.
    """
    chosen = next((name for name in REFINE if name == refine), None)
    if chosen is None:
        raise BadInput(
            "--refine", expected="none, fast or paper", found=repr(refine), remedy="choose one"
        )
    if library is not None and chosen == "none":
        raise BadInput(
            "--library",
            expected="--refine fast or --refine paper beside it",
            found="--refine none, which needs no library",
            remedy="say how to refine, or leave the library out",
        )
    volumes = find_volumes(inputs)
    settings = PredictionSettings(
        model=model,
        device=device,
        refine=chosen,
        library=None if library is None else str(library),
        flip_average=flip_average,
        spacing_mm=spacing,
        follow_links=follow_links,
        previews=previews,
    )
    if workers is None:  # a graphics card has room for one
        on_card = device_named(device).type == "cuda"
        workers = 1 if on_card else min(available_processors(), len(volumes))
    running = predict_cases(volumes, output, settings, workers)
    results = list(track(running, "predicting", len(volumes)))
    failed = [result for result in results if result.pose is None]
    if len(results) == len(failed) == 1:
        err.print(f"fetusmap: {failed[0].error}")
        return 2
    _print_results(results)
    for result in failed:
        err.print(f"{result.case}: {result.error}")
    count = len(results) - len(failed)
    what = f"{count} of {len(results)} cases" if failed else f"{count} case{'s' * (count > 1)}"
    out.print(f"{what} predicted; see {output / SUMMARY_FILE}")
    return 1 if failed else 0


def _print_results(results: list[CaseResult]) -> None:
    rows = []
    for result in results[:SHOWN]:
        if result.pose is None:
            rows.append((result.case, "failed", "", ""))
            continue
        quality = result.pose.quality
        told = (joined(quality.reasons), changes_of(result.pose))
        rows.append(
            (
                result.case,
                f"{quality.score:.2f}",
                "earlier" if result.seconds is None else f"{result.seconds:.1f} s",
                "; ".join(filter(None, told)),
            )
        )
    print_table("Predictions", ("case", "quality", "time", "remarks"), rows)
    if len(results) > SHOWN:
        out.print(f"... and {len(results) - SHOWN} more")
    out.print()

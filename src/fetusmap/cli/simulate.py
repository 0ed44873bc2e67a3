"""`fetusmap simulate`: a dataset of simulated volumes with exact landmarks."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from matplotlib import image

from fetusmap.cli.console import out, track
from fetusmap.cli.options import Splits, parts_of
from fetusmap.dataset import Case, is_dataset, load_dataset
from fetusmap.errors import BadInput
from fetusmap.io import load_library
from fetusmap.report import draw_contact_sheet, preview_picture, save_figure, save_picture
from fetusmap.simulate import (
    HARD,
    Difficulty,
    Rendering,
    SimulationSettings,
    available_processors,
    dataset_origin,
    simulate_dataset,
)

SHEET_FILE = "contact-sheet.png"
ON_SHEET = 24

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command(
    epilog="Examples:\n\n  fetusmap simulate -o cohort -n 24\n\n  fetusmap simulate -o cohort "
    "-n 152 --seed 7 --preset half --weeks 11 13.9 --split train=0.66 --split test=0.34\n\n  "
    "fetusmap simulate -o noisy -n 10 --difficulty noise_db=10 --difficulty blur=1.3"
)
def simulate(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the dataset.")],
    count: Annotated[int, typer.Option("--count", "-n", help="How many cases.")] = 10,
    seed: Annotated[int, typer.Option(help="Of everything; the same seed, the same bytes.")] = 0,
    preset: Annotated[
        str, typer.Option(help="full: 0.5 mm voxels; mid: 0.75 mm; half: 1 mm.")
    ] = "full",
    weeks: Annotated[tuple[float, float], typer.Option(help="Range of gestational age.")] = (
        10.0,
        14.0,
    ),
    profile: Annotated[
        str, typer.Option(help="Scanner: usual, reference, or one of the shifted ones for tests.")
    ] = "usual",
    hard: Annotated[
        bool, typer.Option("--hard", help="Turn every difficulty knob to its bad end.")
    ] = False,
    difficulty: Annotated[
        list[str] | None,
        typer.Option(help="KNOB=VALUE, one of: " + ", ".join(f.name for f in fields(Difficulty))),
    ] = None,
    like: Annotated[Path | None, typer.Option(help="Pose library whose limbs to imitate.")] = None,
    split: Splits = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes; as many as there are cores unless told.")
    ] = None,
    previews: Annotated[
        bool, typer.Option(help="Write a picture of every case and a contact sheet.")
    ] = True,
) -> int:
    """Simulate ultrasound volumes of fetuses with exact landmarks, and write them as a dataset.

    Repeat the command to go on with a run that was broken off. The number of workers changes no
    byte.
    """
    settings = SimulationSettings(
        preset=preset,
        weeks=weeks,
        profile=profile,
        difficulty=_difficulty(HARD if hard else Difficulty(), difficulty or []),
        like=None if like is None else load_library(like),
    )
    parts = parts_of(split or [])
    if is_dataset(output) and load_dataset(output).made_by == dataset_origin(
        settings, count, seed, parts
    ):
        out.print(f"{output}: {count} cases, finished already")
        return 0
    cases = simulate_dataset(
        output,
        settings,
        count=count,
        seed=seed,
        workers=available_processors() if workers is None else workers,
        splits=parts,
        after_case=write_preview if previews else None,
    )
    done = list(track(cases, "simulating", count))
    if previews:
        _write_sheet(output, done)
    out.print(f"{output}: {count} cases" + (f", see {output / SHEET_FILE}" if previews else ""))
    return 0


def write_preview(case: Case, made: Rendering) -> None:
    """Write the picture of a case into its dataset's folder; workers call this."""
    folder = case.folder / "previews"
    folder.mkdir(exist_ok=True)
    save_picture(preview_picture(made.volume, made.pose), folder / f"{case.name}.png")


def _write_sheet(folder: Path, cases: list[Case]) -> None:
    shown = cases[:ON_SHEET]
    pictures = [
        (255 * image.imread(folder / "previews" / f"{case.name}.png")[:, :, :3]).astype(np.uint8)
        for case in shown
    ]
    titles = [
        f"{case.name}  {(case.gestational_age_days or 0) / 7:.1f} weeks  "
        f"CRL {float(case.facts['crl_mm']):.0f} mm"
        for case in shown
    ]
    heading = f"{folder.resolve().name}: {len(shown)} of {len(cases)} simulated cases"
    sheet = draw_contact_sheet(pictures, titles, columns=min(4, len(shown)), heading=heading)
    save_figure(sheet, folder / SHEET_FILE)


def _difficulty(start: Difficulty, knobs: list[str]) -> Difficulty:
    names = [entry.name for entry in fields(Difficulty)]
    changes: dict[str, float] = {}
    for text in knobs:
        name, _, value = text.partition("=")
        try:
            changes[name] = float(value)
        except ValueError:
            name = ""
        if name not in names:
            raise BadInput(
                "--difficulty",
                expected=f"KNOB=NUMBER with a knob of {', '.join(names)}",
                found=repr(text),
                remedy="try clutter_db=6",
            )
    return replace(start, **changes)

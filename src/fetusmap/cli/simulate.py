"""`fetusmap simulate`: write a dataset of simulated volumes with exact landmarks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from matplotlib import image
from pydantic import JsonValue

from fetusmap.anatomy import Pose
from fetusmap.atlas import load_library
from fetusmap.cli.console import out, track
from fetusmap.cli.options import Splits, parts_of
from fetusmap.dataset import Case, is_dataset, load_dataset
from fetusmap.errors import BadInput
from fetusmap.report import draw_contact_sheet, preview_picture, save_figure, save_picture
from fetusmap.simulate import (
    HARD,
    PRESENTATIONS,
    PRESETS,
    Difficulty,
    Presentation,
    Rendering,
    SimulationSettings,
    dataset_origin,
    profiles,
    simulate_dataset,
)
from fetusmap.simulate.body.fetus import MAX_WEEKS, MIN_WEEKS
from fetusmap.simulate.body.measures import ANATOMIES, USUAL_ANATOMY
from fetusmap.simulate.case import SKELETONS
from fetusmap.simulate.cohort import COUNT_KEY, FORMATS
from fetusmap.volume import Volume
from fetusmap.workers import available_processors

SHEET_FILE = "contact-sheet.png"
MAX_CASES_ON_SHEET = 24
CAPTION = (
    "Sagittal, coronal and transverse planes through the middle of the trunk. "
    "Dots: landmarks within 4 mm of a plane, left blue, right orange."
)
DEFAULT_KNOBS = ", ".join(f"{knob.name}={knob.default:g}" for knob in fields(Difficulty))

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command(
    epilog="Examples:\n\n  fetusmap simulate -o cohort -n 24\n\n  fetusmap simulate -o cohort "
    "-n 152 --seed 7 --preset half --weeks 11 13.9 --split train=0.66 --split test=0.34\n\n  "
    "fetusmap simulate -o noisy -n 10 --difficulty noise_db=10 --difficulty blur=1.3"
)
def simulate(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the dataset.")],
    count: Annotated[
        int,
        typer.Option("--count", "-n", help="Number of cases; a larger number extends the dataset."),
    ] = 10,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    preset: Annotated[
        str,
        typer.Option(
            metavar="|".join(PRESETS),
            help="Voxels of 0.5, 0.75 or 1 mm; about 9, 3 or 1 MB per case.",
        ),
    ] = "full",
    weeks: Annotated[
        tuple[float, float],
        typer.Option(
            metavar="LOW HIGH",
            help=f"Gestational age, within {MIN_WEEKS:g} to {MAX_WEEKS:g} weeks.",
        ),
    ] = (10.0, 14.0),
    profile: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"Scanner: {', '.join(profiles())}. The shifted ones are for tests only.",
        ),
    ] = "usual",
    anatomy: Annotated[
        str,
        typer.Option(
            metavar="|".join(ANATOMIES),
            help="Range of bodies. The other one lies outside the usual range and is for tests "
            "only.",
        ),
    ] = USUAL_ANATOMY,
    presentation: Annotated[
        str,
        typer.Option(
            metavar="|".join(PRESENTATIONS),
            help="How the fetus lies to the probe. any: any direction. clinical: the sweep starts "
            "from the mid-sagittal plane; head left or right, face up or down. standard: one of "
            "these four.",
        ),
    ] = PRESENTATIONS[0],
    standard_part: Annotated[
        float,
        typer.Option(
            help="With clinical, fraction of the fetuses that have the standard presentation."
        ),
    ] = 0.0,
    skeleton: Annotated[
        str, typer.Option(metavar="|".join(SKELETONS), help="Landmarks of the cases.")
    ] = SKELETONS[0],
    hard: Annotated[
        bool, typer.Option("--hard", help="Set every difficulty knob to its difficult end.")
    ] = False,
    difficulty: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KNOB=NUMBER",
            help="Set one knob; repeat the option for others, also after --hard. "
            f"Defaults: {DEFAULT_KNOBS}.",
        ),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="LIB", help="Pose library (.safetensors) whose limb postures are imitated."
        ),
    ] = None,
    file_format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="|".join(FORMATS),
            help="NIfTI, or GE Kretz files of the whole sweep before its scan conversion.",
        ),
    ] = FORMATS[0],
    split: Splits = None,
    workers: Annotated[
        int | None, typer.Option(help="Number of processes; by default one per processor core.")
    ] = None,
    previews: Annotated[
        bool,
        typer.Option(
            help=f"Draw each case, and the first {MAX_CASES_ON_SHEET} cases on one sheet."
        ),
    ] = True,
) -> int:
    """Simulate ultrasound volumes of fetuses with exact landmarks, and write them as a dataset.

    Repeat the command to continue an interrupted run. A larger number of cases (-n) extends a
    finished dataset of the same settings: its cases keep their bytes and their splits. The number
    of workers changes only the time.
    """
    settings = SimulationSettings(
        preset=preset,
        weeks=weeks,
        profile=profile,
        anatomy=anatomy,
        presentation=Presentation(presentation, standard_part),
        skeleton=skeleton,
        difficulty=_difficulty(HARD if hard else Difficulty(), difficulty or []),
        like=None if like is None else load_library(like),
    )
    parts = parts_of(split or [])
    cases = _finished_cases(
        output, dataset_origin(settings, count, seed, parts, file_format=file_format)
    )
    finished_already = bool(cases)
    if not finished_already:
        running = simulate_dataset(
            output,
            settings,
            count=count,
            seed=seed,
            workers=min(available_processors(), count) if workers is None else workers,
            splits=parts,
            file_format=file_format,
            after_case=write_preview if previews else None,
        )
        cases = list(_track(running, output, count))
    if previews:
        _complete_previews(cases)
        if not (finished_already and (output / SHEET_FILE).is_file()):
            _write_sheet(output, cases)
    out.print(
        f"{output}: {len(cases)} case{'s' * (len(cases) > 1)}"
        + (", finished already" if finished_already else "")
        + (f"; see {output / SHEET_FILE}" if previews else "")
    )
    return 0


def write_preview(case: Case, made: Rendering) -> None:
    """Write the picture of a case into the folder of its dataset; workers call this."""
    _draw_preview(case, made.volume, made.pose)


def _finished_cases(folder: Path, origin: Mapping[str, JsonValue]) -> list[Case]:
    """Return the cases of a finished dataset; none if there is no dataset or it must be extended.

    Raises:
        BadInput: the dataset has other settings or more cases.
    """
    if not is_dataset(folder):
        return []
    dataset = load_dataset(folder)
    there_by = dataset.made_by
    others = [key for key in {**origin, **there_by} if there_by.get(key) != origin.get(key)]
    if others == [COUNT_KEY]:
        there, wanted = len(dataset.cases), origin[COUNT_KEY]
        if isinstance(wanted, int) and there < wanted:
            return []
        raise BadInput(
            folder,
            expected=f"at least the {there} cases of this dataset",
            found=f"-n {wanted}",
            remedy=f"ask for {there} or more, or choose another folder",
        )
    if others:
        simulated = "simulator" in there_by
        differing = ", ".join(others).replace("_", " ")
        raise BadInput(
            folder,
            expected="a new folder, or a dataset of the same settings",
            found=f"a dataset of other settings ({differing})" if simulated else "another dataset",
            remedy="choose another folder, or remove that dataset yourself",
        )
    return list(dataset.cases)


def _track(cases: Iterator[Case], folder: Path, count: int) -> Iterator[Case]:
    """Show the progress; finished cases are fast and would distort the estimated time."""
    earlier = min(len(list((folder / "landmarks").glob("*.json"))), count)
    if earlier:
        yield from track(islice(cases, earlier), "checking finished cases", earlier)
    yield from track(cases, "simulating", count - earlier)


def _complete_previews(cases: list[Case]) -> None:
    """Draw the cases of an earlier run that drew no pictures."""
    missing = [case for case in cases if not _preview_path(case).is_file()]
    for case in track(missing, "drawing", len(missing)) if missing else ():
        _draw_preview(case, case.load_volume(), case.load_pose())


def _draw_preview(case: Case, volume: Volume, pose: Pose) -> None:
    path = _preview_path(case)
    path.parent.mkdir(exist_ok=True)
    save_picture(preview_picture(volume, pose), path)


def _preview_path(case: Case) -> Path:
    return case.folder / "previews" / f"{case.name}.png"


def _write_sheet(folder: Path, cases: list[Case]) -> None:
    shown = cases[:MAX_CASES_ON_SHEET]
    pictures = [
        np.rint(255 * image.imread(_preview_path(case))[:, :, :3]).astype(np.uint8)
        for case in shown
    ]
    titles = [
        f"{case.name}   {(case.gestational_age_days or 0) / 7:.1f} weeks   "
        f"CRL {float(case.facts['crl_mm']):.0f} mm"
        for case in shown
    ]
    many = f"the first {len(shown)} of {len(cases)}" if len(cases) > len(shown) else f"{len(cases)}"
    heading = f"{folder.resolve().name}: {many} simulated case{'s' * (len(cases) > 1)}"
    columns = min(4, len(shown))
    sheet = draw_contact_sheet(pictures, titles, columns=columns, heading=heading, caption=CAPTION)
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

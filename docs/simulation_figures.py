"""Figures of simulated volumes, drawn from seeds.

`python docs/simulation_figures.py FOLDER` also draws the README's picture.
"""

from __future__ import annotations

import json
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fetusmap.anatomy import body_axes
from fetusmap.report import (
    body_views,
    draw_contact_sheet,
    draw_skeleton,
    draw_surface,
    preview_picture,
)
from fetusmap.report.theme import MUTED, PANEL, TEXT, new_figure
from fetusmap.simulate import (
    FETAL,
    HARD,
    Difficulty,
    Rendering,
    Seeds,
    SimulationSettings,
    draw_case,
    profiles,
    render,
    stream_cases,
)

AGES = ((10.0, 118), (11.0, 106), (12.0, 141), (13.0, 32), (14.0, 55))
"""Weeks, and which case of the seed."""
SEED = 2019
ACCENT = "#ffd166"
SPREAD = Path(__file__).parents[1] / "studies" / "simulated-spread.json"


def write_simulation_figures(folder: Path) -> None:
    """Write every figure as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    draw_ages().savefig(folder / "simulated-ages.png")
    draw_sheet().savefig(folder / "simulated-sheet.png")
    draw_knobs().savefig(folder / "simulated-knobs.png")
    draw_profiles().savefig(folder / "simulated-profiles.png")
    draw_spread(json.loads(SPREAD.read_text())).savefig(folder / "simulated-spread.png")


def draw_ages() -> Figure:
    """Five fetuses: planes of the volume through the body, and the body with its skeleton."""
    figure = new_figure(15.0, 15.4)
    rows = figure.subplots(len(AGES), 4, width_ratios=(3, 1, 1, 0.02), squeeze=False)
    for row, (week, number) in zip(rows, AGES, strict=True):
        settings = SimulationSettings(weeks=(week, week), profile="reference")
        drawn = draw_case(settings, Seeds.of_case(SEED, number))
        made = render(drawn, "full", labels=True)
        row[3].set_axis_off()
        width = 1.85 * drawn.fetus.crl_mm
        row[0].imshow(preview_picture(made.volume, made.pose, size=300, width_mm=width))
        row[0].set_axis_off()
        title = f"{week:.0f} weeks, crown-rump length {drawn.fetus.crown_rump_mm:.0f} mm"
        row[0].set_title(
            f"{title}: sagittal, coronal and transverse planes, {width:.0f} mm wide",
            color=MUTED, fontsize=9,
        )  # fmt: skip
        draw_bodies(row[1:3], made, width)
    return figure


def draw_one() -> Figure:
    """The picture that the README begins with."""
    settings = SimulationSettings(weeks=(13.0, 13.0), profile="reference")
    drawn = draw_case(settings, Seeds.of_case(SEED, 32))
    made = render(drawn, "full", labels=True)
    width = 1.75 * drawn.fetus.crl_mm
    figure = new_figure(13.0, 2.9)
    planes, *bodies = figure.subplots(1, 3, width_ratios=(3, 0.9, 0.9))
    planes.imshow(preview_picture(made.volume, made.pose, size=360, width_mm=width))
    planes.set_axis_off()
    draw_bodies(np.array(bodies), made, width, reach=0.38)
    return figure


def draw_bodies(panels: np.ndarray, made: Rendering, width_mm: float, reach: float = 0.40) -> None:
    """The fetus of a label map, shaded, under its skeleton, from the front and from its right."""
    if made.labels is None:
        raise ValueError("render with labels=True")
    mask = replace(made.labels, array=np.isin(made.labels.array, FETAL).astype(np.uint8))
    # A little above the middle of the landmarks, because half of the head lies above its landmark.
    low, high = made.pose.positions_mm.min(axis=0), made.pose.positions_mm.max(axis=0)
    center = (low + high) / 2 + body_axes(made.pose)[:, 2] * 0.08 * width_mm
    for axes, view in zip(panels, body_views(made.pose), strict=True):
        draw_skeleton(axes, made.pose, view, names=False, scale_bar=False)
        draw_surface(axes, mask, view, center_mm=center, width_mm=width_mm)
        for line in axes.lines:
            line.set_alpha(0.65)
        x, y, _ = view.project(center)
        half = reach * width_mm
        axes.set(xlim=(x - half, x + half), ylim=(y - half, y + half))
        axes.set_axis_off()


def draw_sheet(count: int = 24) -> Figure:
    """Cases as they are used in training; everything is drawn anew for each case."""
    cases = stream_cases(SimulationSettings(preset="mid"), SEED)
    made = [case for case, _ in zip(cases, range(count), strict=False)]
    pictures = [preview_picture(case.volume, case.pose, size=180) for case in made]
    return draw_contact_sheet(
        pictures, [case.volume.name for case in made], heading="24 simulated cases of one seed"
    )


def draw_knobs() -> Figure:
    """One fetus with each difficulty knob at its most difficult value, and with all of them."""
    knobs = [entry.name for entry in fields(Difficulty)]
    settings = {"as drawn": Difficulty()}
    for name in knobs:
        value = getattr(HARD, name)
        settings[f"{name} = {value:g}"] = replace(Difficulty(), **{name: value})
    settings["all of them (HARD)"] = HARD
    pictures = [_same_fetus(SimulationSettings(difficulty=knob)) for knob in settings.values()]
    return draw_contact_sheet(
        pictures, list(settings), columns=3, heading="One fetus, one knob each"
    )


def draw_profiles() -> Figure:
    """One fetus under each named scanner profile."""
    pictures = [_same_fetus(SimulationSettings(profile=name)) for name in profiles()]
    return draw_contact_sheet(pictures, list(profiles()), columns=2, heading="Scanner profiles")


def _same_fetus(settings: SimulationSettings) -> np.ndarray:
    drawn = draw_case(replace(settings, weeks=(12.6, 12.6)), Seeds.of_case(SEED, 16))
    made = render(drawn, "full")
    return preview_picture(made.volume, made.pose, size=360, width_mm=88)


def draw_spread(results: dict[str, Any]) -> Figure:
    """How different volumes are: grey levels, brightness, contrast and blur.

    Args:
        results: `studies/simulated-spread.json`.
    """
    rows = results["rows"]
    figure = new_figure(13.0, 3.6)
    panels = figure.subplots(1, 4, width_ratios=(1.5, 1, 1, 1))
    for row in rows:
        panels[0].plot(np.arange(10, 262, 12), row["grey_levels"], color=ACCENT, alpha=0.09)
    panels[0].set_title(f"grey levels of {len(rows)} volumes", color=MUTED, fontsize=9)
    _histogram(panels[1], [row["darkest_tenth"] for row in rows], "darkest tenth around the fetus")
    _histogram(panels[2], [row["contrast"] for row in rows], "contrast: upper quarter over that")
    for name, color in (("axial", ACCENT), ("lateral", "#8bd3c7"), ("sweep", "#c39bd3")):
        widths = [row[f"{name}_mm"] for row in rows]
        panels[3].hist(widths, bins=np.arange(0, 5.1, 0.2), color=color, alpha=0.7, label=name)
    reach = results["blur_range_mm"]
    panels[3].set_title(f"blur at {reach:.0f} mm: width of a point, mm", color=MUTED, fontsize=9)
    panels[3].legend(facecolor=PANEL, labelcolor=TEXT, edgecolor=PANEL, fontsize=7)
    for axes in panels:
        _plain(axes)
    return figure


def _histogram(axes: Axes, values: list[float], title: str) -> None:
    axes.hist(values, bins=24, color="#8bd3c7", alpha=0.8)
    axes.set_title(title, color=MUTED, fontsize=9)


def _plain(axes: Axes) -> None:
    axes.set_facecolor(PANEL)
    axes.tick_params(colors=MUTED, labelsize=7)
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(MUTED)


if __name__ == "__main__":
    write_simulation_figures(Path(sys.argv[1]))
    draw_one().savefig(Path(__file__).parent / "images" / "simulated.png")

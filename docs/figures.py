"""Figures of the docs, drawn from the code: `python docs/figures.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from fetusmap.anatomy import CHARTS, DATING, crown_rump_length_at, reference_pose
from fetusmap.report import draw_joint_angles, draw_library
from fetusmap.report.theme import MUTED, PANEL, TEXT, new_figure
from fetusmap.simulate import draw_poses

ACCENT = "#ffd166"


def write_figures(folder: Path) -> None:
    """Write every figure as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "joint-angles": draw_joint_angles(reference_pose(60.0)),
        "growth": draw_growth(),
        "library": draw_library(draw_poses(3000, seed=0), "Simulated"),
        "vocabulary": draw_vocabulary(),
    }
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png")


def draw_growth() -> Figure:
    """Crown-rump length against age, both charts, each inside its own range."""
    figure = new_figure(7.5, 4.4)
    axes = figure.subplots()
    chart = CHARTS["crown_rump_length"]
    days = np.linspace(*chart.days, 200)
    mean, sd = chart.mean_mm(days), chart.sd_mm(days)
    band = (mean - 1.881 * sd, mean + 1.881 * sd)
    axes.fill_between(days / 7, *band, color="#3b8bd9", alpha=0.25,
                      label="INTERGROWTH-21st, 3rd to 97th centile")  # fmt: skip
    axes.plot(days / 7, mean, color="#3b8bd9", label="INTERGROWTH-21st, mean")
    ends = [DATING["robinson-fleming"].days(crl) for crl in DATING["robinson-fleming"].crl_mm]
    days = np.linspace(ends[0] + 1e-6, ends[1] - 1e-6, 200)
    axes.plot(days / 7, [crown_rump_length_at(d) for d in days], color="#f28e2b",
              label="Robinson and Fleming")  # fmt: skip
    axes.axvspan(10, 14, color=ACCENT, alpha=0.08)
    axes.set_xlabel("gestational age, weeks", color=TEXT)
    axes.set_ylabel("crown-rump length, mm", color=TEXT)
    axes.set_facecolor(PANEL)
    axes.tick_params(colors=MUTED)
    axes.grid(color=MUTED, alpha=0.2)
    axes.legend(facecolor=PANEL, labelcolor=TEXT, edgecolor=PANEL, fontsize=8)
    return figure


def draw_vocabulary() -> Figure:
    """Diagram of the main objects and of what they contain."""
    figure = new_figure(10.5, 4.3)
    axes = figure.subplots()
    axes.set_xlim(0, 10.5)
    axes.set_ylim(0, 4.3)
    axes.set_axis_off()
    nouns = {
        "Grid": (0.3, 3.0, "shape + affine"),
        "Volume": (2.4, 3.0, "array on a Grid"),
        "Case": (4.9, 2.0, "volume, pose if known"),
        "Dataset": (7.6, 2.0, "cases with splits"),
        "Skeleton": (0.3, 1.0, "landmarks, segments,\nmirror pairs, limbs"),
        "Pose": (2.4, 1.0, "positions + confidence"),
        "Atlas": (4.9, 0.3, "one annotated pose"),
        "Pose library": (7.6, 0.3, "atlases for comparison"),
    }
    for name, (x, y, meaning) in nouns.items():
        _box(axes, x, y, name, meaning)
    arrows = "Grid>Volume Skeleton>Pose Volume>Case Pose>Case Case>Dataset Pose>Atlas"
    for start, end in (a.split(">") for a in [*arrows.split(), "Atlas>Pose library"]):
        _arrow(axes, nouns[start][:2], nouns[end][:2])
    return figure


def _box(axes: Axes, x: float, y: float, name: str, meaning: str) -> None:
    style = {"facecolor": PANEL, "edgecolor": MUTED, "linewidth": 1}
    axes.add_patch(FancyBboxPatch((x, y), 1.75, 0.72, boxstyle="round,pad=0.06", **style))
    axes.text(x + 0.87, y + 0.5, name, color=TEXT, fontsize=11, ha="center", weight="bold")
    axes.text(x + 0.87, y + 0.28, meaning, color=MUTED, fontsize=7.5, ha="center", va="center")


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate(
        "", xy=(end[0] - 0.08, end[1] + 0.36), xytext=(start[0] + 1.83, start[1] + 0.36),
        arrowprops={"arrowstyle": "-|>", "color": ACCENT, "linewidth": 1.3},
    )  # fmt: skip


if __name__ == "__main__":
    write_figures(Path(sys.argv[1]))

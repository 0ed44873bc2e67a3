"""PCK curves: the percentage of landmarks with an error below each distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fetusmap.evaluate import AUC_CAP_MM, auc_percent, pck_curve_percent, pck_interval
from fetusmap.report.theme import MUTED, PANEL, TEXT, new_figure
from fetusmap.types import FloatArray

CURVE_COLORS = (
    "#4cc9f0", "#ffd166", "#f72585", "#80ed99", "#ff9f1c", "#b388ff", "#e8ecf1", "#fb6f92",
    "#9bf6ff", "#c9a227",
)  # fmt: skip
STEPS = 201


def draw_pck(
    panels: Mapping[str, Mapping[str, FloatArray]],
    *,
    subjects: Sequence[str] | None = None,
    cap_mm: float = AUC_CAP_MM,
    title: str = "",
) -> Figure:
    """Draw curves of correct keypoints with their 95 % bands.

    Args:
        panels: for each panel by its title, the (cases, N) errors of each method by its name, mm.
        subjects: subject of each case, for the bands; every case is a subject if not given.
        cap_mm: upper end of the distances, and of the area in the legend.
        title: title of the figure.
    """
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure = new_figure(6.4 * columns, 3.9 * lines)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for spare in axes[len(panels) :]:
        spare.set_axis_off()
    for panel, (name, methods) in zip(axes, panels.items(), strict=False):
        _draw_curves(panel, methods, subjects, cap_mm)
        panel.set_title(name, color=TEXT, fontsize=10)
    if title:
        figure.suptitle(title, color=TEXT, fontsize=12)
    return figure


def _draw_curves(
    axes: Axes, methods: Mapping[str, FloatArray], subjects: Sequence[str] | None, cap_mm: float
) -> None:
    thresholds = np.linspace(0, cap_mm, STEPS)
    for number, (name, errors) in enumerate(methods.items()):
        color = CURVE_COLORS[number % len(CURVE_COLORS)]
        low, high = pck_interval(errors, thresholds, subjects=subjects)
        axes.fill_between(thresholds, low, high, color=color, alpha=0.13, linewidth=0)
        label = f"{name}  {auc_percent(errors, cap_mm):.1f}"
        style = "-" if number < len(CURVE_COLORS) else "--"
        axes.plot(
            thresholds, pck_curve_percent(errors, thresholds), style, color=color, linewidth=1.6,
            label=label,
        )  # fmt: skip
    axes.set_xlim(0, cap_mm)
    axes.set_ylim(0, 100)
    axes.set_xlabel("distance, mm", color=MUTED, fontsize=8)
    axes.set_ylabel("landmarks within, %", color=MUTED, fontsize=8)
    axes.set_facecolor(PANEL)
    axes.tick_params(colors=MUTED, labelsize=8)
    axes.grid(color=MUTED, alpha=0.15, linewidth=0.6)
    for spine in axes.spines.values():
        spine.set_visible(False)
    # Beside the panel, because no corner of it is free with many methods.
    legend = axes.legend(
        loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7.5, frameon=False,
        labelcolor=TEXT, title="AUC, %",
    )  # fmt: skip
    legend.get_title().set(color=MUTED, fontsize=7.5)

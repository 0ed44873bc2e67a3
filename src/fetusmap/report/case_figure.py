"""Annotations and the poses of several methods side by side, with errors and lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from fetusmap.anatomy import Pose
from fetusmap.evaluate import landmark_errors_mm, mean_error_mm
from fetusmap.report.theme import MUTED, PANEL, TEXT, new_figure
from fetusmap.report.views import View, body_views, draw_scale_bar, draw_skeleton

ERROR_COLOR = "#ff5d5d"
MIN_DRAWN_ERROR_MM = 5.0
"""Only errors above this are drawn."""

MARGIN_MM = 5.0
"""Margin around the annotation in every panel, for the numbers at the ends of the limbs."""


@dataclass(frozen=True, eq=False)
class ComparedCase:
    """One case of the figure.

    Attributes:
        name: name of the case.
        truth: annotated pose.
        found: predicted pose of each method by its name.
    """

    name: str
    truth: Pose
    found: Mapping[str, Pose]


def draw_cases(cases: Sequence[ComparedCase], title: str = "") -> Figure:
    """Draw each case in a row: the annotation, then each method, all from the front of the fetus.

    Every panel of a row has the same view and scale. Lengths of segments are written in mm. An
    error above 5 mm is a red line from the prediction to the annotation. Its length is written at
    the annotation, because annotated landmarks lie apart while predicted ones may coincide.

    Args:
        cases: the cases, all with the same methods.
        title: title of the figure.
    """
    methods = list(cases[0].found)
    figure = new_figure(3.1 * (1 + len(methods)), 3.6 * len(cases) + 0.4)
    panels = figure.subplots(len(cases), 1 + len(methods), squeeze=False)
    for row, case in zip(panels, cases, strict=True):
        view = body_views(case.truth)[0]
        draw_skeleton(row[0], case.truth, view, names=False, lengths=True, scale_bar=False)
        row[0].set_title(f"{case.name}, annotation", color=TEXT, fontsize=9)
        for axes, (method, pose) in zip(row[1:], case.found.items(), strict=True):
            _draw_found(axes, method, pose, case.truth, view)
        points = view.project(case.truth.positions_mm[case.truth.present])
        middle = (points.max(axis=0) + points.min(axis=0)) / 2
        half = np.ptp(points, axis=0) / 2 + MARGIN_MM
        for axes in row:
            axes.set_xlim(middle[0] - half[0], middle[0] + half[0])
            axes.set_ylim(middle[1] - half[1], middle[1] + half[1])
        draw_scale_bar(row[0])
    if title:
        figure.suptitle(title, color=TEXT, fontsize=12)
    return figure


def _draw_found(axes: Axes, method: str, pose: Pose, truth: Pose, view: View) -> None:
    draw_skeleton(axes, pose, view, names=False, lengths=True, scale_bar=False)
    errors = landmark_errors_mm(pose.positions_mm, truth.positions_mm)
    found, true = view.project(pose.positions_mm), view.project(truth.positions_mm)
    for error, ends in zip(errors, np.stack([found, true], axis=1), strict=True):
        if not MIN_DRAWN_ERROR_MM < error < np.inf:
            continue
        axes.plot(ends[:, 0], ends[:, 1], color=ERROR_COLOR, linewidth=1.0, zorder=6, clip_on=True)
        axes.text(
            ends[1, 0], ends[1, 1], f"{error:.0f}", color=ERROR_COLOR, fontsize=7, zorder=9,
            ha="center", va="center", clip_on=True,
            path_effects=[withStroke(linewidth=2.2, foreground=PANEL)],
        )  # fmt: skip
    missed = int(np.isinf(errors).sum())
    label = f"{method}   {mean_error_mm(errors):.1f} mm" if missed < len(errors) else method
    axes.set_title(label + (f", {missed} missed" if missed else ""), color=TEXT, fontsize=9)
    axes.tick_params(colors=MUTED)

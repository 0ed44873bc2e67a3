"""A refinement turn by turn: heatmaps, the pose that was read, the atlases that support it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fetusmap.anatomy import Pose, Skeleton
from fetusmap.report.theme import MUTED, TEXT, new_figure
from fetusmap.report.views import View, body_views, draw_skeleton
from fetusmap.types import Points3

if TYPE_CHECKING:  # they bring torch in, and a drawing needs none
    from fetusmap.refine import Iteration, Refinement

ATLASES = 10
"""Of the support set, the best ones are drawn."""

SHOWN = 3
"""Changes in words below the figure."""


def draw_refinement(refinement: Refinement, skeleton: Skeleton, title: str = "") -> Figure:
    """Draw what happened in each turn, and the result.

    Above, the highest value of all heatmaps along the direction of view, with the pose; below, the
    same pose with the best atlases of its support set. All look at the refined fetus from the
    front.

    Args:
        refinement: with its iterations.
        skeleton: names the landmarks.
        title: above everything.
    """
    final = Pose(skeleton, refinement.detection.positions_mm)
    view = body_views(final)[0]
    turns = len(refinement.iterations)
    figure = new_figure(2.6 * (turns + 1), 6.4)
    panels = figure.subplots(2, turns + 1, squeeze=False)
    for column, turn in enumerate(refinement.iterations):
        pose = Pose(skeleton, turn.positions_mm)
        _draw_heatmaps(panels[0, column], turn, view)
        draw_skeleton(panels[0, column], pose, view, names=False, scale_bar=False)
        panels[0, column].set_title(f"turn {column + 1}", color=TEXT, fontsize=10)
        _draw_support(panels[1, column], skeleton, turn, view)
        draw_skeleton(panels[1, column], pose, view, names=False, scale_bar=False)
        loss = "" if np.isnan(turn.loss) else f", loss {turn.loss:.1f}"
        panels[1, column].set_title(
            f"{len(turn.support.atlases)} atlases{loss}", color=MUTED, fontsize=9
        )
    before = Pose(skeleton, refinement.before.positions_mm)
    for axes, pose, name in ((panels[0, -1], before, "before"), (panels[1, -1], final, "after")):
        draw_skeleton(axes, pose, view, names=False)
        axes.set_title(name, color=TEXT, fontsize=10)
    _look_alike(panels, final, view)
    words = "; ".join(refinement.changes[:SHOWN]) or refinement.kept or "nothing changed"
    words += f"; and {len(refinement.changes) - SHOWN} more" * (len(refinement.changes) > SHOWN)
    figure.suptitle(title, color=TEXT, fontsize=12)
    figure.supxlabel(words, color=MUTED, fontsize=9)
    return figure


def _draw_heatmaps(axes: Axes, turn: Iteration, view: View) -> None:
    """Voxels as dots, the higher the brighter: grids may lie in any direction."""
    highest = turn.heatmaps.array.amax(dim=0).numpy()
    bright = highest > 0.12 * highest.max()
    points = view.project(turn.heatmaps.grid.to_world(np.argwhere(bright).astype(np.float64)))
    values = highest[bright]
    order = np.argsort(values)
    axes.scatter(
        points[order, 0], points[order, 1], c=values[order], s=7, marker="s", cmap="inferno",
        linewidths=0, alpha=0.5, zorder=0,
    )  # fmt: skip


def _draw_support(axes: Axes, skeleton: Skeleton, turn: Iteration, view: View) -> None:
    for atlas in turn.support.positions_mm[:ATLASES]:
        ends = view.project(atlas)[skeleton.segment_index]
        axes.plot(ends[..., 0].T, ends[..., 1].T, color=MUTED, linewidth=0.7, alpha=0.6, zorder=1)


def _look_alike(panels: np.ndarray, pose: Pose, view: View) -> None:
    points: Points3 = view.project(pose.positions_mm[pose.present])[:, :2]
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    half = 0.75 * float(np.ptp(points, axis=0).max()) + 5.0
    for axes in panels.flat:
        axes.set_xlim(middle[0] - half, middle[0] + half)
        axes.set_ylim(middle[1] - half, middle[1] + half)

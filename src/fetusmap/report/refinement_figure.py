"""Figure of a refinement: heatmaps, pose and support set of each iteration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fetusmap.anatomy import Pose, Skeleton
from fetusmap.report.theme import MUTED, TEXT, new_figure
from fetusmap.report.views import View, body_views, draw_skeleton
from fetusmap.types import Points3

if TYPE_CHECKING:  # imports torch, which a drawing does not need
    from fetusmap.refine import Iteration, Refinement

MAX_DRAWN_ATLASES = 10
"""Number of atlases of a support set that are drawn, best first."""

MAX_WRITTEN_CHANGES = 3
"""Number of changes that are written below the figure."""


def draw_refinement(refinement: Refinement, skeleton: Skeleton, title: str = "") -> Figure:
    """Draw each iteration of a refinement, and the pose before and after.

    The upper row shows the maximum of all heatmaps along the direction of view, with the pose. The
    lower row shows the same pose with the best atlases of its support set. All panels show the
    refined fetus from the front.

    Args:
        refinement: the refinement with its iterations.
        skeleton: skeleton of the poses.
        title: title of the figure.
    """
    final = Pose(skeleton, refinement.detection.positions_mm)
    view = body_views(final)[0]
    count = len(refinement.iterations)
    figure = new_figure(2.6 * (count + 1), 6.4)
    panels = figure.subplots(2, count + 1, squeeze=False)
    for column, iteration in enumerate(refinement.iterations):
        pose = Pose(skeleton, iteration.positions_mm)
        _draw_heatmaps(panels[0, column], iteration, view)
        draw_skeleton(panels[0, column], pose, view, names=False, scale_bar=False)
        panels[0, column].set_title(f"iteration {column + 1}", color=TEXT, fontsize=10)
        _draw_support(panels[1, column], skeleton, iteration, view)
        draw_skeleton(panels[1, column], pose, view, names=False, scale_bar=False)
        loss = "" if np.isnan(iteration.loss) else f", loss {iteration.loss:.1f}"
        panels[1, column].set_title(
            f"{len(iteration.support.atlases)} atlases{loss}", color=MUTED, fontsize=9
        )
    before = Pose(skeleton, refinement.before.positions_mm)
    for axes, pose, name in ((panels[0, -1], before, "before"), (panels[1, -1], final, "after")):
        draw_skeleton(axes, pose, view, names=False)
        axes.set_title(name, color=TEXT, fontsize=10)
    _set_equal_limits(panels, final, view)
    words = (
        "; ".join(refinement.changes[:MAX_WRITTEN_CHANGES])
        or refinement.rejected_because
        or "nothing changed"
    )
    words += f"; and {len(refinement.changes) - MAX_WRITTEN_CHANGES} more" * (
        len(refinement.changes) > MAX_WRITTEN_CHANGES
    )
    figure.suptitle(title, color=TEXT, fontsize=12)
    figure.supxlabel(words, color=MUTED, fontsize=9)
    return figure


def _draw_heatmaps(axes: Axes, iteration: Iteration, view: View) -> None:
    """Draw voxels as dots, brighter with higher values, because grids may have any direction."""
    highest = iteration.heatmaps.array.amax(dim=0).numpy()
    bright = highest > 0.12 * highest.max()
    points = view.project(iteration.heatmaps.grid.to_world(np.argwhere(bright).astype(np.float64)))
    values = highest[bright]
    order = np.argsort(values)
    axes.scatter(
        points[order, 0], points[order, 1], c=values[order], s=7, marker="s", cmap="inferno",
        linewidths=0, alpha=0.5, zorder=0,
    )  # fmt: skip


def _draw_support(axes: Axes, skeleton: Skeleton, iteration: Iteration, view: View) -> None:
    for atlas in iteration.support.positions_mm[:MAX_DRAWN_ATLASES]:
        ends = view.project(atlas)[skeleton.segment_index]
        axes.plot(ends[..., 0].T, ends[..., 1].T, color=MUTED, linewidth=0.7, alpha=0.6, zorder=1)


def _set_equal_limits(panels: np.ndarray, pose: Pose, view: View) -> None:
    points: Points3 = view.project(pose.positions_mm[pose.present])[:, :2]
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    half = 0.75 * float(np.ptp(points, axis=0).max()) + 5.0
    for axes in panels.flat:
        axes.set_xlim(middle[0] - half, middle[0] + half)
        axes.set_ylim(middle[1] - half, middle[1] + half)

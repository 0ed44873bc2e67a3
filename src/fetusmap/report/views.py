"""Parallel projections of a pose, and how a skeleton is drawn in them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from fetusmap.anatomy import Pose, body_axes
from fetusmap.report.theme import BACKGROUND, MUTED, PANEL, TEXT
from fetusmap.types import FloatArray, Points3


@dataclass(frozen=True, eq=False)
class View:
    """A parallel projection.

    Attributes:
        title: name of the view.
        axes: (3, 3) world directions that point rightwards on paper, upwards on paper and towards
            the viewer, in rows.
    """

    title: str
    axes: FloatArray

    def project(self, points_mm: Points3) -> Points3:
        """Map (..., 3) world points to (..., 3) rightwards, upwards and towards the viewer, mm."""
        return np.asarray(points_mm @ self.axes.T)


BODY_VIEWS = (
    View("from the front", np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])),
    View("from its right side", np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])),
)
"""The fetus from the front and from its right side, in the body's own frame."""

WORLD_VIEWS = (
    View("along posterior", np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])),
    View("along left", np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])),
)
"""Views along axes of the world, for a pose without body axes."""

MIN_LABEL_DISTANCE_MM = 2.0
"""A length is not written if another one is nearer than this, as where landmarks coincide."""


def body_views(pose: Pose) -> tuple[View, View]:
    """Return the views from the front and the right side; along world axes without body axes."""
    axes = body_axes(pose)
    if not np.isfinite(axes).all():
        return WORLD_VIEWS
    front, side = (replace(view, axes=view.axes @ axes.T) for view in BODY_VIEWS)
    return front, side


def draw_skeleton(
    axes: Axes,
    pose: Pose,
    view: View,
    *,
    names: bool = True,
    lengths: bool = False,
    scale_bar: bool = True,
) -> None:
    """Draw a pose in one view, distant parts first, in the skeleton's colours of left and right."""
    skeleton = pose.skeleton
    points = view.project(pose.positions_mm)
    near = np.nan_to_num(points[:, 2])
    reach = float(np.ptp(near)) or 1.0
    labelled = np.empty((0, 2))
    for row, segment in sorted(
        enumerate(skeleton.segments), key=lambda item: near[skeleton.segment_index[item[0]]].mean()
    ):
        ends = skeleton.segment_index[row]
        closeness = float((near[ends].mean() - near.min()) / reach)
        color = skeleton.color(skeleton.segment_side(segment))
        axes.plot(
            points[ends, 0], points[ends, 1], color=color, linewidth=2.0 + 2.5 * closeness,
            alpha=0.55 + 0.45 * closeness, solid_capstyle="round", zorder=2 + closeness,
        )  # fmt: skip
        middle = points[ends, :2].mean(axis=0)
        apart = np.linalg.norm(labelled - middle, axis=1) > MIN_LABEL_DISTANCE_MM
        if lengths and np.isfinite(middle).all() and apart.all():
            _label(axes, middle, f"{pose.lengths_mm()[segment.name]:.0f}")
            labelled = np.vstack([labelled, middle])
    for mark, point in zip(pose, points, strict=True):
        if not mark.is_present:
            continue
        closeness = float((point[2] - near.min()) / reach)
        axes.scatter(
            point[0], point[1], s=26 + 22 * closeness, color=skeleton.color(mark.side),
            edgecolors=BACKGROUND, linewidths=0.8, zorder=4 + closeness,
        )  # fmt: skip
    axes.set_title(view.title, color=MUTED, fontsize=9, y=1.0)
    axes.set_aspect("equal")
    axes.set_facecolor(PANEL)
    _frame(axes, pose, points, width=1.0 if names else 0.62)
    if names:
        _name_landmarks(axes, pose, points)
    if scale_bar:
        draw_scale_bar(axes)
    # Nothing reaches beyond the limits, so the layout need not measure every name and length.
    for artist in (*axes.lines, *axes.collections, *axes.texts):
        artist.set_in_layout(False)


def _frame(axes: Axes, pose: Pose, points: Points3, width: float) -> None:
    """Set limits with the same scale in every view of a pose, and space for names at the sides."""
    known = points[pose.present]
    if len(known):
        middle = (known.min(axis=0) + known.max(axis=0)) / 2
        span = np.ptp(pose.positions_mm[pose.present], axis=0)
        half = max(0.5 * float(np.linalg.norm(span)), 5.0)
        axes.set_xlim(middle[0] - half * width, middle[0] + half * width)
        axes.set_ylim(middle[1] - half, middle[1] + half)
    # Ticks are not even computed for an axis that is not visible.
    axes.xaxis.set_visible(False)
    axes.yaxis.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _name_landmarks(axes: Axes, pose: Pose, points: Points3) -> None:
    """Write the names in two columns at the edges, each with a thin line to its landmark."""
    rows = np.flatnonzero(pose.present)
    if not rows.size:
        return
    low, high = axes.get_ylim()
    step = 0.036 * (high - low)
    center = np.median(points[rows, 0])
    for outward, edge in zip((-1, 1), axes.get_xlim(), strict=True):
        side = [int(r) for r in rows if (points[r, 0] >= center) == (outward > 0)]
        heights = _spread(np.sort(points[side, 1]), step)
        for row, y in zip(sorted(side, key=lambda r: points[r, 1]), heights, strict=True):
            x = edge - outward * 0.23 * abs(axes.get_xlim()[1] - axes.get_xlim()[0])
            axes.plot([points[row, 0], x], [points[row, 1], y], color=MUTED, linewidth=0.5,
                      alpha=0.7, zorder=1)  # fmt: skip
            axes.text(
                x + outward * 0.012 * (high - low), y,
                pose.skeleton.landmarks[row].replace("_", " "), fontsize=6.8, color=TEXT,
                ha="left" if outward > 0 else "right", va="center", zorder=9,
            )  # fmt: skip


def _spread(heights: FloatArray, step: float) -> FloatArray:
    """Move sorted heights apart to at least `step`, and all of them back to their mean."""
    spread = heights.copy()
    for n in range(1, len(spread)):
        spread[n] = max(spread[n], spread[n - 1] + step)
    return np.asarray(spread + (heights.mean() - spread.mean()) if len(spread) else spread)


def _label(axes: Axes, point: FloatArray, text: str) -> None:
    axes.text(
        point[0], point[1], text, fontsize=6.5, color=TEXT, ha="center", va="center", zorder=8,
        path_effects=[withStroke(linewidth=2.2, foreground=PANEL)],
    )  # fmt: skip


def draw_scale_bar(axes: Axes) -> None:
    """Draw a bar of 10 mm at the lower left."""
    left, right = axes.get_xlim()
    low, high = axes.get_ylim()
    x, y = left + 0.05 * (right - left), low + 0.04 * (high - low)
    axes.plot([x, x + 10], [y, y], color=MUTED, linewidth=2, solid_capstyle="butt")
    axes.text(
        x + 5,
        y + 0.012 * (high - low),
        "10 mm",
        color=MUTED,
        fontsize=6.5,
        ha="center",
        va="bottom",
    )

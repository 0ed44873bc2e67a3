"""Figure of a pose library: all poses over each other, and the distribution of joint angles."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from fetusmap.anatomy import Side, Skeleton, in_body_frame, joint_angles_of
from fetusmap.atlas import PoseLibrary
from fetusmap.report.sides import sided_angles
from fetusmap.report.theme import MUTED, PANEL, TEXT, new_figure
from fetusmap.report.views import BODY_VIEWS, WORLD_VIEWS, View
from fetusmap.types import FloatArray, Points3

MAX_DRAWN_POSES = 3000
"""More poses take longer to draw and make the picture no clearer."""

BIN_DEG = 5.0
ANGLES_WIDTH = 0.72
DEGREE = "\N{DEGREE SIGN}"


def draw_library(library: PoseLibrary, title: str = "") -> Figure:
    """Draw all poses from the front and from the right side, and their joint angles.

    The poses stand in the body's own frame, scaled to one trunk length; the bright skeleton joins
    the medians of the landmarks. If no pose has body axes, the poses are centred and scaled to one
    size, but not rotated. Left and right have the colours of the skeleton.

    Args:
        library: the poses. At most 3,000 of them are drawn, at equal intervals; the angles are
            those of all poses.
        title: title of the figure, before the number of poses.
    """
    skeleton = library.skeleton
    poses, views = _aligned(library)
    chosen = np.linspace(0, len(poses) - 1, min(len(poses), MAX_DRAWN_POSES)).astype(int)
    angles = joint_angles_of(skeleton, library.positions_mm)
    figure = new_figure(13.0 if angles else 9.0, 5.4)
    widths = (1, 1, ANGLES_WIDTH) if angles else (1, 1)
    panels = figure.subplots(1, len(widths), width_ratios=widths)
    half = _half_width(poses)
    for axes, view in zip(panels[:2], views, strict=True):
        flat = view.project(poses)
        _draw_poses(axes, skeleton, flat[chosen])
        _draw_median(axes, skeleton, flat)
        _frame(axes, flat, view, half)
    if angles:
        _draw_angles(panels[2], skeleton, angles)
    _name_sides(panels[0], skeleton)
    figure.suptitle(_title(library, len(poses), len(chosen), title), color=TEXT, fontsize=12)
    return figure


def _aligned(library: PoseLibrary) -> tuple[Points3, tuple[View, View]]:
    """Return (A, N, 3) aligned poses, and the two views that show them."""
    poses = in_body_frame(library.skeleton, library.positions_mm, trunk_mm=1.0)
    known = np.isfinite(poses).any(axis=(1, 2))
    if known.any():
        return poses[known], BODY_VIEWS
    poses = library.positions_mm[library.present.any(axis=1)].astype(np.float64)
    poses -= np.nanmean(poses, axis=1, keepdims=True)
    size = np.sqrt(np.nanmean(poses**2, axis=(1, 2), keepdims=True))
    return poses / np.where(size > 0, size, 1.0), WORLD_VIEWS


def _half_width(poses: Points3) -> float:
    """Return half the width of a panel, so that it shows nearly all of every pose."""
    if not len(poses):
        return 1.0
    low, high = np.nanpercentile(poses, [0.5, 99.5], axis=(0, 1))
    return 0.62 * float((high - low).max()) or 1.0


def _draw_poses(axes: Axes, skeleton: Skeleton, flat: Points3) -> None:
    """Draw thin translucent lines pose by pose, so that neither side covers the other."""
    alpha = float(np.clip(2.4 / np.sqrt(max(len(flat), 1)), 0.045, 0.7))
    lines = flat[:, skeleton.segment_index, :2].reshape(-1, 2, 2)
    colors = np.tile(_segment_colors(skeleton, alpha), (len(flat), 1))
    drawn = np.isfinite(lines).all(axis=(1, 2))
    axes.add_collection(
        LineCollection(
            list(lines[drawn]), colors=colors[drawn], linewidths=0.8, rasterized=True, zorder=1
        )
    )
    dots = flat[..., :2].reshape(-1, 2)
    colors = np.tile(_landmark_colors(skeleton, alpha), (len(flat), 1))
    there = np.isfinite(dots).all(axis=1)
    axes.scatter(
        dots[there, 0], dots[there, 1], s=4, c=colors[there], linewidths=0, rasterized=True,
        zorder=1.5,
    )  # fmt: skip


def _draw_median(axes: Axes, skeleton: Skeleton, flat: Points3) -> None:
    """Draw one bright skeleton through the median of each landmark, near parts last."""
    seen = np.isfinite(flat).all(axis=2).any(axis=0)
    middle = np.full(flat.shape[1:], np.nan)
    middle[seen] = np.nanmedian(flat[:, seen], axis=0)
    outline = [withStroke(linewidth=4.2, foreground=PANEL)]
    depth = middle[skeleton.segment_index, 2].mean(axis=1)
    for row in np.argsort(depth):
        ends, color = skeleton.segment_index[row], _segment_colors(skeleton, 1.0)[row]
        axes.plot(
            middle[ends, 0], middle[ends, 1], color=color, linewidth=2.2, solid_capstyle="round",
            path_effects=outline, zorder=3,
        )  # fmt: skip
    order = np.argsort(middle[:, 2])[: seen.sum()]
    axes.scatter(
        middle[order, 0], middle[order, 1], s=26, c=_landmark_colors(skeleton, 1.0)[order],
        edgecolors=PANEL, linewidths=1, zorder=4,
    )  # fmt: skip


def _segment_colors(skeleton: Skeleton, alpha: float) -> FloatArray:
    """Return the (S, 4) colours of the segments."""
    sides = [skeleton.segment_side(segment) for segment in skeleton.segments]
    return np.array([to_rgba(skeleton.color(s), alpha) for s in sides]).reshape(-1, 4)


def _landmark_colors(skeleton: Skeleton, alpha: float) -> FloatArray:
    """Return the (N, 4) colours of the landmarks."""
    sides = [skeleton.side(name) for name in skeleton.landmarks]
    return np.array([to_rgba(skeleton.color(s), alpha) for s in sides])


def _frame(axes: Axes, flat: Points3, view: View, half: float) -> None:
    """Set the limits of a view around the middle of the poses, at one scale for both views."""
    middle = np.zeros(2)
    if len(flat):
        middle = np.nanpercentile(flat[..., :2], [0.5, 99.5], axis=(0, 1)).mean(axis=0)
    axes.set_xlim(middle[0] - half, middle[0] + half)
    axes.set_ylim(middle[1] - half, middle[1] + half)
    axes.set_aspect("equal")
    axes.set_title(view.title, color=MUTED, fontsize=9)
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.set_facecolor(PANEL)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _name_sides(axes: Axes, skeleton: Skeleton) -> None:
    sides: tuple[Side, Side] = ("right", "left")
    for row, side in enumerate(sides):
        axes.text(
            0.03, 0.035 + 0.042 * row, side, color=skeleton.color(side), fontsize=8.5,
            transform=axes.transAxes, weight="bold",
        )  # fmt: skip


def _draw_angles(axes: Axes, skeleton: Skeleton, angles: dict[str, FloatArray]) -> None:
    """Draw one row per joint: the histogram of its angle, left and right."""
    _plain(axes)
    axes.set_box_aspect(1 / ANGLES_WIDTH)  # as tall as the square views
    sided = sided_angles(skeleton)
    rows: dict[str, dict[Side, FloatArray]] = {}
    for name, values in angles.items():
        label, side = sided[name]
        rows.setdefault(label, {})[side] = values[np.isfinite(values)]
    edges = np.arange(0.0, 180.0 + BIN_DEG, BIN_DEG)
    for row, (joint, sides) in enumerate(reversed(rows.items())):
        counts = {s: np.histogram(v, edges)[0] / max(len(v), 1) for s, v in sides.items()}
        top = max(float(c.max()) for c in counts.values()) or 1.0
        for side, count in counts.items():
            axes.stairs(
                row + 0.66 * count / top, edges, baseline=row, fill=True, alpha=0.42,
                color=skeleton.color(side), linewidth=0, zorder=2,
            )  # fmt: skip
            axes.stairs(
                row + 0.66 * count / top, edges, baseline=None, color=skeleton.color(side),
                linewidth=1.1, zorder=3,
            )  # fmt: skip
        axes.axhline(row, color=MUTED, linewidth=0.5, alpha=0.6, zorder=1)
        axes.text(2, row + 0.72, joint.replace("_", " "), color=TEXT, fontsize=8.5)
        axes.text(178, row + 0.72, _spread(sides), color=MUTED, fontsize=7.5, ha="right")
    axes.set_xlim(0, 180)
    axes.set_ylim(-0.08, len(rows))
    ticks = range(0, 181, 45)
    axes.set_xticks(ticks, [f"{angle}{DEGREE}" for angle in ticks])
    axes.get_xticklabels()[0].set_horizontalalignment("left")
    axes.get_xticklabels()[-1].set_horizontalalignment("right")
    axes.tick_params(colors=MUTED, labelsize=7.5, length=0)
    axes.set_title("joint angles: median, 5th to 95th percentile", color=MUTED, fontsize=9)


def _spread(sides: dict[Side, FloatArray]) -> str:
    values = np.concatenate(list(sides.values()))
    if not len(values):
        return "absent"
    low, middle, high = (f"{v:.0f}" for v in np.percentile(values, [5, 50, 95]))
    return f"{middle}{DEGREE}, {low} to {high}"


def _title(library: PoseLibrary, aligned: int, drawn: int, title: str) -> str:
    poses = "pose" if len(library) == 1 else "poses"
    words = f"{len(library):,} {poses} of {library.skeleton.name}"
    if aligned < len(library):
        words += f", {len(library) - aligned:,} without body axes left out"
    if drawn < aligned:
        words += f", {drawn:,} drawn"
    return f"{title}   {words}" if title else words

"""Figure of a volume: three slices along its axes and, with a pose, two views of the skeleton."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from fetusmap.anatomy import Pose
from fetusmap.report.theme import MUTED, TEXT, new_figure
from fetusmap.report.views import body_views, draw_skeleton
from fetusmap.types import FloatArray
from fetusmap.volume import Volume

OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "S": "I", "I": "S"}
MAX_SLICE_DISTANCE_MM = 6.0
"""A landmark is drawn on a slice if it lies at most this far from it."""


def draw_volume(volume: Volume, pose: Pose | None = None, title: str = "") -> Figure:
    """Draw three orthogonal slices with the landmarks near them, and two views of the skeleton.

    Args:
        volume: the volume. The slices run along its own axes and are labelled with their anatomical
            directions.
        pose: the pose to draw. The slices cross at the mean of its landmarks; without a pose, in
            the middle of the volume.
        title: title of the figure; the volume's name if empty.
    """
    columns = 3 if pose is None else 5
    figure = new_figure(3.1 * columns, 3.9)
    panels = figure.subplots(1, columns)
    focus = _focus(volume, pose)
    low, high = np.percentile(volume.array[::4, ::4, ::4], [0.5, 99.7])
    for axes, axis in zip(panels[:3], (2, 1, 0), strict=True):
        _draw_slice(axes, volume, pose, axis, focus, (float(low), float(high)))
    if pose is not None:
        for axes, view in zip(panels[3:], body_views(pose), strict=True):
            draw_skeleton(axes, pose, view)
    size = " \N{MULTIPLICATION SIGN} ".join(str(n) for n in volume.grid.shape)
    step = " \N{MULTIPLICATION SIGN} ".join(f"{s:.3g}" for s in volume.grid.spacing_mm)
    figure.suptitle(f"{title or volume.name}   {size} voxels of {step} mm", color=TEXT, fontsize=11)
    return figure


def _draw_slice(
    axes: Axes,
    volume: Volume,
    pose: Pose | None,
    axis: int,
    focus: FloatArray,
    window: tuple[float, float],
) -> None:
    """Draw one slice across index axis `axis`; the lower of the other two runs to the right."""
    across, up = (a for a in range(3) if a != axis)
    spacing = volume.grid.spacing_mm
    number = int(np.clip(round(focus[axis]), 0, volume.grid.shape[axis] - 1))
    image = np.take(volume.array, number, axis=axis)
    edges = [(-0.5 * spacing[a], (volume.grid.shape[a] - 0.5) * spacing[a]) for a in (across, up)]
    axes.imshow(
        image.T, cmap="gray", vmin=window[0], vmax=max(window[1], window[0] + 1e-6), origin="lower",
        extent=(*edges[0], *edges[1]), interpolation="bilinear", aspect="equal",
    )  # fmt: skip
    if pose is not None:
        _draw_landmarks(axes, volume, pose, axis, number, (across, up))
    axes.set_xlim(*edges[0])
    axes.set_ylim(*edges[1])
    axes.set_title(f"slice {'ijk'[axis]} = {number}", color=MUTED, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    _write_directions(axes, volume.grid.orientation, across, up)


def _draw_landmarks(
    axes: Axes, volume: Volume, pose: Pose, axis: int, number: int, plane: tuple[int, int]
) -> None:
    """Draw landmarks near the slice as dots, fainter with distance, and segments between them."""
    spacing = volume.grid.spacing_mm
    index = volume.grid.to_index(pose.positions_mm)
    away = np.abs(index[:, axis] - number) * spacing[axis]
    flat = index[:, plane] * spacing[list(plane)]
    for segment, ends in zip(pose.skeleton.segments, pose.skeleton.segment_index, strict=True):
        if (away[ends] <= MAX_SLICE_DISTANCE_MM).all():
            color = pose.skeleton.color(pose.skeleton.segment_side(segment))
            axes.plot(flat[ends, 0], flat[ends, 1], color=color, linewidth=1.4, alpha=0.8)
    for mark, point, distance in zip(pose, flat, away, strict=True):
        if distance <= MAX_SLICE_DISTANCE_MM:
            axes.scatter(
                point[0], point[1], s=22, color=pose.skeleton.color(mark.side),
                alpha=1.0 - 0.75 * distance / MAX_SLICE_DISTANCE_MM,
                edgecolors="black", linewidths=0.5, zorder=5,
            )  # fmt: skip


def _write_directions(axes: Axes, orientation: str, across: int, up: int) -> None:
    """Write the anatomical directions of the mother's frame at the four edges."""
    right, top = orientation[across], orientation[up]
    places = {right: (0.98, 0.5), OPPOSITE[right]: (0.02, 0.5), top: (0.5, 0.97),
              OPPOSITE[top]: (0.5, 0.03)}  # fmt: skip
    for letter, (x, y) in places.items():
        axes.text(
            x,
            y,
            letter,
            transform=axes.transAxes,
            color="#ffd166",
            fontsize=8,
            ha="center",
            va="center",
            path_effects=[withStroke(linewidth=2.0, foreground="black")],
        )


def _focus(volume: Volume, pose: Pose | None) -> FloatArray:
    """Return the (3,) index where the slices cross."""
    middle = (np.array(volume.grid.shape) - 1) / 2
    if pose is None or not pose.present.any():
        return middle
    return np.asarray(volume.grid.to_index(pose.positions_mm[pose.present].mean(axis=0)))

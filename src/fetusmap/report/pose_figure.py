"""Figures of a pose: two views of the skeleton with measurements, and its joint angles."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fetusmap.anatomy import (
    JointAngle,
    Pose,
    crown_rump_length,
    gestational_age_interval,
    joint_angles_deg,
)
from fetusmap.report.measurement_rows import DEGREE, MeasurementRow, angle_rows, length_rows
from fetusmap.report.sides import sided_angles
from fetusmap.report.theme import MUTED, TEXT, new_figure
from fetusmap.report.views import View, body_views, draw_skeleton
from fetusmap.types import FloatArray, Points3


def draw_pose(pose: Pose, title: str = "") -> Figure:
    """Draw a pose from the front and from its right side, beside its measurements.

    Left and right have the colours of the skeleton; nearer parts are thicker. Save the figure with
    `save_figure(figure, path)`.
    """
    figure = new_figure(11.0, 6.0)
    front, side, table = figure.subplots(1, 3, width_ratios=(1, 1, 0.62))
    for axes, view in zip((front, side), body_views(pose), strict=True):
        draw_skeleton(axes, pose, view, lengths=True)
    write_measurements(table, pose)
    if title:
        figure.suptitle(title, color=TEXT, fontsize=12)
    return figure


def write_measurements(axes: Axes, pose: Pose) -> None:
    """Write lengths and angles as a small table, left and right side by side."""
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    crl = crown_rump_length(pose)
    age = gestational_age_interval(crl.length_mm, crl.half_width_mm)
    headings = (
        MeasurementRow("Lengths, mm", "left", "right"),
        MeasurementRow("Angles", "left", "right"),
        MeasurementRow(f"CRL, {crl.method}", middle=crl.with_interval),
        MeasurementRow("Gestational age", middle=str(age)),
    )
    lines = [headings[0], *length_rows(pose), headings[1], *angle_rows(pose), *headings[2:]]
    heights = 1 - (np.arange(len(lines)) + 0.5) / max(len(lines), 22)
    left, right = pose.skeleton.color("left"), pose.skeleton.color("right")
    for line, y in zip(lines, heights, strict=True):
        color, size = (TEXT, 8.0) if line in headings else (MUTED, 7.5)
        axes.text(0.0, y, line.name, color=color, fontsize=size, va="center")
        for x, text, shade in (
            (0.98, line.middle, TEXT), (0.74, line.left, left), (0.98, line.right, right),
        ):  # fmt: skip
            if text:
                axes.text(x, y, text, color=shade, fontsize=7.5, va="center", ha="right")
    for written in axes.texts:  # inside the panel, so the layout need not measure them
        written.set_in_layout(False)


def draw_joint_angles(pose: Pose) -> Figure:
    """Draw the two directions between which each angle of the right side and trunk is measured."""
    skeleton = pose.skeleton
    sided = sided_angles(skeleton)
    shown = [angle for angle in skeleton.angles if sided[angle.name].side != "left"]
    rows = -(-len(shown) // 3)
    figure = new_figure(8.6, 4.2 * max(rows, 1))
    figure.suptitle("Joint angles: measured between the two arrows", color=TEXT, fontsize=12)
    panels = figure.subplots(max(rows, 1), 3, squeeze=False).ravel()
    for spare in panels[len(shown) :]:
        spare.set_axis_off()
    view = body_views(pose)[1]
    for axes, angle in zip(panels, shown, strict=False):
        draw_skeleton(axes, pose, view, names=False)
        for line in axes.lines:
            line.set_alpha(0.28)
        for dots in axes.collections:
            dots.set_alpha(0.35)
        _draw_angle(axes, pose, angle, view)
        label = sided[angle.name].label.replace("_", " ")
        axes.set_title(label, color=TEXT, fontsize=10)
    return figure


def _draw_angle(axes: Axes, pose: Pose, angle: JointAngle, view: View) -> None:
    """Draw the two directions of an angle as arrows from its joint, and the arc between them."""
    joint = pose[angle.first[0]].position_mm
    first, second = (
        pose[p[1]].position_mm - pose[p[0]].position_mm for p in (angle.first, angle.second)
    )
    radius = 0.45 * min(np.linalg.norm(first), np.linalg.norm(second))
    flat_joint = view.project(joint)
    for step in (first, second):
        tip = view.project(joint + step)
        axes.annotate(
            "", xy=(tip[0], tip[1]), xytext=(flat_joint[0], flat_joint[1]),
            arrowprops={"arrowstyle": "-|>", "color": TEXT, "linewidth": 1.6, "shrinkA": 0,
                        "shrinkB": 0},
            zorder=7,
        )  # fmt: skip
    arc = view.project(joint + radius * _arc(first, second))
    axes.plot(arc[:, 0], arc[:, 1], color="#ffd166", linewidth=2.2, zorder=8)
    value = joint_angles_deg(pose)[angle.name]
    middle = view.project(joint + 1.5 * radius * _arc(first, second)[len(arc) // 2])
    axes.text(
        middle[0],
        middle[1],
        f"{value:.0f}{DEGREE}",
        color="#ffd166",
        fontsize=10,
        ha="center",
        va="center",
        zorder=9,
    )


def _arc(first: FloatArray, second: FloatArray, count: int = 32) -> Points3:
    """Return (count, 3) unit vectors from one direction to the other, in equal steps."""
    u, v = first / np.linalg.norm(first), second / np.linalg.norm(second)
    angle = np.arccos(np.clip(u @ v, -1, 1))
    across = v - u * (u @ v)
    across /= np.linalg.norm(across)
    turn = np.linspace(0, angle, count)[:, None]
    return np.asarray(np.cos(turn) * u + np.sin(turn) * across)

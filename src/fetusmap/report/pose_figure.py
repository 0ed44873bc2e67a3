"""A pose as a picture: two views of the skeleton, names, lengths; and what the angles mean."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fetusmap.anatomy import (
    JointAngle,
    Pose,
    crown_rump_length,
    joint_angles_deg,
    measurements,
)
from fetusmap.report.theme import MUTED, TEXT, new_figure
from fetusmap.report.views import View, body_views, draw_skeleton
from fetusmap.types import FloatArray, Points3

DEGREE = "\N{DEGREE SIGN}"


def draw_pose(pose: Pose, title: str = "") -> Figure:
    """Draw a pose from the front and from its right side, with its measurements beside.

    Left is blue, right is orange, nearer parts are thicker. Save it with `figure.savefig(path)`.
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
    """Lengths and angles as a small table; left and right side by side."""
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    crl = crown_rump_length(pose)
    shown: dict[str, dict[str, str]] = {}
    for m in measurements(pose):
        text = f"{m.value:.1f}" if m.unit == "mm" else f"{m.value:.0f}{DEGREE}"
        shown.setdefault(m.kind, {})[m.name] = text
    estimate = f"{crl.length_mm:.0f} ± {crl.sd_mm:.0f} mm"
    lines: list[tuple[str, ...]] = [
        ("Lengths, mm", "left", "right"),
        *_by_side(shown.get("length", {})),
        ("Angles", "left", "right"),
        *_by_side(shown.get("angle", {})),
        ("Crown-rump estimate", estimate if np.isfinite(crl.length_mm) else "absent", ""),
    ]
    heights = 1 - (np.arange(len(lines)) + 0.5) / max(len(lines), 22)
    left, right = pose.skeleton.color("left"), pose.skeleton.color("right")
    for line, y in zip(lines, heights, strict=True):
        heading = line[0][0].isupper()
        single = len(line) == 2 or not line[2]
        axes.text(
            0.0,
            y,
            line[0].replace("_", " "),
            color=TEXT if heading else MUTED,
            fontsize=8 if heading else 7.5,
            va="center",
        )
        axes.text(
            0.98 if single else 0.74,
            y,
            line[1],
            color=TEXT if single else left,
            fontsize=7.5,
            va="center",
            ha="right",
        )
        if not single:
            axes.text(0.98, y, line[2], color=right, fontsize=7.5, va="center", ha="right")


def draw_joint_angles(pose: Pose) -> Figure:
    """Draw what each joint angle of the right side and the trunk is measured between."""
    skeleton = pose.skeleton
    shown = [a for a in skeleton.angles if not a.name.startswith("left_")]
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
        axes.set_title(
            f"{angle.name.removeprefix('right_').replace('_', ' ')}", color=TEXT, fontsize=10
        )
    return figure


def _draw_angle(axes: Axes, pose: Pose, angle: JointAngle, view: View) -> None:
    """The two directions of an angle as arrows from its joint, and the arc between them."""
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
    """(count, 3) unit vectors from one direction to the other, at constant speed."""
    u, v = first / np.linalg.norm(first), second / np.linalg.norm(second)
    angle = np.arccos(np.clip(u @ v, -1, 1))
    across = v - u * (u @ v)
    across /= np.linalg.norm(across)
    turn = np.linspace(0, angle, count)[:, None]
    return np.asarray(np.cos(turn) * u + np.sin(turn) * across)


def _by_side(values: dict[str, str]) -> list[tuple[str, ...]]:
    """(name, left, right) for paired values, (name, value) for single ones, in order."""
    rows: dict[str, tuple[str, ...]] = {}
    for name, value in values.items():
        stem = name.removeprefix("left_").removeprefix("right_")
        if stem == name:
            rows[name] = (name, value)
        else:
            rows[stem] = (stem, values.get(f"left_{stem}", ""), values.get(f"right_{stem}", ""))
    return list(rows.values())

"""Measure real fetal poses and draw them: `python docs/real_poses.py FOLDER_OF_RECORDINGS`.

The recordings (`daviddmc/fetal-motion`, MIT licence) are poses of fetuses of 27 to 38 weeks,
tracked through MRI. They are not part of this project; the numbers and the figure made of them are.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from openpyxl import load_workbook
from scipy.io import loadmat

import fetusmap as fm
from fetusmap.anatomy import CHARTS, body_axes, implausibilities, trunk_length_mm
from fetusmap.report import View, draw_skeleton
from fetusmap.report.theme import MUTED, PANEL, TEXT, new_figure

DOCS = Path(__file__).parent
KEYPOINTS = (
    "left_ankle", "right_ankle", "left_knee", "right_knee", "bladder", "left_elbow", "right_elbow",
    "left_eye", "right_eye", "left_hip", "right_hip", "left_shoulder", "right_shoulder",
    "left_wrist", "right_wrist",
)  # fmt: skip
VOXEL_MM = 3.0
EVERY = 20
# Read with right-handed axes, eyes, wrists and knees of all fetuses would lie behind their backs. A
# grid with one reversed axis puts them where they belong (exchanged labels would do so as well).
GRID = fm.Grid.from_spacing((128, 128, 128), VOXEL_MM, direction=np.diag([1.0, 1.0, -1.0]))


def read_recording(path: Path) -> list[fm.Pose]:
    """Every 20th frame of a recording as a pose."""
    indices = loadmat(path)["joint_coord"].transpose(0, 2, 1)[::EVERY] - 1.0
    return [pose_from_keypoints(GRID.to_world(frame)) for frame in indices]


def pose_from_keypoints(points_mm: np.ndarray) -> fm.Pose:
    """15 MRI keypoints to our 16 landmarks: limbs one to one, the midline from midpoints."""
    named = dict(zip(KEYPOINTS, points_mm, strict=True))

    def middle(what: str) -> np.ndarray:
        return np.asarray((named[f"left_{what}"] + named[f"right_{what}"]) / 2)

    midline = {"head": middle("eye"), "neck": middle("shoulder"), "sacrum": middle("hip")}
    midline["spine"] = (midline["neck"] + midline["sacrum"]) / 2
    limbs = {n: p for n, p in named.items() if n in fm.load_skeleton().landmarks}
    return fm.Pose.from_positions({**limbs, **midline})


def read_ages(path: Path) -> dict[str, float]:
    """Days of gestation per date and recording letter, as the table names them."""
    rows = load_workbook(path, read_only=True).active.iter_rows(min_row=2, values_only=True)
    return {str(name): 7.0 * week + (day or 0) for name, _, week, day in rows if week is not None}


def measure(poses: dict[str, list[fm.Pose]], ages: dict[str, float]) -> dict[str, Any]:
    """The numbers of the page."""
    everyone = [pose for frames in poses.values() for pose in frames]
    lengths = [p.lengths_mm() for p in everyone]
    angles = [fm.joint_angles_deg(p) for p in everyone]
    trunks = np.array([trunk_length_mm(p) for p in everyone])
    reference = fm.reference_pose()
    paired = ("humerus", "forearm", "femur", "leg", "sacrum_hip", "neck_shoulder")
    shaft = CHARTS["femur_shaft"]
    matched = {name: frames for name, frames in poses.items() if name in ages}
    femur_ratio = [
        (p.lengths_mm()["left_femur"] + p.lengths_mm()["right_femur"])
        / (2 * shaft.mean_mm(ages[name]))
        for name, frames in matched.items()
        for p in frames
    ]
    ventral = [ventral_of(p, "left_knee", "right_knee") for p in everyone]
    reasons = [implausibilities(p) for p in everyone]
    return {
        "recordings": len(poses),
        "poses": len(everyone),
        "aged_recordings": len(matched),
        "weeks": [min(ages[n] for n in matched) / 7, max(ages[n] for n in matched) / 7],
        "lengths_mm": {
            name: percentiles([both[f"{s}_{name}"] for both in lengths for s in ("left", "right")])
            for name in paired
        },
        "lengths_over_trunk": {
            name: [
                *percentiles(
                    [
                        both[f"{s}_{name}"] / trunk
                        for both, trunk in zip(lengths, trunks, strict=True)
                        for s in ("left", "right")
                    ]
                ),
                reference.lengths_mm()[f"left_{name}"] / trunk_length_mm(reference),
            ]
            for name in paired
        },
        "angles_deg": {
            name: percentiles([both[f"{s}_{name}"] for both in angles for s in ("left", "right")])
            for name in ("shoulder", "elbow", "hip", "knee")
        },
        "neck_deg": percentiles([both["neck"] for both in angles]),
        "femur_over_shaft": percentiles(femur_ratio),
        "knees_ventral_percent": 100 * float(np.mean(np.array(ventral) > 0)),
        "without_doubts_percent": 100 * float(np.mean([not r for r in reasons])),
        "asymmetric_percent": 100
        * float(np.mean([any(" but " in text for text in r) for r in reasons])),
    }


def ventral_of(pose: fm.Pose, *names: str) -> float:
    """How far towards the belly the middle of some landmarks lies, mm."""
    middle = np.mean([pose[name].position_mm for name in names], axis=0)
    return float((middle - pose["sacrum"].position_mm) @ body_axes(pose)[:, 1])


def percentiles(values: list[float]) -> list[float]:
    """5th, 50th and 95th."""
    return [round(float(v), 3) for v in np.percentile(values, [5, 50, 95])]


def draw(poses: dict[str, list[fm.Pose]]) -> Figure:
    """All poses in the body's own frame, scaled to one trunk length, and their joint angles."""
    figure = new_figure(12.0, 4.6)
    front, side, *panels = figure.subplots(1, 4, width_ratios=(1, 1, 0.8, 0.8))
    views = (
        View("from the front", np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])),
        View("from the right side", np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])),
    )
    everyone = [pose for frames in poses.values() for pose in frames]
    for axes, view in zip((front, side), views, strict=True):
        for pose in everyone[::3]:
            draw_skeleton(axes, in_body_frame(pose), view, names=False, scale_bar=False)
        for line in axes.lines:
            line.set(alpha=0.10, linewidth=0.9)
        for dots in axes.collections:
            dots.set(alpha=0.25, sizes=[4], linewidths=0)
        axes.set(xlim=(-32, 32), ylim=(-22, 52))
    angles = [fm.joint_angles_deg(p) for p in everyone]
    for axes, names in zip(panels, (("elbow", "shoulder"), ("knee", "hip")), strict=True):
        for name, color in zip(names, ("#ffd166", "#8bd3c7"), strict=True):
            values = [a[f"{s}_{name}"] for a in angles for s in ("left", "right")]
            axes.hist(values, bins=np.arange(0, 181, 10), color=color, alpha=0.65, label=name)
        axes.set_facecolor(PANEL)
        axes.tick_params(colors=MUTED, labelsize=7)
        axes.set_yticks([])
        axes.set_title("how often", color=MUTED, fontsize=9)
        axes.set_xlabel("degrees", color=MUTED, fontsize=8)
        axes.legend(facecolor=PANEL, labelcolor=TEXT, edgecolor=PANEL, fontsize=8)
    return figure


def in_body_frame(pose: fm.Pose, trunk_mm: float = 30.0) -> fm.Pose:
    """The pose with its sacrum at 0, right along x, ventral along y, cranial along z."""
    scale = trunk_mm / trunk_length_mm(pose)
    turned = (pose.positions_mm - pose["sacrum"].position_mm) @ body_axes(pose) * scale
    return fm.Pose(pose.skeleton, turned)


def main(folder: Path) -> None:
    """Measure and draw."""
    poses = {path.stem: read_recording(path) for path in sorted(folder.glob("*.mat"))}
    table = read_ages(folder / "data.xlsx")
    ages = {stem: table[name] for stem in poses if (name := name_in_table(stem, table))}
    results = measure(poses, ages)
    (DOCS / "real-poses.json").write_text(json.dumps(results, indent=2) + "\n")
    draw(poses).savefig(DOCS / "images" / "real-poses.png")
    print(json.dumps(results, indent=2))


def name_in_table(stem: str, table: dict[str, float]) -> str | None:
    """The table's name of a recording; the letter of one of a day's scans may be missing."""
    return next((n for n in (stem, re.sub(r"[A-Za-z]$", "", stem)) if n in table), None)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Measure real fetal poses and draw them: `python -m studies.real_poses FOLDER_OF_RECORDINGS`.

`--library FILE` also writes the poses as a pose library for other commands. The recordings
(`daviddmc/fetal-motion`, MIT licence) hold poses of fetuses of 27 to 38 weeks that were tracked in
MRI. They are not part of this project, but the numbers and the figure made from them are.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from openpyxl import load_workbook
from scipy.io import loadmat

import fetusmap as fm
from fetusmap.anatomy import CHARTS, body_axes, implausibilities, trunk_length_mm
from fetusmap.report import draw_library

RESULTS = Path(__file__).with_name("real-poses.json")
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "real-poses.png"
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


def library_of(poses: dict[str, list[fm.Pose]]) -> fm.PoseLibrary:
    """All poses as a library, each grouped by its recording."""
    return fm.PoseLibrary.from_poses(
        [pose for frames in poses.values() for pose in frames],
        groups=[name for name, frames in poses.items() for _ in frames],
        made_by={"source": "daviddmc/fetal-motion", "licence": "MIT", "every_frame": EVERY},
    )


def main(folder: Path, library_path: Path | None) -> None:
    """Measure, draw, and write both."""
    poses = {path.stem: read_recording(path) for path in sorted(folder.glob("*.mat"))}
    table = read_ages(folder / "data.xlsx")
    ages = {stem: table[name] for stem in poses if (name := name_in_table(stem, table))}
    results = measure(poses, ages)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    library = library_of(poses)
    draw_library(library, "27 to 38 weeks").savefig(PICTURE)
    if library_path:
        fm.save_library(library, library_path, overwrite=True)
    print(json.dumps(results, indent=2))


def name_in_table(stem: str, table: dict[str, float]) -> str | None:
    """The table's name of a recording; the letter of one of a day's scans may be missing."""
    return next((n for n in (stem, re.sub(r"[A-Za-z]$", "", stem)) if n in table), None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the recordings are")
    parser.add_argument("--library", type=Path, help="also write the poses as this library")
    arguments = parser.parse_args()
    main(arguments.folder, arguments.library)

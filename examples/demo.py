"""Geometry at work: a volume goes to disk and back, is described, resampled and drawn.

The volume is a simple phantom (bright bones in a noisy sac), painted around the skeleton's example
pose on a grid that stands at an angle in the world. Run it with `make demo`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import fetusmap as fm
from fetusmap.cli.main import run
from fetusmap.geometry import affine_from, rotation_from_euler
from fetusmap.report import draw_pose, draw_volume
from fetusmap.types import FloatArray


def main() -> None:
    """Run every step and say where the results are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder for the results")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)

    pose = pose_in_the_mother()
    middle = (pose.positions_mm.min(axis=0) + pose.positions_mm.max(axis=0)) / 2
    tilted = rotation_from_euler([12, -8, 20], "zyx")
    grid = fm.Grid.centered((150, 130, 170), 0.5, middle, tilted)
    start = time.perf_counter()
    volume = fm.Volume(paint_phantom(grid, pose, np.random.default_rng(7)), grid, name="phantom")
    print(
        f"painted a phantom of {grid.voxel_count:,} voxels in {time.perf_counter() - start:.1f} s"
    )

    path = folder / "phantom.nii.gz"
    fm.save_volume(volume, path)
    fm.save_pose(pose, folder / "pose.json")
    fm.save_pose(pose, folder / "pose.mrk.json")
    print(f"\n$ fetusmap info {path}")
    run(["info", str(path)])

    read = fm.load_volume(path)
    small = fm.resample(read, read.grid.scale(0.4))
    print(f"\nresampled to {small.grid.shape}, the detector's view of it")
    moved = np.abs(read.grid.to_world(read.grid.to_index(pose.positions_mm)) - pose.positions_mm)
    print(f"landmarks moved by at most {moved.max():.1e} mm on the way")

    draw_volume(read, pose).savefig(folder / "preview.png")
    draw_pose(pose, "The example pose of fetus-16").savefig(folder / "pose.png")
    print(f"\nLook at {folder / 'preview.png'} and {folder / 'pose.png'};")
    print(f"{folder / 'pose.mrk.json'} opens in 3D Slicer, together with {path}.")


def pose_in_the_mother() -> fm.Pose:
    """The example pose at 12 weeks, lying obliquely."""
    rotation = rotation_from_euler([35, 60, 15], "zyx")
    return fm.reference_pose(crl_mm=54.0).transform(affine_from(rotation, [20.0, -35.0, 60.0]))


def paint_phantom(grid: fm.Grid, pose: fm.Pose, rng: np.random.Generator) -> np.ndarray:
    """(I, J, K) uint8: a dark sac with a grey body, bright bones and speckle."""
    points = grid.centers_mm().reshape(-1, 3).astype(np.float32)
    bone = np.full(len(points), np.inf, dtype=np.float32)
    body = np.full(len(points), np.inf, dtype=np.float32)
    for segment in pose.skeleton.segments:
        ends = pose[segment.start].position_mm, pose[segment.end].position_mm
        distance = distance_to_segment(points, *ends)
        trunk = pose.skeleton.segment_side(segment) == "midline"
        bone = np.minimum(bone, distance - (0.9 if trunk else 0.7))
        body = np.minimum(body, distance - (7.0 if trunk else 2.6))
    head = np.linalg.norm(points - pose["head"].position_mm.astype(np.float32), axis=1) - 10.5
    bone, body = np.minimum(bone, np.abs(head) - 0.5), np.minimum(body, head)
    sac = np.linalg.norm((points - grid.center_mm) / (36.0, 31.0, 40.0), axis=1) - 1
    echo = np.where(sac < 0, 0.06, 0.45)
    echo = np.where(body < 0, 0.35, echo)
    echo = np.where(bone < 0, 1.6, echo)
    speckle = rng.rayleigh(0.8, len(points))
    gray = 255 * np.log1p(30 * echo * speckle) / np.log1p(30 * 4)
    return np.clip(gray, 0, 255).astype(np.uint8).reshape(grid.shape)


def distance_to_segment(points: np.ndarray, start: FloatArray, end: FloatArray) -> np.ndarray:
    """(N,) distance of (N, 3) points to a line segment."""
    start, step = start.astype(np.float32), (end - start).astype(np.float32)
    along = np.clip((points - start) @ step / (step @ step), 0, 1)
    return np.asarray(np.linalg.norm(points - start - along[:, None] * step, axis=1))


if __name__ == "__main__":
    main()

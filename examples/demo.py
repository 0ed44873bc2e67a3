"""The main job on one volume: read or simulate it, predict its pose. Run it with `make demo`."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

import numpy as np

import fetusmap as fm
from fetusmap.cli.main import run
from fetusmap.report import draw_pose
from fetusmap.simulate import Seeds, SimulationSettings, draw_case, render

SEED, NUMBER = 2019, 54


def main() -> None:
    """Run every step and say where the results are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder for the results")
    parser.add_argument("--volume", type=Path, help="a volume of your own; else one is simulated")
    arguments = parser.parse_args()
    folder: Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)

    path, truth = arguments.volume, None
    if path is None:
        path = folder / "simulated.nii.gz"
        truth = simulate(path)
        fm.save_pose(truth, folder / "true-pose.json")
        draw_pose(truth, "The true pose of the simulated fetus").savefig(folder / "true-pose.png")

    print(f"\n$ fetusmap predict {path} -o {folder / 'prediction'}")
    shutil.rmtree(folder / "prediction", ignore_errors=True)
    failed = run(["predict", str(path), "-o", str(folder / "prediction")])
    if failed:
        sys.exit(failed)
    result = next((folder / "prediction").glob("*/pose.json")).parent
    pose = fm.load_pose(result / "pose.json")
    if truth is not None:
        errors = np.linalg.norm(pose.positions_mm - truth.positions_mm, axis=1)
        print(
            f"against the truth: mean error {errors.mean():.1f} mm, "
            f"median {np.median(errors):.1f}, largest {errors.max():.1f} "
            f"({pose.skeleton.landmarks[int(errors.argmax())]})"
        )
    print(f"\nLook at {result / 'preview.png'};")
    print(f"{result / 'pose.mrk.json'} opens in 3D Slicer, together with {path}.")


def simulate(path: Path) -> fm.Pose:
    """Write a simulated volume and return its true pose."""
    settings = SimulationSettings(weeks=(13.0, 13.0), profile="reference")
    start = time.perf_counter()
    made = render(draw_case(settings, Seeds.of_case(SEED, NUMBER)), name="simulated")
    print(
        f"simulated a fetus of 13 weeks in {made.volume.grid.voxel_count:,} voxels "
        f"in {time.perf_counter() - start:.1f} s"
    )
    fm.save_volume(made.volume, path)
    return made.pose


if __name__ == "__main__":
    main()

"""One simulated volume: made, written, described, resampled and drawn. Run it with `make demo`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import fetusmap as fm
from fetusmap.cli.main import run
from fetusmap.report import draw_pose, draw_volume, preview_picture, save_picture
from fetusmap.simulate import Seeds, SimulationSettings, draw_case, render

SEED, NUMBER = 2019, 54


def main() -> None:
    """Run every step and say where the results are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder for the results")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)

    settings = SimulationSettings(weeks=(13.0, 13.0), profile="reference")
    start = time.perf_counter()
    made = render(draw_case(settings, Seeds.of_case(SEED, NUMBER)), name="simulated")
    print(
        f"simulated a fetus of 13 weeks in {made.volume.grid.voxel_count:,} voxels "
        f"in {time.perf_counter() - start:.1f} s"
    )

    path = folder / "simulated.nii.gz"
    fm.save_volume(made.volume, path)
    fm.save_pose(made.pose, folder / "pose.json")
    fm.save_pose(made.pose, folder / "pose.mrk.json")
    print(f"\n$ fetusmap info {path}")
    run(["info", str(path)])

    read = fm.load_volume(path)
    small = fm.resample(read, read.grid.scale(0.4))
    print(f"\nresampled to {small.grid.shape}, the detector's view of it")
    points = made.pose.positions_mm
    moved = np.abs(read.grid.to_world(read.grid.to_index(points)) - points)
    print(f"landmarks moved by at most {moved.max():.1e} mm on the way")

    save_picture(preview_picture(read, made.pose, size=360), folder / "preview.png")
    draw_volume(read, made.pose).savefig(folder / "slices.png")
    draw_pose(made.pose, "The true pose of the simulated fetus").savefig(folder / "pose.png")
    print(f"\nLook at {folder / 'preview.png'}, {folder / 'slices.png'} and {folder / 'pose.png'};")
    print(f"{folder / 'pose.mrk.json'} opens in 3D Slicer, together with {path}.")


if __name__ == "__main__":
    main()

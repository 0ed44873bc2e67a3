"""Repair exchanged limbs of real poses: `python -m studies.real_refinement FOLDER_OF_RECORDINGS`.

There are no volumes: each pose is encoded as clean heatmaps, which the refinement reads as it would
read those of a network. The recordings are those of `studies.real_poses`. The library of a query
holds the recordings of all other dates and their mirror images.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

import fetusmap as fm
from fetusmap.atlas import PoseLibrary, distances_to_atlas_mean, find_support, fit_library
from fetusmap.detect import Detection
from fetusmap.detect.detection import highest_peaks
from fetusmap.heatmap import Heatmaps, encode
from fetusmap.refine import refine_fast
from fetusmap.refine.self_supervised import registration_weights
from studies.real_poses import read_recording

RESULTS = Path(__file__).with_name("real-refinement.json")
QUERIES = 249
TRUNK_MM = 25.0
NOISES_MM = (1.0, 3.0)
LIMBS = {
    "elbow and wrist": ("elbow", "wrist"),
    "whole arm": ("shoulder", "elbow", "wrist"),
    "knee and ankle": ("knee", "ankle"),
    "whole leg": ("hip", "knee", "ankle"),
}
SIGMA_MM = VOXEL_MM = 2.0
MARGIN_MM = 12.0
SKELETON = fm.load_skeleton()


def read_poses(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(P, 16, 3) positions, all scaled so that the median trunk is 25 mm, and (P,) dates."""
    found = [
        (p.positions_mm, f.name[:6])
        for f in sorted(folder.glob("*.mat"))
        for p in read_recording(f)
    ]
    positions = np.array([p for p, _ in found])
    sacrum, neck = SKELETON.index("sacrum"), SKELETON.index("neck")
    trunk = np.median(np.linalg.norm(positions[:, neck] - positions[:, sacrum], axis=1))
    return positions * (TRUNK_MM / trunk), np.array([date for _, date in found])


def exchange(names: tuple[str, ...]) -> np.ndarray:
    """Rows of the landmarks after some pairs have been exchanged."""
    order = np.arange(len(SKELETON))
    for name in names:
        left, right = SKELETON.index(f"left_{name}"), SKELETON.index(f"right_{name}")
        order[[left, right]] = right, left
    return order


def detect(positions: np.ndarray, library: PoseLibrary) -> Detection:
    """What a detector would find whose heatmaps show just these positions."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    shape = [int(n) for n in np.ceil((high - low + 2 * MARGIN_MM) / VOXEL_MM)]
    grid = fm.Grid.centered(shape, VOXEL_MM, (low + high) / 2, np.eye(3))
    maps = encode(positions, grid, SIGMA_MM, [(row,) for row in range(len(SKELETON))])
    heatmaps = Heatmaps(torch.from_numpy(maps), grid)
    found, masses = highest_peaks(heatmaps)
    fit = fit_library(found, masses, library)
    distances = distances_to_atlas_mean(found, fit, SKELETON)
    return Detection(found, masses, fit.residual, distances, None, heatmaps, grid)


def refine(shown: np.ndarray, library: PoseLibrary) -> np.ndarray:
    """(N, 3) positions after the fast refinement of what heatmaps of these positions show."""
    return refine_fast(detect(shown, library), 1.0, library, library).detection.positions_mm


def are_sides_right(found: np.ndarray, shown: np.ndarray) -> bool:
    """Whether every landmark is nearer to where it was shown than to where its partner was."""
    own = np.linalg.norm(found - shown, axis=1)
    other = np.linalg.norm(found - shown[SKELETON.mirror_index], axis=1)
    return bool((own <= other + 1e-9).all())


def measure(positions: np.ndarray, dates: np.ndarray, noise_mm: float) -> dict[str, Any]:
    """Exchange a limb of each query and refine it; refine it without an exchange, too."""
    rng = np.random.default_rng(0)
    libraries = {
        date: PoseLibrary(SKELETON, positions[dates != date]).mirrored() for date in set(dates)
    }
    weights = registration_weights(SKELETON, SKELETON.registration_subset)
    rows: dict[str, list[Any]] = {}

    def note(**values: Any) -> None:
        for name, value in values.items():
            rows.setdefault(name, []).append(value)

    for query in rng.choice(len(positions), QUERIES, replace=False):
        truth, library = positions[query], libraries[dates[query]]
        shown = truth + rng.normal(0, noise_mm, truth.shape)
        limb = list(LIMBS)[rng.integers(len(LIMBS))]
        wrong = shown[exchange(LIMBS[limb])]
        refined = refine(wrong, library)
        alone = refine(shown, library)
        proxy = find_support(library, wrong, 10, weights).mean_mm

        def off(found: np.ndarray, truth: np.ndarray = truth) -> float:
            return float(np.linalg.norm(found - truth, axis=1).mean())

        repaired = are_sides_right(refined, shown)
        note(repaired=repaired, left_alone=are_sides_right(alone, shown), **{limb: repaired})
        note(paper_repaired=are_sides_right(proxy, shown))
        note(
            noise=off(shown),
            before=off(wrong),
            paper=off(proxy),
            fast=off(refined),
            untouched=off(alone),
        )
    return {name: round(float(np.mean(values)), 4) for name, values in rows.items()}


def main() -> None:
    """Measure and write `real-refinement.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    positions, dates = read_poses(arguments.recordings)
    results = {
        "poses": len(positions),
        "queries": QUERIES,
        "dates": len(set(dates)),
        "noise_mm": {f"{noise:g}": measure(positions, dates, noise) for noise in NOISES_MM},
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()

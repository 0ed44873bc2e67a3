"""Measure the limits of plausible poses: `python -m studies.plausibility`.

Draws simulated bodies of both anatomies, which the shipped table was not made from, and counts how
often a correct pose is doubted and how often an injected error is. Then predicts a few simulated
volumes whose headers claim a wrong voxel size.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from fetusmap.anatomy import (
    Implausibility,
    Pose,
    crown_rump_length,
    shape_implausibilities,
    size_implausibility,
    trunk_path_mm,
)
from fetusmap.anatomy.plausibility import length_limits
from fetusmap.estimate import PoseEstimator
from fetusmap.evaluate import landmark_errors_mm
from fetusmap.geometry import Grid
from fetusmap.simulate import ANATOMIES, SimulationSettings, draw_poses, simulate_case
from fetusmap.volume import Volume

RESULTS = Path(__file__).with_name("plausibility.json")
SEED = 4711
POSES = 500
NOISE_MM = 1.0
"""Standard deviation per axis of the errors of a good detection."""

SCALES = (2.0, 3.0, 1 / 2, 1 / 3)
PERCENTILES = (0, 1, 25, 50, 75, 99, 100)
CASES = ((11, 0), (11, 1), (5, 3))
"""Seed and number of the simulated volumes."""

Change = Callable[[Pose, np.random.Generator], Pose]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--poses", type=int, default=POSES, help="of each anatomy")
    parser.add_argument("--cases", type=int, default=len(CASES), help="predicted volumes")
    arguments = parser.parse_args()
    poses = {name: draw_bodies(name, arguments.poses) for name in ANATOMIES}
    results = {
        "seed": SEED,
        "poses": arguments.poses,
        "noise_mm": NOISE_MM,
        "proportions": proportions(poses),
        "sizes_mm": {name: sizes(bodies) for name, bodies in poses.items()},
        "doubted_percent": {name: doubted(bodies) for name, bodies in poses.items()},
        "volumes": [row for case in CASES[: arguments.cases] for row in predicted(*case)],
    }
    print(json.dumps(results, indent=2))
    arguments.output.write_text(json.dumps(results, indent=1) + "\n")


def draw_bodies(anatomy: str, count: int) -> list[Pose]:
    """Draw poses of one anatomy."""
    library = draw_poses(count, seed=SEED, anatomy=anatomy)
    positions = np.asarray(library.positions_mm, np.float64)
    return [Pose(library.skeleton, points) for points in positions]


def proportions(poses: dict[str, list[Pose]]) -> dict[str, dict[str, list[float]]]:
    """Percentiles of each segment's length over that of the trunk, and its limits."""
    skeleton = poses[ANATOMIES[0]][0].skeleton
    found: dict[str, dict[str, list[float]]] = {}
    for row, segment in enumerate(skeleton.segments):
        side = skeleton.segment_side(segment)
        if side == "right":
            continue
        name = segment.name.removeprefix(f"{side}_")
        found[name] = {"limits": length_limits(skeleton)[row].round(4).tolist()}
        for anatomy, bodies in poses.items():
            ratios = [pose.lengths_mm()[segment.name] / trunk_path_mm(pose) for pose in bodies]
            found[name][anatomy] = np.percentile(ratios, PERCENTILES).round(4).tolist()
    return found


def sizes(bodies: list[Pose]) -> list[float]:
    """Percentiles of the crown-rump length."""
    lengths = [crown_rump_length(pose).length_mm for pose in bodies]
    return [round(float(value), 1) for value in np.percentile(lengths, PERCENTILES)]


def doubted(bodies: list[Pose]) -> dict[str, dict[str, float]]:
    """Percentage of poses with a doubt of any kind, and of each, after each change."""
    rng = np.random.default_rng(SEED)
    found = {}
    for name, change in CHANGES.items():
        kinds = [{doubt.kind for doubt in doubts_about(change(pose, rng))} for pose in bodies]
        every = sorted(set().union(*kinds))
        shares = {str(kind): float(np.mean([kind in seen for seen in kinds])) for kind in every}
        any_kind = float(np.mean([bool(seen) for seen in kinds]))
        found[name] = {
            kind: round(100 * share, 1) for kind, share in {"any": any_kind, **shares}.items()
        }
    return found


def doubts_about(pose: Pose) -> tuple[Implausibility, ...]:
    """Everything that is implausible about the pose alone."""
    size = size_implausibility(pose)
    return (*([] if size is None else [size]), *shape_implausibilities(pose))


def unchanged(pose: Pose, _: np.random.Generator) -> Pose:
    """Return the pose."""
    return pose


def with_noise(pose: Pose, rng: np.random.Generator) -> Pose:
    """Displace every landmark as a good detection does."""
    return Pose(pose.skeleton, pose.positions_mm + rng.normal(0, NOISE_MM, (len(pose.skeleton), 3)))


def scaled(factor: float, pose: Pose, _: np.random.Generator) -> Pose:
    """Return the pose as a wrong voxel size shows it."""
    return Pose(pose.skeleton, factor * pose.positions_mm)


def stretched(pose: Pose, rng: np.random.Generator) -> Pose:
    """Stretch the pose twice along a random direction, as a wrong distance of slices does."""
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    return Pose(pose.skeleton, pose.positions_mm @ (np.eye(3) + np.outer(axis, axis)))


def exchanged(limb: str, pose: Pose, rng: np.random.Generator) -> Pose:
    """Exchange left and right below the root of a limb, in a noisy pose."""
    (names,) = (found.landmarks for found in pose.skeleton.limbs if found.name == limb)
    return with_noise(pose, rng).exchange_sides(names[1:])


def displaced(name: str, distance_mm: float, pose: Pose, rng: np.random.Generator) -> Pose:
    """Move a landmark in a random direction, in a noisy pose."""
    step = rng.normal(size=3)
    positions = with_noise(pose, rng).positions_mm.copy()
    positions[pose.skeleton.index(name)] += distance_mm * step / np.linalg.norm(step)
    return Pose(pose.skeleton, positions)


def in_one_place(name: str, other: str, pose: Pose, rng: np.random.Generator) -> Pose:
    """Put a landmark 0.3 mm beside another one, in a noisy pose."""
    positions = with_noise(pose, rng).positions_mm.copy()
    positions[pose.skeleton.index(name)] = pose[other].position_mm + np.array([0.3, 0, 0])
    positions[pose.skeleton.index(other)] = pose[other].position_mm
    return Pose(pose.skeleton, positions)


CHANGES: dict[str, Change] = {
    "as it is": unchanged,
    "with errors of a good detection": with_noise,
    **{f"voxel size {scale:.3g} times too large": partial(scaled, scale) for scale in SCALES[:2]},
    **{
        f"voxel size {1 / scale:.3g} times too small": partial(scaled, scale)
        for scale in SCALES[2:]
    },
    "distance of slices twice too large": stretched,
    "legs exchanged below the hips": partial(exchanged, "leg"),
    "arms exchanged below the shoulders": partial(exchanged, "arm"),
    **{f"wrist {mm} mm away": partial(displaced, "left_wrist", mm) for mm in (10, 15, 20, 30)},
    "neck 10 mm away": partial(displaced, "neck", 10),
    "left knee at the right knee": partial(in_one_place, "left_knee", "right_knee"),
}
"""What is done to a correct pose, by name."""


def predicted(seed: int, number: int) -> list[dict[str, object]]:
    """Predict a simulated volume with the right voxel size, and with wrong ones."""
    estimator = PoseEstimator.from_pretrained()
    case = simulate_case(SimulationSettings(preset="half"), seed, number)
    rows = []
    for scale in (1.0, *SCALES):
        affine = case.volume.grid.affine.copy()
        affine[:3, :3] *= scale
        volume = Volume(case.volume.array, Grid(case.volume.grid.shape, affine))
        pose = estimator(volume).pose
        truth = case.pose.on(pose.skeleton).positions_mm
        true_mm = volume.grid.to_world(case.volume.grid.to_index(truth))
        error = float(np.mean(landmark_errors_mm(pose.positions_mm, true_mm))) / scale
        rows.append(
            {
                "case": f"{seed}-{number}",
                "scale": round(scale, 3),
                "true_crown_rump_mm": round(crown_rump_length(case.pose).length_mm, 1),
                "crown_rump_mm": round(crown_rump_length(pose).length_mm, 1),
                "error_of_body_mm": round(error, 2),
                "quality": pose.quality.score,
                "reasons": list(pose.quality.reasons),
            }
        )
        print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()

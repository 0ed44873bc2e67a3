"""100,000 atlases of 16 points to one target, with residuals."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from fetusmap.geometry import align_rigid, random_rotations
from studies.measure import copy_bandwidth_gb_s, interleaved_seconds

ATLASES = 100_000
LOOPED = 1_000


def run() -> dict[str, object]:
    """Time us against a loop over SciPy, and against the memory traffic that no way can avoid."""
    rng = np.random.default_rng(0)
    target = rng.normal(size=(16, 3)) * (6, 9, 20)
    sources = target @ random_rotations(rng, ATLASES) + rng.normal(size=(ATLASES, 1, 3)) * 50
    sources += rng.normal(size=sources.shape) * 2
    centred = target - target.mean(axis=0)

    def loop() -> list[float]:
        found = []
        for source in sources[:LOOPED]:
            rotation, _ = Rotation.align_vectors(centred, source - source.mean(axis=0))
            moved = rotation.apply(source - source.mean(axis=0))
            found.append(float(np.linalg.norm(moved - centred, axis=1).sum()))
        return found

    times = interleaved_seconds({"ours": lambda: align_rigid(sources, target), "loop": loop})
    sums = align_rigid(sources[:LOOPED], target).residuals_mm.sum(axis=1)
    looped = times["loop"] * ATLASES / LOOPED
    traffic = sources.nbytes + ATLASES * (16 + 9 + 3 + 1) * 8
    bandwidth = copy_bandwidth_gb_s()
    return {
        "atlases": ATLASES,
        "ours_s": times["ours"],
        "scipy_loop_s": looped,
        "scipy_loop_over_ours": looped / times["ours"],
        "largest_difference_of_summed_residuals_mm": float(np.abs(sums - loop()).max()),
        "copy_bandwidth_gb_s": bandwidth,
        "bytes_in_and_out": traffic,
        "memory_bound_s": traffic / bandwidth / 1e9,
    }

"""Measure how much simulated volumes differ from each other: `python -m studies.spread`.

Grey levels, brightness and contrast around the fetus, and blur, of the first cases of a stream.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np

from fetusmap.simulate import Rendering, SimulationSettings, stream_cases

RESULTS = Path(__file__).with_name("simulated-spread.json")
SEED = 2019
CASES = 200
MIN_LEVEL, LEVELS_PER_BIN = 4, 12
"""Grey levels are counted in bins of 12 levels, from 4 to 255."""

BLUR_RANGE_MM = 60.0
HALF_BLOCK_VOXELS = 20
"""Half the side of the block around the spine in which brightness and contrast are measured."""


def main() -> None:
    """Measure and write."""
    cases = stream_cases(SimulationSettings(preset="half"), SEED)
    rows = [measure_case(case) for case in islice(cases, CASES)]
    results = {"seed": SEED, "cases": CASES, "blur_range_mm": BLUR_RANGE_MM, "rows": rows}
    RESULTS.write_text(json.dumps(results) + "\n")


def measure_case(case: Rendering) -> dict[str, object]:
    """Measure one case: shares of the grey levels, brightness, contrast, and width of a point."""
    inside = case.volume.array[case.volume.array > 0]
    counts = np.bincount(inside, minlength=256)[MIN_LEVEL:].reshape(-1, LEVELS_PER_BIN).sum(axis=1)
    dark, contrast = darkness_and_contrast(case)
    scanner, reach = case.probe.scanner, np.array([BLUR_RANGE_MM])
    return {
        "grey_levels": [round(float(share), 5) for share in counts / counts.sum()],
        "darkest_tenth": round(dark, 2),
        "contrast": round(contrast, 2),
        "axial_mm": round(float(scanner.axial_fwhm_mm), 3),
        "lateral_mm": round(float(scanner.lateral_fwhm_mm(reach)[0]), 3),
        "sweep_mm": round(float(scanner.elevation_fwhm_mm(reach)[0]), 3),
    }


def darkness_and_contrast(case: Rendering) -> tuple[float, float]:
    """Tenth percentile of the grey levels around the spine, and the 75th above it."""
    volume, pose = case.volume, case.pose
    index = np.round(volume.grid.to_index(pose["spine"].position_mm)).astype(int)
    low = np.maximum(index - HALF_BLOCK_VOXELS, 0)
    high = np.minimum(index + HALF_BLOCK_VOXELS, volume.array.shape)
    block = volume.array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    dark, bright = np.percentile(block, [10, 75])
    return float(dark), float(bright - dark)


if __name__ == "__main__":
    main()

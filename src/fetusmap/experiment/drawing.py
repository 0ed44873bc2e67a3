"""The figures of an experiment: 1(c), 5 and 6 of the paper."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fetusmap.anatomy import Pose, Skeleton
from fetusmap.atlas import PoseLibrary
from fetusmap.evaluate import Pairs, mean_error_mm
from fetusmap.experiment.results import Results
from fetusmap.experiment.tables import paper_order
from fetusmap.report import ComparedCase, draw_cases, draw_library, draw_pck, save_figure
from fetusmap.types import FloatArray, Points3

CURVES = ("Land-R4", "Land-GCP", "RNN-GCP", "GAN-GCP", "SSL-R4", "SSL-GCP", "Fast-GCP", "Product")
"""Rows in figure 5; peers are added."""

LIMB_LANDMARKS = (4, 6, 10, 12, 14)
"""L4, L6, L10, L12 and L14 have panels of their own: the paper says they are hard to tell apart."""

COMPARED = ("Land-R4", "Land-GCP", "SSL-GCP", "Fast-GCP")
CASES = 3
SIMULATED = "simulated fetuses"


def draw_figures(results: Results, folder: Path) -> list[Path]:
    """Draw all figures into a folder; returns their files."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = next(iter(results.pairs.values()))
    poses = PoseLibrary(pairs.skeleton, pairs.true_mm.astype(np.float32))
    drawn = {
        "figure-1c.png": draw_library(poses, f"Test cases, {SIMULATED}"),
        "figure-5.png": draw_pck(
            _curves(results), subjects=pairs.subjects, title=f"PCK curves, {SIMULATED}"
        ),
        "figure-6.png": draw_cases(
            chosen_cases(results),
            f"Cases at the quartiles of the first row's error, {SIMULATED}",
        ),
    }
    for name, figure in drawn.items():
        save_figure(figure, folder / name)
    return [folder / name for name in drawn]


def chosen_cases(results: Results) -> list[ComparedCase]:
    """Cases at the quartiles of the first row's error, so that nobody picks the pretty ones."""
    shown = [row.name for row in results.rows if row.name in COMPARED]
    shown = shown or [results.rows[0].name]
    first = results.pairs[shown[0]]
    means = np.array([mean_error_mm(case) for case in first.errors_mm])
    order = np.argsort(means, kind="stable")
    count = min(CASES, len(order))
    places = np.rint(np.linspace(0, 1, count + 2)[1:-1] * (len(order) - 1)).astype(int)
    return [
        ComparedCase(
            first.cases[case],
            _pose(first.skeleton, first.true_mm[case]),
            {n: _pose(first.skeleton, results.pairs[n].found_mm[case]) for n in shown},
        )
        for case in dict.fromkeys(order[places].tolist())
    ]


def _curves(results: Results) -> Mapping[str, Mapping[str, FloatArray]]:
    shown = [row.name for row in results.rows if row.name in CURVES or row.group == "peer"]
    shown = shown or [row.name for row in results.rows]
    skeleton = results.pairs[shown[0]].skeleton
    order = paper_order(skeleton)

    def columns(pairs: Pairs, landmarks: list[int]) -> FloatArray:
        return pairs.errors_mm[:, landmarks]

    panels = {
        f"L{number}, {skeleton.landmarks[order[number - 1]].replace('_', ' ')}": [order[number - 1]]
        for number in LIMB_LANDMARKS
    }
    panels["all landmarks"] = list(range(len(skeleton)))
    return {
        title: {name: columns(results.pairs[name], landmarks) for name in shown}
        for title, landmarks in panels.items()
    }


def _pose(skeleton: Skeleton, positions_mm: Points3) -> Pose:
    return Pose(skeleton, positions_mm)

"""The figures of an experiment, as figures 1(c), 5 and 6 of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fetusmap.anatomy import Pose
from fetusmap.atlas import PoseLibrary
from fetusmap.evaluate import Pairs, mean_error_mm
from fetusmap.experiment.rows import Row
from fetusmap.experiment.tables import paper_order
from fetusmap.report import ComparedCase, draw_cases, draw_library, draw_pck, save_figure
from fetusmap.types import FloatArray

CURVES = ("Land-R4", "Land-GCP", "RNN-GCP", "GAN-GCP", "SSL-R4", "SSL-GCP", "Fast-GCP", "Product")
"""Rows in figure 5, beside those of the peers."""

LIMB_LANDMARKS = (4, 6, 10, 12, 14)
"""Paper numbers of the landmarks with a panel of their own; the paper calls them hard to tell
apart."""

COMPARED = ("Land-R4", "Land-GCP", "SSL-GCP", "Fast-GCP")
CASES = 3
SIMULATED = "simulated fetuses"


def draw_figures(rows: Sequence[Row], pairs: Mapping[str, Pairs], folder: Path) -> list[Path]:
    """Draw all figures into a folder.

    Args:
        rows: finished rows.
        pairs: predictions and annotations of each row by its name.
        folder: folder for the figures.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first = next(iter(pairs.values()))
    poses = PoseLibrary(first.skeleton, first.true_mm.astype(np.float32))
    figures = {
        "figure-1c.png": draw_library(poses, f"Test cases, {SIMULATED}"),
        "figure-5.png": draw_pck(
            _curves(rows, pairs), subjects=first.subjects, title=f"PCK curves, {SIMULATED}"
        ),
        "figure-6.png": draw_cases(
            chosen_cases(rows, pairs),
            f"Cases at the quartiles of the first row's error, {SIMULATED}",
        ),
    }
    for name, figure in figures.items():
        save_figure(figure, folder / name)
    return [folder / name for name in figures]


def chosen_cases(rows: Sequence[Row], pairs: Mapping[str, Pairs]) -> list[ComparedCase]:
    """Return the cases at the quartiles of the first row's error.

    This rule chooses the cases, so that no person selects favourable ones.
    """
    shown = [row.name for row in rows if row.name in COMPARED]
    shown = shown or [rows[0].name]
    first = pairs[shown[0]]
    means = np.array([mean_error_mm(case) for case in first.errors_mm])
    order = np.argsort(means, kind="stable")
    count = min(CASES, len(order))
    places = np.rint(np.linspace(0, 1, count + 2)[1:-1] * (len(order) - 1)).astype(int)
    return [
        ComparedCase(
            first.cases[case],
            Pose(first.skeleton, first.true_mm[case]),
            {n: Pose(first.skeleton, pairs[n].found_mm[case]) for n in shown},
        )
        for case in dict.fromkeys(order[places].tolist())
    ]


def _curves(
    rows: Sequence[Row], pairs: Mapping[str, Pairs]
) -> Mapping[str, Mapping[str, FloatArray]]:
    shown = [row.name for row in rows if row.name in CURVES or row.group == "peer"]
    shown = shown or [row.name for row in rows]
    skeleton = pairs[shown[0]].skeleton
    order = paper_order(skeleton)
    panels = {
        f"L{number}, {skeleton.landmarks[order[number - 1]].replace('_', ' ')}": [order[number - 1]]
        for number in LIMB_LANDMARKS
    }
    panels["all landmarks"] = list(range(len(skeleton)))
    return {
        title: {name: pairs[name].errors_mm[:, columns] for name in shown}
        for title, columns in panels.items()
    }

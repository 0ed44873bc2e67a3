"""Tables and the figure about plausible poses, from the results of `studies.plausibility`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fetusmap.report.figure_file import save_figure
from fetusmap.report.theme import MUTED, PANEL, TEXT, new_figure

ANATOMIES = {"usual": ("usual bodies", "#4c9be8"), "other": ("bodies of other builds", "#f28e2b")}
LIMITS = "#ff5d5d"
LOWEST, FIRST, QUARTER, MEDIAN, THREE_QUARTERS, LAST, HIGHEST = range(7)
"""Which percentile a number is: 0, 1, 25, 50, 75, 99, 100."""


def doubts_table(results: dict[str, Any]) -> str:
    """Markdown: percentage of poses that are doubted, one row per change."""
    usual, other = (results["doubted_percent"][name] for name in ANATOMIES)
    lines = [
        "| pose | usual bodies | other builds | what is said of usual bodies |",
        "|---|--:|--:|---|",
    ]
    for name, row in usual.items():
        kinds = ", ".join(f"{kind} {share:g} %" for kind, share in row.items() if kind != "any")
        lines.append(f"| {name} | {row['any']:g} % | {other[name]['any']:g} % | {kinds or '–'} |")
    return "\n".join(lines) + "\n"


def scales_table(results: dict[str, Any]) -> str:
    """Markdown: what is found in volumes whose header claims a wrong voxel size."""
    lines = [
        "| true length, mm | voxel size times | measured length, mm | landmark error, true mm | "
        "quality | about the size is said |",
        "|--:|--:|--:|--:|--:|---|",
    ]
    for row in results["volumes"]:
        said = [
            reason for reason in row["reasons"] if "voxel size" in reason or "no fetus" in reason
        ]
        words = "; ".join(reason.partition(",")[0].partition(":")[0] for reason in said)
        lines.append(
            f"| {row['true_crown_rump_mm']} | {row['scale']:g} | {row['crown_rump_mm']} | "
            f"{row['error_of_body_mm']:.1f} | {row['quality']:.2f} | {words or 'nothing'} |"
        )
    return "\n".join(lines) + "\n"


def draw_plausibility(results: dict[str, Any], path: Path) -> None:
    """Draw the lengths of simulated bodies against their limits, and their sizes."""
    figure = new_figure(9.0, 6.0)
    upper, lower = figure.subplots(2, 1, height_ratios=(1, 4.2))
    names = list(results["proportions"])
    for number, (anatomy, (label, color)) in enumerate(ANATOMIES.items()):
        shift = 0.18 * (1 - 2 * number)
        heights = np.arange(len(names))[::-1] + shift
        rows = np.array([results["proportions"][name][anatomy] for name in names])
        _draw_ranges(lower, heights, rows, label, color)
        _draw_ranges(upper, np.array([shift]), np.array([results["sizes_mm"][anatomy]]), "", color)
    limits = np.array([results["proportions"][name]["limits"] for name in names])
    for column in (0, 1):
        lower.plot(limits[:, column], np.arange(len(names))[::-1], "|", color=LIMITS, markersize=16,
                   label="limits" if column == 0 else "")  # fmt: skip
    for value in (25, 95):
        upper.axvline(value, color=LIMITS, linewidth=2)
    for value in (18, 115):
        upper.axvline(value, color=LIMITS, linewidth=1, linestyle=":")
    upper.set_yticks([])
    upper.set_ylim(-0.5, 0.5)
    upper.set_xlabel("crown-rump length, mm", color=TEXT)
    lower.set_yticks(np.arange(len(names))[::-1], [name.replace("_", " ") for name in names])
    lower.set_xlabel("length, divided by that of the trunk along the spine", color=TEXT)
    lower.legend(facecolor=PANEL, labelcolor=TEXT, edgecolor=PANEL, fontsize=8, loc="lower right")
    for axes in (upper, lower):
        axes.set_facecolor(PANEL)
        axes.tick_params(colors=MUTED)
        axes.grid(color=MUTED, alpha=0.2, axis="x")
    save_figure(figure, path)


def _draw_ranges(axes: Any, heights: Any, rows: Any, label: str, color: str) -> None:
    axes.hlines(heights, rows[:, LOWEST], rows[:, HIGHEST], color=color, linewidth=1)
    axes.hlines(heights, rows[:, FIRST], rows[:, LAST], color=color, linewidth=4, label=label)
    axes.plot(rows[:, MEDIAN], heights, "o", color=TEXT, markersize=3)

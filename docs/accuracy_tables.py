"""Tables and the reliability figure of the accuracy page, from the results of `studies`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from fetusmap.report.figure_file import save_figure
from fetusmap.report.theme import MUTED, PANEL, TEXT, new_figure

NAMES = {
    "normal": "normal",
    "hard": "hard: every difficulty knob at its difficult end",
    "shifted-sharp": "shifted: a sharper scanner than any in training",
    "shifted-blurred": "shifted: a more blurred one",
    "shifted-hazy": "shifted: a hazier one",
    "other-anatomy": "other anatomy: bodies outside the ranges of training",
}
COLORS = {
    "normal": "#4c9be8",
    "hard": "#f28e2b",
    "shifted-sharp": "#59c36a",
    "shifted-blurred": "#d65f8f",
    "shifted-hazy": "#b9a0f0",
    "other-anatomy": "#e8d34c",
}
PANEL_COLUMNS = 3


def accuracy_table(accuracy: dict[str, Any]) -> str:
    """Markdown: one row per cohort and model."""
    lines = [
        "| cohort | model | cases | mean, mm | median, mm | AUC to 10 mm, % | without constant "
        "offsets, mm | within 10 mm, % | cases above 10 mm | wrong sides | "
        "back to front (flagged) |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for cohort, rows in _by_cohort(accuracy).items():
        lines += [
            f"| {NAMES[cohort]} | {model} | {row['cases']} | {_interval(row['mean_mm'])} | "
            f"{_interval(row['median_mm'])} | {_interval(row['auc_10_mm'], 1)} | "
            f"{_interval(row.get('without_offset_mm'))} | {row['within_10_mm']:.1f} | "
            f"{row['cases_above_10_mm']} | {row['wrong_sides']} | {_turned(row)} |"
            for model, row in rows.items()
        ]
    return "\n".join(lines) + "\n"


def further_landmarks_table(accuracy: dict[str, Any]) -> str:
    """Markdown: errors of the landmarks that the paper does not have, and the crown-rump length."""
    lines = [
        "| cohort | model | six further landmarks, mean, mm | crown–rump length, mean error, mm | "
        "95th percentile, mm | truth inside the interval, % | half width, mm | estimate from the "
        "trunk, mean error, mm |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for cohort, rows in _by_cohort(accuracy).items():
        for model, row in rows.items():
            lengths = row.get("crown_rump", {})
            measured, estimated = lengths.get("measured", {}), lengths.get("estimated", {})
            lines.append(
                f"| {NAMES[cohort]} | {model} | {_interval(row.get('further_mean_mm'))} | "
                f"{_interval(measured.get('mean_error_mm'))} | "
                f"{_number(measured.get('percentile_95_mm'))} | "
                f"{_number(measured.get('covered_percent'), 0)} | "
                f"{_number(measured.get('median_half_width_mm'))} | "
                f"{_interval(estimated.get('mean_error_mm'))} |"
            )
    return "\n".join(lines) + "\n"


def landmark_table(accuracy: dict[str, Any]) -> str:
    """Markdown: mean error of each landmark in each cohort; of both models, if there are two."""
    models = accuracy["models"]
    cohorts = next(iter(models.values()))["cohorts"]
    lines = ["| landmark | " + " | ".join(cohorts) + " |", "|---|" + "--:|" * len(cohorts)]
    for name in next(iter(cohorts.values()))["per_landmark"]:
        cells = [
            " / ".join(
                _landmark(model["cohorts"].get(cohort, {}), name) for model in models.values()
            )
            for cohort in cohorts
        ]
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def draw_reliability(accuracy: dict[str, Any], path: Path) -> None:
    """One panel per cohort: confidence against how often landmarks are within 5 mm."""
    cohorts = next(iter(accuracy["models"].values()))["cohorts"]
    rows = -(-len(cohorts) // PANEL_COLUMNS)
    figure = new_figure(3.2 * PANEL_COLUMNS, 3.1 * rows)
    panels = figure.subplots(rows, PANEL_COLUMNS, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat:
        axes.set_visible(False)
    for axes, (name, row) in zip(panels.flat, cohorts.items(), strict=False):
        axes.set_visible(True)
        draw_diagonal(axes)
        bins = row["reliability"]
        axes.plot(
            [b["confidence"] for b in bins], [b["within_5_mm"] for b in bins],
            color=COLORS[name], marker="o", markersize=5, linewidth=1.6,
        )  # fmt: skip
        axes.set_title(name, color=TEXT, fontsize=10)
    figure.supxlabel("confidence, mean of an eighth of the landmarks", color=TEXT, fontsize=10)
    figure.supylabel("part of them within 5 mm", color=TEXT, fontsize=10)
    save_figure(figure, path)


def draw_diagonal(axes: Axes) -> None:
    """Prepare a panel in which perfect probabilities lie on the diagonal."""
    axes.set_facecolor(PANEL)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--")
    axes.set_xlim(0, 1.03)
    axes.set_ylim(0, 1.03)
    axes.tick_params(colors=MUTED, labelsize=8, labelbottom=True, labelleft=True)
    for spine in axes.spines.values():
        spine.set_color(MUTED)


def _by_cohort(accuracy: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the rows of the models for each cohort."""
    models = accuracy["models"]
    cohorts = dict.fromkeys(name for model in models.values() for name in model["cohorts"])
    return {
        cohort: {
            label: model["cohorts"][cohort]
            for label, model in models.items()
            if cohort in model["cohorts"]
        }
        for cohort in cohorts
    }


def _turned(row: dict[str, Any]) -> str:
    if "back_to_front" not in row:
        return "–"
    return f"{row['back_to_front']} ({row['back_to_front_and_flagged']})"


def _landmark(cohort: dict[str, Any], name: str) -> str:
    found = cohort.get("per_landmark", {}).get(name)
    return "–" if found is None else f"{found['mean_mm']:.2f}"


def _interval(values: list[float] | None, digits: int = 2) -> str:
    if values is None or any(value is None or value != value for value in values):
        return "–"
    value, low, high = values
    return f"**{value:.{digits}f}** ({low:.{digits}f} to {high:.{digits}f})"


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"

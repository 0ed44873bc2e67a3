"""Tables and figures of the accuracy page, from the results of `studies`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fetusmap.report.figure_file import save_figure
from fetusmap.report.theme import MUTED, PANEL, TEXT, new_figure

NAMES = {
    "normal": "normal",
    "hard": "hard: every difficulty knob at its difficult end",
    "shifted-sharp": "shifted: a sharper scanner than any in training",
    "shifted-blurred": "shifted: a more blurred one",
    "shifted-hazy": "shifted: a hazier one",
}
COLORS = ("#4c9be8", "#f28e2b", "#59c36a", "#d65f8f", "#b9a0f0")


def accuracy_table(accuracy: dict[str, Any]) -> str:
    """Markdown: one row per cohort."""
    lines = [
        "| cohort | cases | mean, mm | median, mm | AUC to 10 mm, % | 95th percentile, mm | "
        "within 10 mm, % | cases above 10 mm | wrong sides | mean over normal |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    normal = accuracy["cohorts"]["normal"]["mean_mm"][0]
    for name, row in accuracy["cohorts"].items():
        lines.append(
            f"| {NAMES[name]} | {row['cases']} | {_interval(row['mean_mm'])} | "
            f"{_interval(row['median_mm'])} | {_interval(row['auc_10_mm'], 1)} | "
            f"{row['percentile_95_mm']:.1f} | {row['within_10_mm']:.1f} | "
            f"{row['cases_above_10_mm']} | {row['wrong_sides']} | "
            f"{row['mean_mm'][0] / normal:.2f} |"
        )
    return "\n".join(lines) + "\n"


def landmark_table(accuracy: dict[str, Any]) -> str:
    """Markdown: mean and median error of each landmark in each cohort."""
    cohorts = accuracy["cohorts"]
    lines = [
        "| landmark | " + " | ".join(cohorts) + " |",
        "|---|" + "---|" * len(cohorts),
    ]
    for name in cohorts["normal"]["per_landmark"]:
        cells = [
            f"{row['per_landmark'][name]['mean_mm']:.2f} / "
            f"{row['per_landmark'][name]['median_mm']:.2f}"
            for row in cohorts.values()
        ]
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def draw_reliability(accuracy: dict[str, Any], path: Path) -> None:
    """Confidence against how often it came true, one line per cohort."""
    figure = new_figure(6.2, 5.2)
    axes = figure.subplots()
    axes.set_facecolor(PANEL)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="perfect")
    for (name, row), color in zip(accuracy["cohorts"].items(), COLORS, strict=True):
        bins = row["reliability"]
        axes.plot(
            [b["confidence"] for b in bins], [b["within_5_mm"] for b in bins],
            color=color, marker="o", markersize=4, linewidth=1.6, label=name,
        )  # fmt: skip
    axes.set_xlabel("confidence of the landmark (mean of a bin)", color=TEXT)
    axes.set_ylabel("part that is off by less than 5 mm", color=TEXT)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.tick_params(colors=MUTED)
    for spine in axes.spines.values():
        spine.set_color(MUTED)
    axes.legend(facecolor=PANEL, edgecolor=MUTED, labelcolor=TEXT, fontsize=8, loc="upper left")
    save_figure(figure, path)


def _interval(values: list[float], digits: int = 2) -> str:
    value, low, high = values
    return f"**{value:.{digits}f}** ({low:.{digits}f} to {high:.{digits}f})"

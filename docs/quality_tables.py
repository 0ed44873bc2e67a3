"""Tables and figures about quality scores and warnings, from the results of `studies.quality`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accuracy_tables import draw_diagonal

from fetusmap.report.figure_file import save_figure
from fetusmap.report.theme import MUTED, PANEL, TEXT, new_figure

NOT_MEASURED = "*Not measured yet for the shipped model: run `python -m studies --only quality`.*\n"

GROUPS = {
    "scans": ("normal, hard and shifted scans", "#4c9be8", "o"),
    "corruptions": ("corrupted volumes", "#f28e2b", "s"),
    "partial": ("partial bodies", "#59c36a", "^"),
}
MAX_DRAWN_MM = 60.0


def case_score_table(quality: dict[str, Any] | None) -> str:
    """Markdown: how well the quality score of a case holds, one row per cohort."""
    if quality is None:
        return NOT_MEASURED
    lines = [
        "| cohort | cases | mean error above 5 mm | AUROC | expected calibration error | "
        "above 10 mm with quality above 0.5 | good with quality below 0.5 |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, row in quality["case_score"].items():
        lines.append(
            f"| {name} | {row['cases']} | {row['above_5_mm']} | {_interval(row['auroc'])} | "
            f"{_interval(row['calibration_error'])} | "
            f"{row['above_10_mm_with_quality_above_half']} of {row['above_10_mm']} | "
            f"{row['good_with_quality_below_half']} |"
        )
    return "\n".join(lines) + "\n"


def confidence_table(quality: dict[str, Any] | None) -> str:
    """Markdown: how well the confidences of landmarks hold, in all and per landmark."""
    if quality is None:
        return NOT_MEASURED
    groups = {name: quality["landmarks"][name] for name in ("normal, hard and shifted", "all")}
    lines = [
        "| expected calibration error of | " + " | ".join(groups) + " |",
        "|---|" + "--:|" * len(groups),
        "| **all landmarks** | "
        + " | ".join(_three(row["calibration_error"]) for row in groups.values())
        + " |",
    ]
    for name in next(iter(groups.values()))["calibration_error_per_landmark"]:
        cells = [_three(row["calibration_error_per_landmark"][name]) for row in groups.values()]
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def warnings_table(quality: dict[str, Any] | None) -> str:
    """Markdown: how often each warning is given with reason, and without."""
    if quality is None:
        return NOT_MEASURED
    empty, sides = quality["no_fetus"], quality["sides"]["all"]
    recognised = [sum(values) for values in zip(*empty["recognised"].values(), strict=True)]
    rows = [
        ("no fetus in view", "volumes without a fetus", recognised, empty["false_alarms"]),
        (
            "left and right are uncertain", "poses with exchanged sides",
            [sides["exchanged_and_warned"], sides["exchanged"]],
            [sides["good_and_warned"], sides["good"]],
        ),
    ]  # fmt: skip
    for name, row in quality["lost_limbs"].items():
        rows.append(
            (f"a limb was not found, or leaves the field of view: {name}",
             "limbs whose end is hidden or wrong",
             [row["hidden_and_named"] + row["wrong_and_named"], row["hidden"] + row["wrong"]],
             [row["right_and_named"], row["right"]])
        )  # fmt: skip
    lines = [
        "| warning | should be given to | given there | given wrongly |",
        "|---|---|--:|--:|",
        *(
            f"| {warning} | {who} | {given[0]} of {given[1]} | {false[0]} of {false[1]} |"
            for warning, who, given, false in rows
        ),
    ]
    return "\n".join(lines) + "\n"


def draw_case_scores(quality: dict[str, Any] | None, path: Path) -> None:
    """Left: score against mean error of every case. Right: how often the score comes true."""
    figure = new_figure(10.5, 4.6)
    cases, calibration = figure.subplots(1, 2, width_ratios=(1.35, 1))
    cases.set_facecolor(PANEL)
    for group, (label, color, marker) in GROUPS.items():
        points = (quality or {}).get("points", {}).get(group, [])
        cases.scatter(
            [min(error, MAX_DRAWN_MM) for error, _ in points], [score for _, score in points],
            s=16, color=color, marker=marker, alpha=0.65, linewidths=0, label=label,
        )  # fmt: skip
    cases.axvline(5.0, color=MUTED, linewidth=1, linestyle="--")
    cases.axhline(0.5, color=MUTED, linewidth=1, linestyle=":")
    cases.set_xscale("log")
    cases.set_xlim(0.3, MAX_DRAWN_MM * 1.1)
    cases.set_xticks([0.5, 1, 2, 5, 10, 20, 50], ["0.5", "1", "2", "5", "10", "20", "50"])
    cases.minorticks_off()
    cases.set_ylim(-0.02, 1.03)
    cases.set_xlabel("mean error of the case, mm", color=TEXT)
    cases.set_ylabel("quality score", color=TEXT)
    cases.legend(facecolor=PANEL, edgecolor=MUTED, labelcolor=TEXT, fontsize=8, loc="lower left")
    cases.tick_params(colors=MUTED)
    for spine in cases.spines.values():
        spine.set_color(MUTED)
    draw_diagonal(calibration)
    rows = (quality or {}).get("case_score", {})
    for (name, row), color in zip(list(rows.items())[:2], ("#4c9be8", "#59c36a"), strict=False):
        bins = row["reliability"]
        calibration.plot(
            [b["predicted"] for b in bins], [b["observed"] for b in bins],
            color=color, linewidth=1.4, marker="o", markersize=4, label=name,
        )  # fmt: skip
        if color == "#59c36a":
            for b in bins:
                shift = (4, 7) if b["observed"] < 0.5 else (-4, -14)
                calibration.annotate(
                    str(b["count"]), (b["predicted"], b["observed"]), xytext=shift,
                    textcoords="offset points", color=MUTED, fontsize=8,
                )  # fmt: skip
    calibration.set_xlabel("quality score, mean of a bin", color=TEXT)
    calibration.set_ylabel("part of the cases that are correct", color=TEXT)
    if rows:
        calibration.legend(
            facecolor=PANEL, edgecolor=MUTED, labelcolor=TEXT, fontsize=8, loc="center right"
        )
    save_figure(figure, path)


def _three(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _interval(values: list[float | None]) -> str:
    value, low, high = values
    if value is None or low is None or high is None:
        return "–"
    return f"{value:.3f} ({low:.3f} to {high:.3f})"

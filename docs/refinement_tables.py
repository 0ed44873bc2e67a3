"""Tables of the refinement page, from the results of `studies`."""

from __future__ import annotations

from typing import Any

MODELS = {"land": "`land`, the paper's network", "default": "`default`, the cascade"}
WAYS = ("none", "paper", "paper, guarded", "paper, then fast", "fast")
PLAIN = ("none", "paper", "fast")
ALONE = "the support set alone"


def refinement_table(refinement: dict[str, Any]) -> str:
    """Markdown: each model on each cohort, refined in each way."""
    lines = [
        "| cohort | model | refine | mean, mm | median, mm | AUC to 10 mm, % | against none | "
        "AUC gained | helped / hurt by 0.1 mm | worse by 1 mm | largest gain and loss, mm | "
        "kept unrefined | s on top |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cohort, rows in refinement["cohorts"].items():
        for model, name in MODELS.items():
            base = rows[f"{model}, none"]["mean_mm"][0]
            lines += [
                _row(f"{cohort} | {name} | `{way}`", rows[f"{model}, {way}"], base)
                for way in WAYS
                if f"{model}, {way}" in rows
            ]
    return "\n".join(lines) + "\n"


def ablation_table(refinement: dict[str, Any]) -> str:
    """Markdown: what each part of the fast refinement does on the model land, normal cohort."""
    rows = refinement["cohorts"]["normal"]
    lines = [
        "| `fast` on `land` | mean, mm | median, mm | AUC to 10 mm, % | change of the mean, mm | "
        "worse by 1 mm | s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        model, way = name.split(", ", 1)
        if model == "land" and way not in WAYS[1:]:
            lines.append(
                f"| {'not refined' if way == 'none' else way} | {_interval(row['mean_mm'])} | "
                f"{_interval(row['median_mm'])} | {_interval(row['auc_10_mm'], 1)} | "
                f"{_interval(row['change_mm'])} | {row['worse_by_1_mm']} | "
                f"{'' if way == ALONE else row['seconds']} |"
            )
    return "\n".join(lines) + "\n"


def landmark_refinement_table(refinement: dict[str, Any]) -> str:
    """Markdown: mean error of each landmark on the normal cohort, in every way."""
    rows = refinement["cohorts"]["normal"]
    columns = [f"{model}, {way}" for model in MODELS for way in PLAIN]
    lines = ["| landmark | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for landmark in rows["land, none"]["mean_mm_per_landmark"]:
        cells = [f"{rows[c]['mean_mm_per_landmark'][landmark]:.2f}" for c in columns]
        lines.append(f"| {landmark.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def real_refinement_table(results: dict[str, Any]) -> str:
    """Markdown of `studies/real-refinement.json`: one row per level of noise."""
    lines = [
        "| noise, mm per axis | noise alone | exchanged | paper's proxy | fast | repaired by the "
        "paper's proxy | repaired by fast | left alone by fast |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for noise, row in results["noise_mm"].items():
        lines.append(
            f"| {noise} | {row['noise']:.2f} mm | {row['before']:.2f} mm | {row['paper']:.2f} mm | "
            f"{row['fast']:.2f} mm | {100 * row['paper_repaired']:.0f} % | "
            f"{100 * row['repaired']:.1f} % | {100 * row['left_alone']:.1f} % |"
        )
    return "\n".join(lines) + "\n"


def _row(start: str, row: dict[str, Any], base: float) -> str:
    best, worst = row["best_and_worst_mm"]
    return (
        f"| {start} | {_interval(row['mean_mm'])} | {_interval(row['median_mm'])} | "
        f"{_interval(row['auc_10_mm'], 1)} | {100 * (row['mean_mm'][0] / base - 1):+.0f} % | "
        f"{row['gain_auc']:+.1f} | {row['helped']} / {row['hurt']} | {row['worse_by_1_mm']} | "
        f"{best:+.1f} / {worst:+.1f} | {row.get('kept', '')} | {_seconds(row)} |"
    )


def _seconds(row: dict[str, Any]) -> str:
    if not row["seconds"]:
        return ""
    whole = row["best_and_worst_mm"] == [0.0, 0.0] and not row["changed"]
    return f"{row['seconds']:.2f}" + " in all" * whole


def _interval(values: list[float], digits: int = 2) -> str:
    value, low, high = (f"{x:.{digits}f}" for x in values)
    return f"{value} ({low} to {high})"

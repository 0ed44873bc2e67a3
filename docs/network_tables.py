"""Tables about the networks: speed of a prediction, memory and time of a training step."""

from __future__ import annotations

from typing import Any

WIDTHS = {"paper": "64 channels at full resolution", "quarter": "a quarter of that, 16 channels"}


def prediction_table(made: dict[str, Any]) -> str:
    """Markdown of the prediction's part of `studies/results.json`."""
    shape = "×".join(map(str, made["shape"]))
    rows = [
        (f"a {shape} `.nii.gz` to `pose.json`, one thread", made["file_to_pose_s"]),
        *((f"… {name}", seconds) for name, seconds in made["parts_s"].items()),
        ("without reading, and with `--no-flip-average`", made["estimate_no_flip_average_s"]),
        ("two threads", made["file_to_pose_two_threads_s"]),
        ("one thread, with `--refine fast`", made["file_to_fast_pose_s"]),
        ("two threads, with `--refine fast`", made["file_to_fast_pose_two_threads_s"]),
        ("median over a cohort, one thread", made["file_to_pose_over_cohort_s"]),
        ("mean over a cohort, file to all files and picture", 1 / made["one_process_cases_per_s"]),
        ("a new process, file to all files and picture", made["cold_process_to_pictures_s"]),
    ]
    lines = ["| what | median, s |", "|---|---|"]
    lines += [f"| {what} | {seconds:.3f} |" for what, seconds in rows]
    lines += [
        "",
        f"Two threads take {made['two_threads_over_one']:.2f} of the time of one. The fast "
        f"refinement takes {made['fast_on_top_over_one']:.2f} of it on top. All other parts take "
        f"{made['other_parts_over_networks']:.2f} of the time of the networks.",
        "",
        f"Two worker processes predict {made['two_over_one']:.2f} times as many cases as one, "
        f"pictures included ({made['two_processes_cases_per_s']:.1f} a second). Each of them "
        "computes on one thread.",
        "",
        "| network, on one thread | input | gigaflop | forward, s | part of the matrix peak |",
        "|---|---|---|---|---|",
    ]
    for name, part in made["networks"].items():
        lines.append(
            f"| {name} | {' × '.join(map(str, part['input']))} | {part['gflop']:.0f} | "
            f"{part['forward_s']:.3f} | {100 * part['part_of_peak']:.0f} % of "
            f"{part['matrix_peak_gflop_per_s']} Gflop/s |"
        )
    return "\n".join(lines) + "\n"


def checkpointing_table(made: dict[str, Any]) -> str:
    """Markdown of the checkpointing's part of `studies/results.json`."""
    lines: list[str] = []
    for name, part in made.items():
        lines += [f"### {WIDTHS[name].capitalize()}", "", *_policies(part), "", *_sizes(part), ""]
    return "\n".join(lines)


def _policies(part: dict[str, Any]) -> list[str]:
    times, more = part["step_s_over_none"], part["voxels_in_the_memory_of_none_at_0.4"]
    at = part["scales"]["0.4"]
    timed = " × ".join(map(str, part["timed_shape"]))
    lines = [
        "| policy | stored at scale 0.4, MB | voxels in the memory that `none` takes at 0.4 | "
        f"time of a step of {timed} |",
        "|---|---|---|---|",
    ]
    return lines + [
        f"| `{policy}` | {at[policy]['saved_bytes'] / 1e6:.0f} | {more[policy]:.2f} × | "
        f"{times[policy]:.2f} × |"
        for policy in more
    ]


def _sizes(part: dict[str, Any]) -> list[str]:
    scales = part["scales"]
    header = [f"{scale} ({' × '.join(map(str, row['shape']))})" for scale, row in scales.items()]
    lines = [
        "Peak of a step, GB; measured ones with the planner's error in brackets:",
        "",
        "| policy | " + " | ".join(header) + " |",
        "|---|" + "---|" * len(scales),
    ]
    for policy in part["voxels_in_the_memory_of_none_at_0.4"]:
        cells = [_peak(row[policy]) for row in scales.values()]
        lines.append(f"| `{policy}` | {' | '.join(cells)} |")
    return lines


def _peak(row: dict[str, float]) -> str:
    if "measured_peak_bytes" in row:
        error = 100 * (row["predicted_over_measured"] - 1)
        return f"{row['measured_peak_bytes'] / 1e9:.2f} ({error:+.1f} %)"
    return f"{row['predicted_peak_bytes'] / 1e9:.1f}"

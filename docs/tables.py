"""Tables of the docs that are made from result files."""

from __future__ import annotations

from typing import Any

STAGES = {
    "drawing": "drawing everything random",
    "fields": "distances to body and walls",
    "paint": "painting media",
    "insonify": "attenuation, clutter, haze",
    "synthesize": "speckle and point spread",
    "display": "logarithm, filters, grey curve",
    "scan_convert": "scan conversion",
    "other": "the rest",
}


def performance_table(results: dict[str, Any]) -> str:
    """Markdown of `studies/results.json`."""
    align, sample = results["alignment"], results["resampling"]
    read, start = results["reading"], results["startup"]
    machine = results["manifest"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    rows = [
        (
            "align 100,000 atlases of 16 points, with residuals",
            align["ours_s"],
            f"{align['scipy_loop_over_ours']:.0f} times faster than a loop over SciPy's "
            f"`align_vectors` ({align['scipy_loop_s']:.1f} s)",
        ),
        (
            "resample 220×205×260 to 0.4, anti-aliased",
            sample["ours_s"],
            f"SciPy {_ratio(sample['scipy_gaussian_zoom_s'], sample['ours_s'])}, "
            f"SimpleITK {_ratio(sample['sitk_gaussian_resample_s'], sample['ours_s'])}; their "
            f"aliased versions {_ratio(sample['scipy_zoom_aliased_s'], sample['ours_s'])} and "
            f"{_ratio(sample['sitk_resample_aliased_s'], sample['ours_s'])}",
        ),
        (
            "resample the same onto an oblique 64×80×96 grid",
            sample["ours_oblique_64x80x96_s"],
            "",
        ),
        (
            f"read a {read['file_bytes'] / 1e6:.0f} MB `.nii.gz`, bounded and verified",
            read["ours_s"],
            f"SimpleITK {_ratio(read['sitk_s'], read['ours_s'])}, "
            f"nibabel {_ratio(read['nibabel_s'], read['ours_s'])} (neither in a child process)",
        ),
        (
            "`fetusmap --help`",
            start["help_s"],
            f"the bare interpreter takes {start['bare_python_s'] * 1000:.0f} ms",
        ),
    ]
    lines = ["| what | median, ms | in the same run |", "|---|---|---|"]
    lines += [f"| {what} | {seconds * 1000:.0f} | {note} |" for what, seconds, note in rows]
    lines += [
        "",
        f"{machine['processors']} processor cores ({machine['machine']}), Python "
        f"{machine['python']}, {versions}.",
        "",
        f"Alignment reads and writes {align['bytes_in_and_out'] / 1e6:.0f} MB, which a copy at the "
        f"{align['copy_bandwidth_gb_s']:.0f} GB/s measured beside would move in "
        f"{align['memory_bound_s'] * 1000:.0f} ms: the limit is arithmetic on one thread, not "
        f"memory. The summed residuals differ from the loop's by at most "
        f"{align['largest_difference_of_summed_residuals_mm']:.0e} mm.",
    ]
    if "simulation" in results:
        lines += ["", *_simulation_lines(results["simulation"])]
    return "\n".join(lines) + "\n"


def _simulation_lines(made: dict[str, Any]) -> list[str]:
    """The simulator's part of the performance page."""
    presets = {name: made[name] for name in ("full", "mid", "half")}
    rows: list[tuple[str, list[str]]] = [
        ("a volume, median", [_ms(p["median_s"]) for p in presets.values()]),
        ("… with one compounding frame", [_ms(p["one_look_median_s"]) for p in presets.values()]),
        ("… that took longest", [_ms(p["largest_s"]) for p in presets.values()]),
        ("a volume, mean", [_ms(p["mean_s"]) for p in presets.values()]),
    ]
    for stage, label in STAGES.items():
        parts = [(p["mean_stage_s"][stage], p["mean_s"]) for p in presets.values()]
        cells = [f"{_ms(part)} ({100 * part / whole:.0f} %)" for part, whole in parts]
        rows.append((f"… {label}", cells))
    for label, key in (
        ("beam samples, mean", "mean_samples"),
        ("samples a second", "samples_per_s"),
    ):
        rows.append((f"million {label}", [f"{p[key] / 1e6:.1f}" for p in presets.values()]))
    workers, spread, scan = made["workers"], made["point_spread"], made["scan_conversion"]
    over = made["peak_bytes"] - made["package_bytes"]
    return [
        "## Simulated volumes",
        "",
        f"The first {made['cases']} cases of a stream of the {made['profile']} profile, drawn and "
        "rendered on one thread; milliseconds.",
        "",
        "| | full | mid | half |",
        "|---|---|---|---|",
        *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows),
        "",
        "In the same run:",
        "",
        *(
            f"- Two worker processes make {pair['two_over_one']:.2f} times as many {preset} "
            f"volumes as one: {pair['cases_per_s_of_two']:.1f} a second, where one makes "
            f"{pair['cases_per_s_and_core']:.1f}."
            for preset, pair in workers.items()
        ),
        f"- Scan conversion to {scan['voxels'] / 1e6:.0f} million voxels: "
        f"{_ms(scan['ours_s'])} ms. Interpolation at the beam coordinates of every voxel, with "
        f"SciPy's `map_coordinates`: {_ratio(scan['map_coordinates_s'], scan['ours_s'])}.",
        f"- The point spread over {spread['samples'] / 1e6:.1f} million samples: "
        f"{_ms(spread['ours_s'])} ms. With one width for all ranges, which is all they can do, "
        f"SciPy's `gaussian_filter` {_ratio(spread['gaussian_filter_s'], spread['ours_s'])}, a "
        f"Fourier transform {_ratio(spread['fft_s'], spread['ours_s'])}.",
        f"- A whole volume takes {spread['render_s'] / spread['draw_noise_s']:.1f} times as long "
        f"as drawing its normal random numbers alone ({_ms(spread['draw_noise_s'])} ms).",
        f"- A process that renders full volumes peaks at {made['peak_bytes'] / 1e6:.0f} MB, "
        f"{over / 1e6:.0f} MB of it for the volume, the rest for Python and its packages.",
        f"- Compressing and writing a full volume ({made['file_bytes'] / 1e6:.0f} MB) takes "
        f"{_ms(made['write_s'])} ms, its preview {_ms(made['preview_s'])} ms.",
        f"- {made['poses']:,} poses without volumes: {made['draw_poses_s']:.2f} s.",
    ]


def real_poses_table(results: dict[str, Any]) -> str:
    """Markdown of `studies/real-poses.json`."""
    lines = [
        f"{results['recordings']} recordings of fetuses of {results['weeks'][0]:.0f} to "
        f"{results['weeks'][1]:.0f} weeks, {results['poses']} poses (every 20th frame). Each cell "
        "is the 5th, 50th and 95th percentile, left and right together.",
        "",
        "| segment | mm | over the trunk's length | reference pose |",
        "|---|---|---|---|",
    ]
    for name, values in results["lengths_mm"].items():
        *spread, reference = results["lengths_over_trunk"][name]
        label = name.replace("_", " ")
        lines.append(f"| {label} | {_spread(values, 0)} | {_spread(spread, 2)} | {reference:.2f} |")
    lines += ["", "| angle | degrees |", "|---|---|"]
    angles = {**results["angles_deg"], "neck": results["neck_deg"]}
    lines += [f"| {name} | {_spread(values, 0)} |" for name, values in angles.items()]
    lines += [
        "",
        f"`implausibilities` has no doubt about {results['without_doubts_percent']:.0f} % of the "
        f"poses; in {results['asymmetric_percent']:.1f} % a left and a right segment differ by "
        "more than 35 % of their mean and 4.5 mm.",
        "",
        "The distance hip to knee is "
        f"{_spread(results['femur_over_shaft'], 2)} times the median femur shaft of "
        "INTERGROWTH-21st at the same age: a joint-to-joint distance is not a bone length.",
    ]
    return "\n".join(lines) + "\n"


def _spread(values: list[float], digits: int) -> str:
    return " / ".join(f"{value:.{digits}f}" for value in values)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f}"


def _ratio(theirs: float, ours: float) -> str:
    return f"{theirs / ours:.1f} × as long"

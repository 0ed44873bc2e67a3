"""Tables of the simulation page: the numbers that the simulator uses, and how real data compare."""

from __future__ import annotations

from typing import Any

import numpy as np

from fetusmap.simulate import ANATOMIES
from fetusmap.simulate.body.measures import SIDES, draw_measures
from fetusmap.simulate.tables import table
from fetusmap.types import FloatArray

CRL_MM, BODIES = 60.0, 4000
"""Crown-rump length and number of the bodies from which the spread of the measures is counted."""


def simulation_tables() -> str:
    """Markdown of the tables of measures, media, joints and scanners."""
    lines = [
        *_measure_lines(),
        "### Media",
        "",
        "| medium | impedance, MRayl | attenuation, dB/cm/MHz | echo, dB | texture, dB |",
        "|---|---|---|---|---|",
    ]
    for name, row in table("media").items():
        cells = [row[key] for key in ("impedance", "attenuation", "echo", "texture")]
        lines.append(f"| {_words(name)} | " + " | ".join(f"{cell:g}" for cell in cells) + " |")
    lines += ["", "### Joints", "", "| joint | mean | deviation | limits |", "|---|---|---|---|"]
    for group in ("usual", "extended", "startled"):
        note = "" if group == "usual" else f", {group}"
        for name, row in table("body/joints")[group].items():
            lines.append(
                f"| {_words(name)}{note} | {row['mean']}° | {row['sd']}° | "
                f"{row['low']}° to {row['high']}° |"
            )
    scanners = table("scanner/scanners")
    names = list(scanners["profiles"])
    lines += [
        "", "### Scanners", "",
        "| number | usual | " + " | ".join(names) + " |",
        "|---" * (len(names) + 2) + "|",
    ]  # fmt: skip
    for name, limits in scanners["usual"].items():
        others = [scanners["profiles"][profile].get(name) for profile in names]
        cells = [_range(limits), *("" if other is None else _range(other) for other in others)]
        lines.append(f"| {_words(name)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def comparison_table(results: dict[str, Any]) -> str:
    """Markdown of `studies/real-comparison.json`."""
    kinds = list(results["angles_deg"])
    lines = ["| angle | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    for joint in results["angles_deg"][kinds[0]]:
        cells = [_spread(results["angles_deg"][kind][joint], 0) for kind in kinds]
        lines.append(f"| {joint} | " + " | ".join(cells) + " |")
    liver, simulated = results["speckle"]["liver"], results["speckle"]["simulated"]
    lines += [
        "", "Each cell is the 5th, 50th and 95th percentile, degrees, both sides together.", "",
        f"| speckle | real liver | simulated, {results['speckle']['patches']} patches |",
        "|---|---|---|",
    ]  # fmt: skip
    meanings = {
        "grey": "mean grey level",
        "sd_over_mean": "standard deviation over the mean",
        "skewness": "skewness",
        "kurtosis": "excess kurtosis",
        "shortest_mm": "autocorrelation one half, sharpest axis, mm",
        "longest_mm": "autocorrelation one half, least sharp axis, mm",
    }
    for key, meaning in meanings.items():
        lines.append(f"| {meaning} | {liver[key]:.2f} | {_spread(simulated[key], 2)} |")
    return "\n".join(lines) + "\n"


def _measure_lines() -> list[str]:
    """Lines of the table of measures: as drawn in both anatomies."""
    lines = [
        "### Measures of the body",
        "",
        f"As drawn for {BODIES:,} fetuses of {CRL_MM:.0f} mm: mean, and 5th to 95th percentile. "
        "A measure without a unit is a factor, or a part of a length. *At* is where a part is "
        "thickest, *beyond* is along the limb away from the trunk. *With* states the correlation "
        "with the hidden factors of the build. S: read in a publication, C: fitted to one, "
        "G: guess. The other anatomy is stated where it differs.",
        "",
        "| measure | unit | usual | other | with | source |",
        "|---|---|---|---|---|---|",
    ]
    crl = np.full(BODIES, CRL_MM)
    usual, other = (draw_measures(np.random.default_rng(0), crl, name) for name in ANATOMIES)
    for name, entry in table("body/measures")["measure"].items():
        own = f"{SIDES[0]}_{name}" if entry.get("sides") else name
        cells = [_mean_and_range(usual[own])]
        cells.append("" if np.array_equal(usual[own], other[own]) else _mean_and_range(other[own]))
        loads = ", ".join(f"{factor} {load:g}" for factor, load in entry.get("with", {}).items())
        unit = "" if "value" in entry else "mm"
        lines.append(
            f"| {_words(name)} | {unit} | {' | '.join(cells)} | {loads} | {entry['source']} |"
        )
    return [*lines, ""]


def _mean_and_range(values: FloatArray) -> str:
    mean, low, high = np.round([values.mean(), *np.percentile(values, [5, 95])], 2) + 0.0
    return f"{mean:.2f} ({low:.2f} to {high:.2f})"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _range(limits: list[float]) -> str:
    low, high = limits
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _spread(values: list[float], digits: int) -> str:
    return " / ".join(f"{value:.{digits}f}" for value in values)

"""Tables of the simulation page: the numbers that the simulator uses, and how real data compare."""

from __future__ import annotations

from typing import Any

from fetusmap.simulate.tables import table


def simulation_tables() -> str:
    """Markdown of the tables of media, joints and scanners."""
    lines = [
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


def _words(name: str) -> str:
    return name.replace("_", " ")


def _range(limits: list[float]) -> str:
    low, high = limits
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _spread(values: list[float], digits: int) -> str:
    return " / ".join(f"{value:.{digits}f}" for value in values)

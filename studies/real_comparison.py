"""Compare simulated cases with real data: `python -m studies.real_comparison FOLDER_OF_REAL_DATA`.

The folder holds `fetal-motion` (poses from MRI, MIT licence) and `liver-sweep` (ultrasound of an
adult's liver, CC BY 4.0). They are not part of this project, but the numbers and figures made from
them are.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy import ndimage

import fetusmap as fm
from fetusmap.anatomy import joint_angles_of
from fetusmap.atlas import PoseLibrary
from fetusmap.report.theme import MUTED, PANEL, TEXT, new_figure
from fetusmap.simulate import (
    Medium,
    Rendering,
    Seeds,
    SimulationSettings,
    draw_case,
    draw_poses,
    render,
)
from studies.real_poses import percentiles, read_recording

RESULTS = Path(__file__).with_name("real-comparison.json")
PICTURES = Path(__file__).parents[1] / "docs" / "images"
JOINTS = ("shoulder", "elbow", "hip", "knee")
COLORS = {
    "real, 27 to 38 weeks": "#f28e2b",
    "simulated": "#8bd3c7",
    "simulated, imitating the real": "#c39bd3",
}
SIMULATED = 20_000
SPECKLE_CASES = 24
LIVER = np.array([[100, 60, 88], [148, 108, 118]])
"""Voxels of the sweep's volume that show little but liver."""
MATERNAL = (Medium.PLACENTA, Medium.DECIDUA, Medium.MYOMETRIUM, Medium.VISCERA)


def main(folder: Path) -> None:
    """Measure, draw, and write both."""
    angles = measure_angles(folder / "fetal-motion")
    draw_angles(angles).savefig(PICTURES / "simulated-angles.png")
    liver = fm.load_volume(folder / "liver-sweep" / "liver_sweep_compounded_1mm.nii.gz")
    cases = [draw_maternal(number) for number in range(SPECKLE_CASES)]
    boxes = [(case, box) for case in cases if (box := maternal_patch(case)) is not None]
    patches = [case.volume.crop(box[0].tolist(), box[1].tolist()).array for case, box in boxes]
    real = liver.crop(LIVER[0].tolist(), LIVER[1].tolist()).array
    draw_speckle(liver, real, [case for case, _ in boxes[3:6]], patches).savefig(
        PICTURES / "simulated-speckle.png"
    )
    results = {
        "poses": SIMULATED,
        "angles_deg": {
            kind: {joint: percentiles(list(values)) for joint, values in table.items()}
            for kind, table in angles.items()
        },
        "speckle": {"liver": speckle(real), "patches": len(patches),
                    "simulated": spread([speckle(p) for p in patches])},
    }  # fmt: skip
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


def measure_angles(recordings: Path) -> dict[str, dict[str, np.ndarray]]:
    """Joint angles of real poses, simulated ones, and simulated ones that imitate the real."""
    poses = [pose for path in sorted(recordings.glob("*.mat")) for pose in read_recording(path)]
    library = PoseLibrary.from_poses(poses)
    libraries = (
        library,
        draw_poses(SIMULATED, seed=1),
        draw_poses(SIMULATED, seed=1, like=library),
    )
    tables = {}
    for kind, atlases in zip(COLORS, libraries, strict=True):
        all_angles = joint_angles_of(atlases.skeleton, atlases.positions_mm)
        tables[kind] = {
            joint: np.concatenate([all_angles[f"{side}_{joint}"] for side in ("left", "right")])
            for joint in JOINTS
        }
    return tables


def draw_angles(tables: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Histograms of each joint's angle, one line per kind of pose."""
    figure = new_figure(13.0, 3.4)
    for axes, joint in zip(figure.subplots(1, len(JOINTS)), JOINTS, strict=True):
        for kind, table in tables.items():
            axes.hist(
                table[joint], bins=np.arange(0, 181, 7.5), density=True, histtype="stepfilled",
                color=COLORS[kind], alpha=0.25,
            )  # fmt: skip
            axes.hist(
                table[joint], bins=np.arange(0, 181, 7.5), density=True, histtype="step",
                color=COLORS[kind], linewidth=1.6, label=kind,
            )  # fmt: skip
        axes.set_title(joint, color=TEXT, fontsize=10)
        axes.set_xlabel("degrees", color=MUTED, fontsize=8)
        _plain(axes)
    figure.axes[0].legend(facecolor=PANEL, labelcolor=TEXT, edgecolor=PANEL, fontsize=7)
    return figure


def draw_maternal(number: int) -> Rendering:
    """A simulated case with its label map."""
    drawn = draw_case(SimulationSettings(), Seeds.of_case(7, number))
    full = render(drawn, "full", labels=True)
    # As the sweep was compounded: voxels of 1 mm, not averaged.
    every = (slice(None, None, 2),) * 3
    grid = full.volume.grid.stride((2, 2, 2))
    volume, labels = (
        replace(part, array=part.array[every], grid=grid)
        for part in (full.volume, full.labels)
        if part is not None
    )
    return replace(full, volume=volume, labels=labels)


def maternal_patch(
    case: Rendering, size: tuple[int, int, int] = (30, 24, 30)
) -> tuple[np.ndarray, np.ndarray] | None:
    """First and last voxel of the box that holds most of the mother's soft tissue.

    None when less than 97 % of the best box is such tissue.
    """
    labels = case.labels.array  # type: ignore[union-attr]
    part = np.isin(labels, MATERNAL).astype(np.float32)
    for axis, length in enumerate(size):
        part = ndimage.uniform_filter1d(part, length, axis=axis, mode="constant")
    middle = np.unravel_index(part.argmax(), part.shape)
    if part[middle] < 0.97:
        return None
    start = np.maximum(np.array(middle) - np.array(size) // 2, 0)
    return start, start + size


def speckle(grey: np.ndarray) -> dict[str, float]:
    """Statistics of a patch of tissue of 1 mm voxels, free of its slow variation.

    Returns:
        grey: mean grey level; sd: standard deviation of what a Gaussian of 5 mm leaves over;
        skewness and excess kurtosis of that; half: the shortest and longest shift, mm, over the
        three axes at which its autocorrelation falls to one half.
    """
    values = grey.astype(np.float64)
    fine = values - ndimage.gaussian_filter(values, 5.0)
    sd = fine.std()
    lengths = sorted(correlation_length(fine, axis) for axis in range(3))
    return {
        "grey": float(values.mean()),
        "sd_over_mean": float(sd / values.mean()),
        "skewness": float((fine**3).mean() / sd**3),
        "kurtosis": float((fine**4).mean() / sd**4 - 3),
        "shortest_mm": lengths[0],
        "longest_mm": lengths[2],
    }


def correlation_length(fine: np.ndarray, axis: int) -> float:
    """Shift in voxels at which the autocorrelation falls to one half."""
    curve = autocorrelation(fine, axis)
    after = int(np.argmax(curve < 0.5))
    before = curve[after - 1]
    return float(after - 1 + (before - 0.5) / (before - curve[after]))


def autocorrelation(fine: np.ndarray, axis: int, longest: int = 9) -> np.ndarray:
    """Normalised, for shifts of 0 to 8 voxels."""
    moved = np.moveaxis(fine, axis, 0)
    power = (moved**2).mean()
    return np.array([(moved[s:] * moved[: len(moved) - s]).mean() / power for s in range(longest)])


def spread(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    """5th, 50th and 95th percentile of each number."""
    return {name: percentiles([row[name] for row in rows]) for name in rows[0]}


def draw_speckle(
    liver: fm.Volume, real: np.ndarray, shown: list[Rendering], patches: list[np.ndarray]
) -> Figure:
    """Slices of the sweep and of simulated volumes with the tissue that is compared, and how."""
    figure = new_figure(14.0, 6.6)
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.25, 1))[:, 0]
    for part in (top, bottom):
        part.set_facecolor(figure.get_facecolor())
    panels = top.subplots(1, 4)
    _draw_patch(panels[0], liver.array, LIVER[0], LIVER[1], "real: adult liver, compounded sweep")
    for axes, case in zip(panels[1:], shown, strict=True):
        start, stop = maternal_patch(case) or (LIVER[0], LIVER[0])
        _draw_patch(axes, case.volume.array, start, stop, "simulated")
    left, middle_, right = bottom.subplots(1, 3)
    for values, color, alpha, width in [
        *((p, "#8bd3c7", 0.35, 0.9) for p in patches),
        (real, "#f28e2b", 1.0, 2.2),
    ]:
        fine = values - ndimage.gaussian_filter(values.astype(np.float64), 5.0)
        counts, edges = np.histogram(fine / fine.std(), bins=np.linspace(-4, 4, 41), density=True)
        style = {"color": color, "alpha": alpha, "linewidth": width}
        left.plot((edges[1:] + edges[:-1]) / 2, counts, **style)
        curves = [autocorrelation(fine, axis) for axis in range(3)]
        order = np.argsort([correlation_length(fine, axis) for axis in range(3)])
        middle_.plot(curves[order[0]], **style)
        right.plot(curves[order[2]], **style)
    left.set_title("grey level, slow variation removed, in standard deviations",
                   color=MUTED, fontsize=9)  # fmt: skip
    middle_.set_title("autocorrelation over mm, along the sharpest axis", color=MUTED, fontsize=9)
    right.set_title("and along the least sharp axis (orange: real)", color=MUTED, fontsize=9)
    for axes in (left, middle_, right):
        _plain(axes)
    return figure


def _draw_patch(
    axes: Axes, array: np.ndarray, start: np.ndarray, stop: np.ndarray, title: str
) -> None:
    """The slice through the middle of a box, and the box."""
    middle = int(start[2] + stop[2]) // 2
    axes.imshow(array[:, :, middle].T, cmap="gray")
    (left, top), (width, height) = start[:2] - 0.5, (stop - start)[:2]
    axes.add_patch(Rectangle((left, top), width, height, fill=False, color="#ffd166"))
    axes.set_title(title, color=MUTED, fontsize=9)
    axes.set_axis_off()


def _plain(axes: Axes) -> None:
    axes.set_facecolor(PANEL)
    axes.tick_params(colors=MUTED, labelsize=7)
    for spine in axes.spines.values():
        spine.set_color(MUTED)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Draw simulated bodies: `-m studies.body_pictures [--anatomy other] [--output FILE]`.

Ten fetuses, each with its skin from the front, the side and behind, and with two planes of its
volume; and with `--landmarks` one fetus with its landmarks, for the page of their definitions.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import map_coordinates

from fetusmap.geometry import apply_affine, invert_affine
from fetusmap.report import save_figure
from fetusmap.report.theme import MUTED, TEXT, new_figure
from fetusmap.simulate import Drawn, Rendering, Seeds, SimulationSettings, draw_case, render
from fetusmap.simulate.body.body import Body
from fetusmap.simulate.body.shapes import smooth_union
from fetusmap.types import Field, FloatArray

PICTURES = Path(__file__).parents[1] / "docs" / "images"
SEED, CASES = 11, 10
LIGHT = np.array([0.35, 0.50, 0.79])
BLENDS = {"outline": 0.036, "limbs": 0.016, "fine": 0.006}
"""Width of the joint between the shapes of each group, of the crown-rump length."""

VIEWS = {"front": (1, True), "right side": (0, True), "back": (1, False)}
"""Axis of the body frame along which a view looks, and whether it looks towards its lower end."""

SHOWN = ("front", "right side")
EXAMPLE = (11, 9)
"""Seed and case of the fetus with landmarks."""


def skin(body: Body, step_mm: float) -> tuple[Field, list[FloatArray]]:
    """Return the signed distance to the skin on a grid around a body, and the axes of the grid."""
    shapes = (*body.outline, *body.limbs, *body.fine)
    centers, radii = (
        np.concatenate(part) for part in zip(*(s.balls() for s in shapes), strict=True)
    )
    low, high = (centers - radii[:, None]).min(0) - 1, (centers + radii[:, None]).max(0) + 1
    axes = [np.arange(a, b, step_mm) for a, b in zip(low, high, strict=True)]
    x, y, z = np.meshgrid(*(axis.astype(np.float32) for axis in axes), indexing="ij", sparse=True)
    distance = np.full([len(axis) for axis in axes], 1000.0, np.float32)
    for group, blend in BLENDS.items():
        for shape in getattr(body, group):
            distance = smooth_union(distance, shape.distance(x, y, z), blend * body.crl_mm)
    return distance, axes


def shaded(distance: Field, view: str) -> FloatArray:
    """Return a picture of the skin, 0 to 1, from one side; rows run downwards, NaN beside it."""
    axis, backwards = VIEWS[view]
    rays = np.moveaxis(distance, axis, 0)
    rays = rays[::-1] if backwards else rays
    if view == "front":  # the fetus looks at us: its right is on our left
        rays = rays[:, ::-1]
    inside = rays < 0
    first, hit = inside.argmax(axis=0), inside.any(axis=0)
    row, column = np.indices(first.shape)
    here, before = rays[first, row, column], rays[np.maximum(first - 1, 0), row, column]
    depth = first - np.where(hit, here / np.minimum(here - before, -1e-6), 0)
    across, up = np.gradient(depth)
    normal = np.stack([across, up, np.ones_like(up)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light = np.clip(normal @ LIGHT, 0, 1)
    far = (depth - depth[hit].min()) / np.ptp(depth[hit])
    return np.where(hit, (0.15 + 0.85 * light) * (1 - 0.25 * far), np.nan).T[::-1]


def planes(made: Rendering) -> list[FloatArray]:
    """Return the median plane of the trunk, and a plane across it, as pictures."""
    voxel_from_body = invert_affine(made.volume.grid.affine) @ invert_affine(made.body_from_probe)
    along, high = np.meshgrid(np.arange(-28, 62, 0.4), np.arange(-22, 75, 0.4))
    pictures = []
    for place in (
        np.stack([np.zeros_like(along), along, high], axis=-1),
        np.stack([along - 17, np.full_like(along, 8.0), high], axis=-1),
    ):
        voxels = apply_affine(voxel_from_body, place.reshape(-1, 3)).T
        grey = map_coordinates(made.volume.array.astype(np.float32), voxels, order=1)
        pictures.append(grey.reshape(along.shape)[::-1])
    return pictures


def draw_bodies(anatomy: str) -> Figure:
    """Draw ten fetuses in three views and two planes each."""
    settings = SimulationSettings(preset="half", anatomy=anatomy)
    figure = new_figure(15.0, 8.5)
    axes = figure.subplots(len(VIEWS) + 2, CASES)
    for number in range(CASES):
        drawn = draw_case(settings, Seeds.of_case(SEED, number))
        distance, _ = skin(drawn.body, 0.4)
        pictures = [(shaded(distance, view), "bone") for view in VIEWS]
        pictures += [(plane, "gray") for plane in planes(render(drawn, "half"))]
        axes[0, number].set_title(f"{drawn.fetus.weeks:.1f} weeks", color=TEXT, fontsize=8)
        for panel, (picture, colours) in zip(axes[:, number], pictures, strict=True):
            panel.imshow(picture, cmap=colours, vmin=0, vmax=1 if colours == "bone" else 255)
            panel.axis("off")
    return figure


def draw_landmarks(anatomy: str) -> Figure:
    """Draw one fetus from the front and from the right, with its landmarks and their names."""
    seed, number = EXAMPLE
    settings = SimulationSettings(preset="half", anatomy=anatomy)
    drawn = draw_case(settings, Seeds.of_case(seed, number))
    distance, axes = skin(drawn.body, 0.2)
    figure = new_figure(15.0, 10.0)
    for panel, view in zip(figure.subplots(1, len(SHOWN)), SHOWN, strict=True):
        _draw_view(panel, drawn, shaded(distance, view), axes, view)
    return figure


def _draw_view(
    panel: Axes, drawn: Drawn, picture: FloatArray, axes: list[FloatArray], view: str
) -> None:
    """Draw one view with the landmarks that it shows well: the side view leaves out the left."""
    axis = VIEWS[view][0]
    across = axes[1 - axis]
    extent = (across[0], across[-1], axes[2][0], axes[2][-1])
    if view == "front":
        extent = (extent[1], extent[0], *extent[2:])
    panel.imshow(picture * 0.62, cmap="bone", vmin=0, vmax=1, extent=extent)
    pose = drawn.fetus.pose
    places = {
        name: (point[1 - axis], point[2])
        for name, point in zip(pose.skeleton.landmarks, pose.positions_mm, strict=True)
        if view == "front" or not name.startswith("left_")
    }
    for segment in pose.skeleton.segments:
        if segment.start in places and segment.end in places:
            panel.plot(*zip(places[segment.start], places[segment.end], strict=True),
                       color=TEXT, alpha=0.5, linewidth=1)  # fmt: skip
    _label_points(
        panel, places, {str(side): colour for side, colour in pose.skeleton.colors.items()}, extent
    )
    panel.set_title(view, color=MUTED)
    outwards = np.sign(extent[1] - extent[0])
    panel.set_xlim(extent[0] - 16 * outwards, extent[1] + 16 * outwards)
    panel.axis("off")


def _label_points(
    panel: Axes,
    places: dict[str, tuple[float, float]],
    colours: Mapping[str, str],
    extent: tuple[float, float, float, float],
) -> None:
    """Write the names in two columns beside the body, from top to bottom without overlap."""
    middle, outwards = (extent[0] + extent[1]) / 2, np.sign(extent[1] - extent[0])
    columns: dict[bool, list[str]] = {False: [], True: []}
    for name, (x, _) in places.items():
        columns[bool((x - middle) * outwards > 0)].append(name)
    for right, names in columns.items():
        names.sort(key=lambda name: -places[name][1])
        heights = np.linspace(extent[3] - 2, extent[2] + 2, max(len(names), 2))
        for name, height in zip(names, heights, strict=False):
            x, y = places[name]
            side = name.partition("_")[0]
            colour = colours.get(side, TEXT)
            panel.plot(x, y, "o", color=colour, markersize=6, markeredgecolor="black")
            beside = extent[1] + 3 * outwards if right else extent[0] - 3 * outwards
            panel.annotate(
                name.replace("_", " "), (x, y), (beside, height),
                color=colour, ha="left" if right else "right", va="center", fontsize=11,
                arrowprops={"arrowstyle": "-", "color": colour, "alpha": 0.5, "linewidth": 0.7},
            )  # fmt: skip


def main() -> None:
    """Write the picture that the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--anatomy", default="usual", help="range of bodies: usual or other")
    parser.add_argument("--landmarks", action="store_true", help="draw one fetus with landmarks")
    parser.add_argument("--output", type=Path, help="file; a picture of the docs if unset")
    given = parser.parse_args()
    file = "landmarks.png" if given.landmarks else f"bodies-{given.anatomy}.png"
    draw = draw_landmarks if given.landmarks else draw_bodies
    save_figure(draw(given.anatomy), given.output or PICTURES / file)


if __name__ == "__main__":
    main()

"""Small pictures of a case: three planes through the body with landmarks; contact sheets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib import image
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from fetusmap.anatomy import Pose, body_axes
from fetusmap.files import atomic_path
from fetusmap.report.theme import MUTED, TEXT, new_figure
from fetusmap.types import FloatArray, RotationMatrix
from fetusmap.volume import Volume

Picture = NDArray[np.uint8]
MAX_PLANE_DISTANCE_MM = 4.0
"""A landmark is drawn on a plane if it lies at most this far from it."""


@dataclass(frozen=True)
class Plane:
    """A plane through the body, with the body axes that run rightwards and upwards on paper.

    Attributes:
        name: name of the plane.
        right: axis of the body (0 right, 1 ventral, 2 cranial) that runs rightwards, and its sign.
        up: axis that runs upwards, and its sign.
    """

    name: str
    right: tuple[int, int]
    up: tuple[int, int]


PLANES = (
    Plane("sagittal", (1, 1), (2, 1)),
    Plane("coronal", (0, -1), (2, 1)),
    Plane("transverse", (0, -1), (1, 1)),
)


def preview_picture(
    volume: Volume, pose: Pose, *, size: int = 200, width_mm: float | None = None
) -> Picture:
    """Return a (size, 3 size, 3) picture: sagittal, coronal and transverse plane of the trunk.

    The planes follow the body, or the axes of the volume if those of the body are unknown.

    Args:
        volume: the volume; its darkest 0.5 % and brightest 0.1 % become black and white.
        pose: the pose; landmarks within 4 mm of a plane are drawn as dots in the colours of the
            skeleton.
        size: width of each plane in pixels.
        width_mm: width of each plane in mm; if None, the planes show the whole body.
    """
    axes, center = _frame(volume, pose)
    if width_mm is None:
        away = np.linalg.norm(pose.positions_mm - center, axis=1)
        far = float(np.nanmax(away)) if pose.present.any() else float(volume.grid.extent_mm.max())
        width_mm = 2.0 * min(1.25 * far + 5, float(volume.grid.extent_mm.max()))
    panels = [_draw_plane(volume, pose, plane, axes, center, size, width_mm) for plane in PLANES]
    picture = np.concatenate(panels, axis=1)
    picture[:, size:-1:size] = picture[:, size - 1 : -1 : size] = 0  # a line between the planes
    return picture


def save_picture(picture: Picture, path: Path) -> None:
    """Write a PNG atomically and without a date, so that equal pictures give equal files."""
    buffer = BytesIO()
    image.imsave(buffer, picture, format="png", metadata={"Software": ""})
    with atomic_path(path) as draft:
        draft.write_bytes(buffer.getvalue())


def draw_contact_sheet(
    pictures: Sequence[Picture],
    titles: Sequence[str],
    *,
    columns: int = 4,
    heading: str = "",
    caption: str = "",
) -> Figure:
    """Draw many pictures of one size on one page, each below its title, above a caption."""
    rows = -(-len(pictures) // columns)
    aspect = pictures[0].shape[0] / pictures[0].shape[1]
    width = 3.6 * columns
    folded = fill(caption, int(16 * width))
    lines = folded.count("\n") + 1 if caption else 0
    figure = new_figure(width, rows * (3.6 * aspect + 0.22) + 0.4 + 0.14 * lines)
    if heading:
        figure.suptitle(heading, color=TEXT, fontsize=11)
    if caption:
        figure.supxlabel(folded, color=MUTED, fontsize=7)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, picture, title in zip(panels.flat, pictures, titles, strict=False):
        axes.imshow(picture)
        axes.set_title(title, color=MUTED, fontsize=7, pad=2)
    return figure


def _frame(volume: Volume, pose: Pose) -> tuple[RotationMatrix, FloatArray]:
    """Return the body axes and the point where the planes meet, the middle of the trunk."""
    axes = body_axes(pose)
    if not np.isfinite(axes).all():
        return volume.grid.direction, volume.grid.center_mm
    trunk = pose.positions_mm[pose.skeleton.indices(pose.skeleton.trunk or ())]
    middle = np.nanmean(trunk, axis=0)
    # The spine lies at the back of the trunk, so its middle is further ventral.
    return axes, middle + axes[:, 1] * 0.12 * np.linalg.norm(trunk[-1] - trunk[0])


def _draw_plane(
    volume: Volume,
    pose: Pose,
    plane: Plane,
    axes: RotationMatrix,
    center: FloatArray,
    size: int,
    width_mm: float,
) -> Picture:
    right = axes[:, plane.right[0]] * plane.right[1]
    up = axes[:, plane.up[0]] * plane.up[1]
    towards = np.cross(right, up)
    step = width_mm / size
    across = (np.arange(size) - (size - 1) / 2) * step
    points = center + across[:, None, None] * right + across[None, :, None] * up
    index = np.moveaxis(volume.grid.to_index(points), -1, 0)
    cut = ndimage.map_coordinates(volume.array, index, output=np.float32, order=1)
    low, high = np.percentile(volume.array[::4, ::4, ::4], [0.5, 99.9])
    grey = np.clip((cut - low) / max(high - low, 1e-6), 0, 1)
    picture = np.repeat((255 * grey).astype(np.uint8)[:, :, None], 3, axis=2)
    views = np.column_stack([right, up, towards])
    flat = (pose.positions_mm - center) @ views
    for mark, (x, y, depth) in zip(pose, flat, strict=True):
        if abs(depth) <= MAX_PLANE_DISTANCE_MM:
            color = np.array(to_rgb(pose.skeleton.color(mark.side)))
            _dot(picture, x / step + (size - 1) / 2, y / step + (size - 1) / 2, size / 90, color)
    return picture.transpose(1, 0, 2)[::-1]


def _dot(picture: Picture, x: float, y: float, radius: float, color: FloatArray) -> None:
    i, j = np.ogrid[: picture.shape[0], : picture.shape[1]]
    away = np.hypot(i - x, j - y)
    picture[away < radius + 1] = 0
    picture[away < radius] = (255 * color).astype(np.uint8)

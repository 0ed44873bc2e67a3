"""The shaded surface of a mask, in the same views as skeletons."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from scipy import ndimage

from fetusmap.geometry import Grid, affine_from
from fetusmap.report.views import View
from fetusmap.types import FloatArray
from fetusmap.volume import Volume, resample

SKIN = np.array([0.93, 0.74, 0.62])
SAMPLES = 200  # along each edge of the cube that the rays cross
LIGHT = np.array([-0.35, 0.55, 0.76])


def draw_surface(
    axes: Axes, mask: Volume, view: View, *, center_mm: FloatArray, width_mm: float, size: int = 360
) -> None:
    """Draw the surface of a solid in a view; a skeleton in the same view fits over it.

    Args:
        axes: axes to draw on, in mm of the view.
        mask: volume that is positive inside the solid.
        view: the view.
        center_mm: (3,) world point in the middle of the picture.
        width_mm: width of the picture.
        size: width of the picture in pixels.
    """
    picture = shade_surface(mask, view, center_mm=center_mm, width_mm=width_mm, size=size)
    x, y, _ = view.project(np.asarray(center_mm))
    half = width_mm / 2
    axes.imshow(
        picture, origin="lower", extent=(x - half, x + half, y - half, y + half),
        interpolation="bilinear", zorder=0,
    )  # fmt: skip


def shade_surface(
    mask: Volume, view: View, *, center_mm: FloatArray, width_mm: float, size: int = 360
) -> FloatArray:
    """Return (size, size, 4) colours, rows upwards, transparent beside the solid.

    Rays run against the direction of view. The surface lies where the smoothed mask first exceeds
    one half; its brightness follows from its slope (Lambert).
    """
    step = width_mm / size
    coarse = width_mm / SAMPLES
    count = round(width_mm / coarse)
    linear = view.axes.T * coarse
    corner = np.asarray(center_mm) - linear @ np.full(3, (count - 1) / 2)
    grid = Grid((count, count, count), affine_from(linear, corner))
    # Smoothed, because voxels have corners and a body has none.
    soft = ndimage.gaussian_filter((mask.array > 0).astype(np.float32), 1.1, truncate=2.5)
    density = resample(Volume(soft, mask.grid), grid, antialias=False).array
    first = np.argmax(density[:, :, ::-1] > 0.5, axis=2)
    hit = density.max(axis=2) > 0.5
    near = np.take_along_axis(density[:, :, ::-1], first[:, :, None], axis=2)[:, :, 0]
    before = np.take_along_axis(density[:, :, ::-1], np.maximum(first - 1, 0)[:, :, None], axis=2)[
        :, :, 0
    ]
    # Between two samples the surface lies where their straight line passes one half.
    part = np.clip((0.5 - before) / np.maximum(near - before, 1e-6), 0, 1)
    height = -(first - 1 + part) * coarse
    height[~hit] = height[hit].min() if hit.any() else 0
    zoom = size / count
    height = ndimage.zoom(ndimage.gaussian_filter(height, 0.6), zoom, order=1)[:size, :size]
    cover = np.clip(
        2 * ndimage.zoom(hit.astype(np.float32), zoom, order=1)[:size, :size] - 0.5, 0, 1
    )
    slope_x, slope_y = np.gradient(height, step)
    normal = np.stack([-slope_x, -slope_y, np.ones_like(height)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light = np.clip(normal @ (LIGHT / np.linalg.norm(LIGHT)), 0, 1)
    deep = np.clip((height - height[cover > 0.5].min()) / width_mm, 0, 1) if hit.any() else 0
    shade = (0.22 + 0.78 * light) * (0.7 + 0.5 * deep)
    colors = np.clip(shade[..., None] * SKIN, 0, 1)
    return np.concatenate([colors, cover[..., None]], axis=-1).transpose(1, 0, 2)

"""Drawings of the page of a case as points of an SVG: a skeleton and a growth chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fetusmap.anatomy import (
    CHARTS,
    CrownRumpLength,
    GestationalAgeInterval,
    Pose,
    crown_rump_length_at,
)
from fetusmap.report.views import View
from fetusmap.types import FloatArray

SIZE = 300.0
MARGIN = 14.0


@dataclass(frozen=True)
class SkeletonDrawing:
    """A pose in one view.

    Attributes:
        title: name of the view.
        lines: (x1, y1, x2, y2, colour) of each segment, distant ones first.
        dots: (x, y, colour) of each landmark that is present.
    """

    title: str
    lines: Sequence[tuple[float, float, float, float, str]]
    dots: Sequence[tuple[float, float, str]]


def draw_skeleton_svg(pose: Pose, view: View) -> SkeletonDrawing:
    """Draw a pose into a square of `SIZE`, in the colours of its skeleton."""
    flat = view.project(pose.positions_mm)
    known = flat[pose.present]
    middle = (known.min(axis=0) + known.max(axis=0))[:2] / 2
    scale = (SIZE - 2 * MARGIN) / max(float(np.ptp(known[:, :2], axis=0).max()), 1.0)
    places = np.round(SIZE / 2 + (flat[:, :2] - middle) * (scale, -scale), 1)
    skeleton = pose.skeleton
    lines = []
    for segment, (start, end) in zip(skeleton.segments, skeleton.segment_index, strict=True):
        if pose.present[[start, end]].all():
            color = skeleton.color(skeleton.segment_side(segment))
            ends = [float(v) for v in (*places[start], *places[end])]
            lines.append((float(flat[[start, end], 2].mean()), (*ends, color)))
    dots = [
        (float(x), float(y), skeleton.color(mark.side))
        for mark, (x, y) in zip(pose, places, strict=True)
        if mark.is_present
    ]
    ordered = [line for _, line in sorted(lines, key=lambda item: item[0])]
    return SkeletonDrawing(view.title, ordered, dots)  # type: ignore[arg-type]


@dataclass(frozen=True)
class GrowthDrawing:
    """A crown-rump length on its growth chart, in a rectangle of 360 by 220.

    Attributes:
        band: points of the area between the 3rd and the 97th centile.
        median: points of the median.
        weeks: (x, label) of the axis of ages.
        lengths: (y, label) of the axis of lengths.
        y: height of the length; None if it is not known or outside the chart.
        y_low: height of the lower end of its interval.
        y_high: height of the upper end.
        x: place of the age on the median.
    """

    band: str
    median: str
    weeks: Sequence[tuple[float, str]]
    lengths: Sequence[tuple[float, str]]
    y: float | None
    y_low: float | None
    y_high: float | None
    x: float | None


CHART_WIDTH, CHART_HEIGHT, CHART_LEFT, CHART_BOTTOM = 360.0, 220.0, 36.0, 26.0
CHART_TOP_MM = 100.0
CENTILE_97 = 1.881


def draw_growth(crl: CrownRumpLength, age: GestationalAgeInterval) -> GrowthDrawing:
    """Draw a length and its interval as a band across the chart of INTERGROWTH-21st."""
    chart = CHARTS["crown_rump_length"]
    first, last = chart.days
    days = np.linspace(first, last, 48)
    mean = np.array([crown_rump_length_at(float(day), "intergrowth-21st") for day in days])
    spread = CENTILE_97 * np.array([chart.sd_mm(float(day)) for day in days])

    def x_of(day: float) -> float:
        span = CHART_WIDTH - CHART_LEFT - 8
        return round(CHART_LEFT + (day - first) / (last - first) * span, 1)

    def y_of(length: float) -> float:
        bottom = CHART_HEIGHT - CHART_BOTTOM
        return round(bottom - length / CHART_TOP_MM * (bottom - 8), 1)

    def points(x: FloatArray, y: FloatArray) -> str:
        return " ".join(f"{x_of(a)},{y_of(b)}" for a, b in zip(x, y, strict=True))

    def height(length: float) -> float | None:
        return y_of(min(max(length, 0.0), CHART_TOP_MM)) if np.isfinite(length) else None

    inside = first <= age.days <= last  # False for NaN
    return GrowthDrawing(
        band=f"{points(days, mean + spread)} {points(days[::-1], (mean - spread)[::-1])}",
        median=points(days, mean),
        weeks=[(x_of(7.0 * week), str(week)) for week in range(9, 16)],
        lengths=[(y_of(float(mm)), str(mm)) for mm in range(0, 101, 20)],
        y=height(crl.length_mm),
        y_low=height(crl.low_mm),
        y_high=height(crl.high_mm),
        x=x_of(age.days) if inside else None,
    )

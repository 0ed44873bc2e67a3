"""Measurements as rows of a table, with left and right side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fetusmap.anatomy import Measurement, Pose, measurements
from fetusmap.report.sides import SidedName, sided_angles, sided_segments

DEGREE = "\N{DEGREE SIGN}"


@dataclass(frozen=True)
class MeasurementRow:
    """One row of a table: the values of both sides, or one value of the midline."""

    name: str
    left: str = ""
    right: str = ""
    middle: str = ""


def length_rows(pose: Pose) -> list[MeasurementRow]:
    """Return the lengths of all segments, mm."""
    return _rows(_texts(pose, "length"), sided_segments(pose.skeleton))


def angle_rows(pose: Pose) -> list[MeasurementRow]:
    """Return all joint angles and the flexion of the trunk, degrees."""
    return _rows(_texts(pose, "angle"), sided_angles(pose.skeleton))


def _texts(pose: Pose, kind: str) -> dict[str, str]:
    return {m.name: _text_of(m) for m in measurements(pose) if m.kind == kind}


def _rows(texts: Mapping[str, str], sided: Mapping[str, SidedName]) -> list[MeasurementRow]:
    """Return one row for each measure, in order; both sides of a measure share a row."""
    rows: dict[str, MeasurementRow] = {}
    for name, text in texts.items():
        label, side = sided.get(name, SidedName(name, "midline"))
        row = rows.get(label, MeasurementRow(label.replace("_", " ")))
        match side:
            case "left":
                rows[label] = replace(row, left=text)
            case "right":
                rows[label] = replace(row, right=text)
            case _:
                rows[label] = replace(row, middle=text)
    return list(rows.values())


def _text_of(measurement: Measurement) -> str:
    if not np.isfinite(measurement.value):
        return "-"
    if measurement.unit == "mm":
        return f"{measurement.value:.1f}"
    return f"{measurement.value:.0f}{DEGREE}"

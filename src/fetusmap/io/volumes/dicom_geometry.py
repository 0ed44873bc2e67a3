"""Geometry of DICOM frames: their order, the distance between them, and the affine of the volume.

DICOM states positions and directions in millimetres, left, posterior and superior. An Enhanced US
Volume has its own frame of reference instead of the patient's; it is right-handed, too, so sides
are certain there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fetusmap.errors import UnreadableFile
from fetusmap.geometry import affine_from
from fetusmap.io.volumes.dicom_frames import Frame
from fetusmap.types import Affine, FloatArray

UNEVEN = 0.01
"""Largest deviation of a frame from its place between evenly spaced ones, in parts of a step."""

ANGLE = 1e-3
"""Largest deviation of direction cosines from unit length and from a right angle."""

AGAIN = "export the volume again"
CENTIMETRES = 3.0
ORDER_ASSUMED = (
    "the file does not state where its frames lie: the stored order is taken as theirs, "
    "and axes without a stated direction as left, posterior, superior; so left and right rest on "
    "an assumption: compare one case with a "
    "known side before you rely on them (--mirror exchanges them)"
)


@dataclass(frozen=True)
class Stack:
    """Frames in order, and where they lie.

    Attributes:
        frames: along the third axis of the volume.
        affine: (4, 4) world_from_index, indices are column, row, frame; None if it is unknown.
        origin: where the geometry was found, in words.
        doubt: what is missing for an affine, or "".
        sides_assumed: remark if left and right rest on an assumption, or "".
        warnings: what contradicts or had to be assumed, in words.
    """

    frames: tuple[Frame, ...]
    affine: Affine | None
    origin: str
    doubt: str = ""
    sides_assumed: str = ""
    warnings: tuple[str, ...] = ()


def stack_of(frames: Sequence[Frame], path: Path) -> Stack:
    """Put the frames of one volume in order, and find its affine.

    Raises:
        UnreadableFile: positions or spacings are contradictory, uneven or impossible.
    """
    spacing = _same(frames, [_in_plane(f) for f in frames], "spacing", path)
    positions = [_vector(f, "ImagePositionVolume", "ImagePositionPatient", 3) for f in frames]
    directions = [
        _vector(f, "ImageOrientationVolume", "ImageOrientationPatient", 6) for f in frames
    ]
    for name, stated in (("position", positions), ("orientation", directions)):
        if any(v is None for v in stated) and any(v is not None for v in stated):
            raise _refused(path, f"the {name} of every frame", "some frames without one")
    if positions[0] is None:
        axes = np.eye(3) if directions[0] is None else _axes(np.array(directions), path)
        return _without_positions(frames, spacing, axes, path)
    if directions[0] is None:
        raise _refused(path, "an orientation of the frames beside their positions", "none")
    axes = _axes(np.array(directions, dtype=np.float64), path)
    return _positioned(frames, spacing, np.array(positions, dtype=np.float64), axes, path)


def _positioned(
    frames: Sequence[Frame],
    spacing: tuple[float, ...] | None,
    positions: FloatArray,
    axes: FloatArray,
    path: Path,
) -> Stack:
    """Return frames sorted along their normal.

    Args:
        frames: n frames of one orientation.
        spacing: between rows and between columns.
        positions: (n, 3) of the first voxel of each frame.
        axes: (3, 3) columns: along a row, along a column, normal.
        path: for messages.
    """
    along = positions @ axes[:, 2]
    order = np.argsort(along, kind="stable")
    positions, along = positions[order], along[order]
    in_order = tuple(frames[n] for n in order)
    if len(frames) == 1:
        return Stack(in_order, None, "positions of the frames", doubt="a single frame")
    step = (positions[-1] - positions[0]) / (len(frames) - 1)
    steps, mean = np.diff(along), float(np.linalg.norm(step))
    if not steps.min() > 1e-3 * max(mean, 1e-6):
        raise _refused(path, "frames at different positions", "several frames in one place")
    wanted = positions[0] + np.arange(len(frames))[:, None] * step
    if np.abs(positions - wanted).max() > UNEVEN * mean:
        found = f"{steps.min():.4g} to {steps.max():.4g} mm"
        if steps.max() > 1.5 * np.median(steps):
            found += ", as if frames were missing"
        raise _refused(path, "evenly spaced frames along a straight line", found)
    warnings = _contradictions(frames, mean)
    if spacing is None:
        return Stack(
            in_order, None, "positions of the frames", doubt="no spacing within a frame",
            warnings=warnings,
        )  # fmt: skip
    rows_mm, columns_mm = spacing
    columns = np.column_stack([axes[:, 0] * columns_mm, axes[:, 1] * rows_mm, step])
    alone = len({f.instance for f in frames}) == 1
    shuffled = ", which are not stored in order" if alone and (np.diff(order) != 1).any() else ""
    return Stack(
        in_order,
        affine_from(columns, positions[0]),
        f"positions of the frames{shuffled}",
        warnings=warnings,
    )


def _without_positions(
    frames: Sequence[Frame], spacing: tuple[float, ...] | None, axes: FloatArray, path: Path
) -> Stack:
    """Return frames in the order of their numbers, with the spacing that the file states, if any.

    Args:
        frames: of one orientation.
        spacing: between rows and between columns.
        axes: (3, 3) directions of the axes, stated or assumed.
        path: for messages.
    """
    numbers = [f.number("InStackPositionNumber") or f.number("InstanceNumber") for f in frames]
    if all(n is not None for n in numbers) and len(set(numbers)) == len(frames):
        order = np.argsort(np.array(numbers, dtype=np.float64), kind="stable")
        frames = [frames[n] for n in order]
        gaps = np.diff(np.array(numbers, dtype=np.float64)[order])
        if len(gaps) and gaps.max() > gaps.min():
            raise _refused(path, "frames with consecutive numbers", "a gap between them")
    between = _same(frames, [f.numbers("SpacingBetweenSlices", 1) for f in frames], "spacing", path)
    if between is None:
        delta = frames[0].number("delta z")
        between = None if delta is None else (delta * 10,)
    if spacing is None or between is None:
        plane = "" if spacing is None else f" of {spacing[1]:.4g} x {spacing[0]:.4g} mm"
        doubt = f"{len(frames)} frames{plane} without a distance between them"
        if frames[0].number("FrameTime"):
            doubt += " (perhaps a film of one plane, because a time between frames is stated)"
        return Stack(tuple(frames), None, "nothing", doubt, ORDER_ASSUMED)
    diagonal = np.array([spacing[1], spacing[0], between[0]])
    if not (diagonal > 0).all():
        raise _refused(path, "positive spacings", " x ".join(f"{v:.4g}" for v in diagonal))
    return Stack(
        tuple(frames), affine_from(axes * diagonal, np.zeros(3)), "stated spacings",
        sides_assumed=ORDER_ASSUMED,
    )  # fmt: skip


def _in_plane(frame: Frame) -> tuple[float, ...] | None:
    """Return the distance between rows and between columns, mm."""
    spacing = frame.numbers("PixelSpacing", 2)
    if spacing is None:
        x, y = frame.number("PhysicalDeltaX"), frame.number("PhysicalDeltaY")
        units = {frame.number(f"PhysicalUnits{axis}Direction") for axis in "XY"}
        if x is None or y is None or not units <= {None, CENTIMETRES}:
            return None
        spacing = (abs(y) * 10, abs(x) * 10)
    if min(spacing) <= 0:
        shown = " x ".join(f"{v:g}" for v in spacing)
        raise _refused(frame.path, "a positive spacing within a frame", f"{shown} mm")
    return spacing


def _vector(frame: Frame, word: str, other: str, count: int) -> tuple[float, ...] | None:
    return frame.numbers(word, count) or frame.numbers(other, count)


def _axes(directions: FloatArray, path: Path) -> FloatArray:
    """Return the (3, 3) unit vectors along a row, along a column, and of the normal."""
    if np.abs(directions - directions[0]).max() > ANGLE:
        raise _refused(path, "frames of one orientation", "several orientations")
    row, column = directions[0].reshape(2, 3)
    lengths = np.linalg.norm([row, column], axis=1)
    if np.abs(lengths - 1).max() > ANGLE or abs(row @ column) > ANGLE:
        raise _refused(path, "two unit vectors at a right angle as orientation", "other vectors")
    row = row / np.linalg.norm(row)
    column = column - (column @ row) * row
    column = column / np.linalg.norm(column)
    return np.column_stack([row, column, np.cross(row, column)])


def _same(
    frames: Sequence[Frame],
    values: Sequence[tuple[float, ...] | None],
    name: str,
    path: Path,
) -> tuple[float, ...] | None:
    """Return what all frames state; None if none states anything.

    Raises:
        UnreadableFile: they differ.
    """
    stated = [v for v in values if v is not None]
    if not stated:
        return None
    if len(stated) < len(frames) or np.ptp(np.array(stated), axis=0).max() > 1e-6:
        raise _refused(path, f"one {name} for all frames", "different ones")
    return stated[0]


def _contradictions(frames: Sequence[Frame], step_mm: float) -> tuple[str, ...]:
    """Return a remark if a stated distance between frames contradicts their positions."""
    stated = {abs(v) for f in frames if (v := f.number("SpacingBetweenSlices")) is not None}
    odd = [v for v in stated if abs(v - step_mm) > UNEVEN * step_mm]
    if not odd:
        return ()
    return (
        f"the stated distance between frames ({odd[0]:.4g} mm) contradicts their positions "
        f"({step_mm:.4g} mm), which are used",
    )


def _refused(path: Path, expected: str, found: str) -> UnreadableFile:
    return UnreadableFile(path, expected=expected, found=found, remedy=AGAIN)

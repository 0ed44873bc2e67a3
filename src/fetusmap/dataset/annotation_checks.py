"""What is doubtful about an annotation, when it comes in: places, lengths and sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from fetusmap.anatomy import (
    Pose,
    SizeFacts,
    Skeleton,
    built_in_skeletons,
    load_skeleton,
    shape_implausibilities,
    size_implausibility,
    trunk_path_mm,
)
from fetusmap.anatomy.plausibility import length_limits
from fetusmap.atlas import PoseLibrary, exchanged_parts, load_atlases
from fetusmap.errors import BadInput
from fetusmap.geometry import Grid
from fetusmap.types import BoolArray

MAX_DISTANCE_OUTSIDE_MM = 10.0
"""A landmark may lie so far outside the volume: a hand that the volume cuts off can be guessed."""

MIN_EXCESS_MM = 10.0
"""A segment that is longer than plausible by less may owe it to errors of its two landmarks."""

PLACEHOLDER = (-1.0, -1.0, -1.0)
"""Position that other programs write for an absent landmark, in voxels or in millimetres."""

MAX_ROUNDING = 1e-6

MANY_TIMES = 1.5
"""A segment may be this many times longer than the longest plausible one for its trunk. Of 2,400
simulated poses with errors of 1 or 2 mm, 7 have a longer one or two landmarks in one place; of 210
poses of real fetuses none."""


def check_annotation(pose: Pose, grid: Grid, subject: str) -> tuple[Pose, tuple[str, ...]]:
    """Say what is doubtful about an annotation, and remove landmarks that stand for absent ones.

    Args:
        pose: the annotated landmarks.
        grid: grid of the volume that was annotated.
        subject: name of the case, for errors.

    Returns:
        The pose without placeholders, and a sentence for each doubt.

    Raises:
        BadInput: most landmarks lie far outside the volume, so the two do not belong together; or
            all of them are placeholders.
    """
    pose, doubts = _without_placeholders(pose, grid, subject)
    _check_belongs(pose, grid, subject)
    return pose, (
        *doubts,
        *_doubts_about_places(pose, grid),
        *_doubts_about_lengths(pose),
        *_doubts_about_sides(pose),
    )


def remarks_about(pose: Pose, grid: Grid) -> tuple[str, ...]:
    """Say what is unusual about an annotated body: its size, and lengths of its parts.

    That is no reason to leave a case out of a training, as the body may be older than those that
    the models of this package were trained on.
    """
    size = size_implausibility(pose, SizeFacts(tuple(grid.spacing_mm.tolist())))
    shape = shape_implausibilities(pose)
    return (
        *([size.reason] if size is not None and size.kind == "impossible size" else []),
        *(found.reason for found in shape if found.kind != "place"),
    )


def _without_placeholders(pose: Pose, grid: Grid, subject: str) -> tuple[Pose, list[str]]:
    """Make landmarks at (-1, -1, -1) absent."""
    places = (grid.to_index(pose.positions_mm), pose.positions_mm)
    marked = np.any(
        [(np.abs(place - PLACEHOLDER) <= MAX_ROUNDING).all(axis=1) for place in places], axis=0
    )
    if not marked.any():
        return pose, []
    names = _names(pose, marked)
    if marked[pose.present].all():
        raise BadInput(
            subject,
            expected="landmarks",
            found=f"(-1, -1, -1) for {names}",
            remedy="annotate the case, or leave it out",
        )
    positions = np.where(marked[:, None], np.nan, pose.positions_mm)
    doubt = f"{names} at (-1, -1, -1), which stands for an absent landmark: taken as absent"
    return replace(pose, positions_mm=positions), [doubt]


def _check_belongs(pose: Pose, grid: Grid, subject: str) -> None:
    """Refuse an annotation of which most lies outside the volume."""
    outside = _far_outside(pose, grid)
    if 2 * outside.sum() > pose.present.sum():
        raise BadInput(
            subject,
            expected="landmarks in or near the volume",
            found=f"{outside.sum()} of {pose.present.sum()} landmarks more than "
            f"{MAX_DISTANCE_OUTSIDE_MM:g} mm outside",
            remedy="check that volume and landmarks belong together, and their coordinates",
        )


def _far_outside(pose: Pose, grid: Grid) -> BoolArray:
    near = grid.contains(pose.positions_mm, margin_mm=-MAX_DISTANCE_OUTSIDE_MM)
    return np.asarray(pose.present & ~near)


def _doubts_about_places(pose: Pose, grid: Grid) -> list[str]:
    doubts = []
    outside = _far_outside(pose, grid)
    if outside.any():
        far = f"more than {MAX_DISTANCE_OUTSIDE_MM:g} mm outside the volume"
        doubts.append(f"{_names(pose, outside)} {_verb(outside)} {far}")
    corner = np.asarray((np.abs(grid.to_index(pose.positions_mm)) <= MAX_ROUNDING).all(axis=1))
    if corner.any():
        doubts.append(f"{_names(pose, corner)} {_verb(corner)} in the first voxel of the volume")
    return doubts


def _doubts_about_lengths(pose: Pose) -> list[str]:
    """Name the segments that are many times too long, and the landmarks in one place."""
    trunk = trunk_path_mm(pose)
    longest = length_limits(pose.skeleton)[:, 1] * trunk
    doubts = [
        f"{name} measures {length:.1f} mm, {length / limit:.1f} times the longest plausible length "
        f"for a trunk of {trunk:.1f} mm"
        for (name, length), limit in zip(pose.lengths_mm().items(), longest, strict=True)
        if length > max(MANY_TIMES * limit, limit + MIN_EXCESS_MM)
    ]
    places = (found for found in shape_implausibilities(pose) if found.kind == "place")
    return [*doubts, *(found.reason for found in places)]


def _doubts_about_sides(pose: Pose) -> list[str]:
    """Compare the sides with a pose library, where there is one for the skeleton."""
    atlases = _atlases_of(pose.skeleton)
    if atlases is None:
        return []
    parts = exchanged_parts(pose.positions_mm, atlases)
    if parts == ("body",):
        return [
            "left and right of the whole body are exchanged, or the volume is mirrored: the bend "
            "of the limbs contradicts the sides"
        ]
    return [f"left and right {part} are exchanged" for part in parts]


@cache
def _atlases_of(skeleton: Skeleton) -> PoseLibrary | None:
    """Return the shipped library of a built-in skeleton, else None.

    The landmarks of another skeleton may have the same names and other definitions.
    """
    known = skeleton.name in built_in_skeletons() and load_skeleton(skeleton.name) == skeleton
    return load_atlases(skeleton) if known else None


def _names(pose: Pose, rows: BoolArray) -> str:
    names: Sequence[str] = [pose.skeleton.landmarks[row] for row in np.flatnonzero(rows)]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _verb(rows: BoolArray) -> str:
    return "lies" if rows.sum() == 1 else "lie"

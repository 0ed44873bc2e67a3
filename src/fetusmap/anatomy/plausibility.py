"""Whether a pose is plausible: the size of the body and the lengths of its segments.

The limits are in `plausibility.toml`, with their sources. All functions accept a pose in any frame
of millimetres. What a skeleton does not have, such as a trunk or mirror pairs, is not checked.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import numpy as np

from fetusmap.anatomy.crown_rump import crown_rump_length
from fetusmap.anatomy.measure import trunk_length_mm
from fetusmap.anatomy.pose import Pose
from fetusmap.anatomy.sided_limbs import limbs_of_both_sides
from fetusmap.anatomy.skeleton import Segment, Skeleton
from fetusmap.anatomy.skeleton_file import built_in_skeletons
from fetusmap.types import BoolArray, FloatArray, Triple

MAX_WIDENING = 1.25
"""A length may be this many times longer or shorter than any that was seen in the bodies of the
table, because bodies of life differ from those of a simulator."""

MAX_PROPORTION = 1.8
"""A segment that the table does not have may be this many times longer or shorter, relative to the
trunk, than in the reference pose of the skeleton."""

LENGTH_TOLERANCE_MM = 3.5
"""A length may miss its limits by this much: errors of 1 mm per axis of its two landmarks miss them
by more in 1 of 1,000 bodies."""

MAX_ASYMMETRY = 0.35
"""A left and a right segment may differ by this fraction of their mean, and by the next value."""

ASYMMETRY_TOLERANCE_MM = 4.5
"""Errors of 1 mm per axis of four landmarks exceed both together in 4 of 1,000 bodies."""

MIN_STRAIGHTNESS = 0.75
"""The distance from sacrum to neck, divided by the length along the spine. It is 0.94 or more in
simulated bodies."""

MIN_DISTANCE = 0.04
"""Trunk lengths. Two landmarks that no segment joins and that are closer lie in one place. Their
distance is 0.046 or more in simulated bodies."""

MIN_JOINED_DISTANCE = 0.01
"""The same for the two ends of a segment, of which a wrist and a hand are the closest: 0.05."""

MIN_DISTANCE_MM = 0.1
"""The same for a body whose trunk has no length or is not known."""

MAX_LISTED = 3
"""So many pairs of landmarks in one place are named singly; more of them share a sentence."""


@dataclass(frozen=True)
class SizeFacts:
    """What is known about the size of the body in a file; None for what is not known.

    Attributes:
        spacing_mm: voxel size of the file, which a reason names: a wrong one is the most frequent
            cause of a wrong size.
        trained_trunks_mm: lowest and highest usual distance from sacrum to neck of the bodies that
            the model was trained on. A body within them is not doubted, whatever its age.
    """

    spacing_mm: Triple | None = None
    trained_trunks_mm: tuple[float, float] | None = None

    @property
    def in_brackets(self) -> str:
        """The voxel size, such as " (0.5 x 0.5 x 1 mm)"; nothing if it is not known."""
        if self.spacing_mm is None:
            return ""
        return f" ({' x '.join(f'{step:.3g}' for step in self.spacing_mm)} mm)"


NOTHING_KNOWN = SizeFacts()

Kind = Literal["impossible size", "unusual size", "lengths", "sides", "place"]


@dataclass(frozen=True)
class Implausibility:
    """One reason to doubt a pose.

    Attributes:
        kind: what is implausible. A size is unusual for fetuses that the shipped models were
            trained on, or impossible for a fetus that they may be used for; `lengths` are those of
            a limb or of the midline; `sides` differ; two landmarks lie in one `place`.
        reason: the reason, in words.
    """

    kind: Kind
    reason: str


def implausibilities(pose: Pose) -> tuple[str, ...]:
    """Return reasons to doubt a pose of a fetus of any age, in words; empty if there is none.

    Absent landmarks are named first, then what `shape_implausibilities` finds. The size of the body
    is not judged, see `size_implausibility`.
    """
    absent = [
        f"{name} is absent"
        for name, there in zip(pose.skeleton.landmarks, pose.present, strict=True)
        if not there
    ]
    return (*absent, *(found.reason for found in shape_implausibilities(pose)))


def size_implausibility(pose: Pose, facts: SizeFacts = NOTHING_KNOWN) -> Implausibility | None:
    """Return a reason if the body is too small or too large for the model, else None.

    Args:
        pose: pose in any frame of millimetres. The length is that of `crown_rump_length`, which is
            doubted only if its whole interval is outside the limits; without it, the length of the
            trunk.
        facts: what is known about the size.
    """
    trunks = facts.trained_trunks_mm
    if trunks is not None and trunks[0] <= trunk_length_mm(pose) <= trunks[1]:
        return None
    crl = crown_rump_length(pose)
    length, margin = crl.length_mm, float(np.nan_to_num(crl.half_width_mm))
    what, key = "body", "crown_rump_mm"
    if np.isnan(length):
        length, margin, what, key = trunk_path_mm(pose), 0.0, "trunk", "trunk_mm"
    trained, possible = _table()["trained"], _table()["possible"]

    def side_of(limits: Sequence[float]) -> int:
        low, high = limits
        return int(length - margin > high) - int(length + margin < low)

    side = side_of(trained[key])
    if side == 0:  # also if the length is not known
        return None
    is_possible = side_of(possible[key]) == 0
    first, last = (trained if is_possible else possible)["weeks"]
    age = f"younger than {first}" if side < 0 else f"older than {last}"
    low, high = trained[key]
    weeks = "{} to {} weeks".format(*trained["weeks"])
    return Implausibility(
        "unusual size" if is_possible else "impossible size",
        f"the {what} is {length:.0f} mm long, that of a fetus of {weeks} {low} to {high} mm: check "
        f"the voxel size of the file{facts.in_brackets}, unless the fetus is {age} weeks, "
        f"outside what the model was trained on",
    )


def shape_implausibilities(pose: Pose) -> tuple[Implausibility, ...]:
    """Return reasons to doubt the proportions of a pose; no unit and no age matters to them.

    A segment is doubted if its length does not fit that of the trunk, or that of its partner on the
    other side; small errors of the landmarks are no reason, because a hand of 3 mm may look twice
    as long as the other one through them. A trunk may not be folded, and no two landmarks may lie
    in one place. All doubts about a limb share a sentence.
    """
    odd = _odd_segments(pose)
    return (
        *_folded_trunk(pose),
        *_doubts_about_lengths(pose, odd),
        *_doubts_about_sides(pose, odd),
        *_doubts_about_places(pose),
    )


def trunk_path_mm(pose: Pose) -> float:
    """Return the length from sacrum through spine to neck; NaN if one of them is absent."""
    if pose.skeleton.trunk is None:
        return float("nan")
    steps = np.diff(pose.positions_mm[pose.skeleton.indices(pose.skeleton.trunk)], axis=0)
    return float(np.linalg.norm(steps, axis=1).sum())


def _odd_segments(pose: Pose) -> BoolArray:
    """(S,) segments whose lengths do not fit the trunk."""
    low, high = length_limits(pose.skeleton).T * trunk_path_mm(pose)
    lengths = _lengths_mm(pose)
    too_short, too_long = lengths < low - LENGTH_TOLERANCE_MM, lengths > high + LENGTH_TOLERANCE_MM
    return np.asarray(too_short | too_long)


def length_limits(skeleton: Skeleton) -> FloatArray:
    """Return (S, 2) lowest and highest plausible lengths of the segments, trunk lengths.

    They are those of the table for the built-in skeletons, whose landmarks it is about. For other
    skeletons they follow from the reference pose; NaN without one.
    """
    known = _table()["proportions"]["of_trunk"] if skeleton.name in built_in_skeletons() else {}
    limits = np.full((len(skeleton.segments), 2), np.nan)
    if skeleton.reference is not None:
        example = Pose(skeleton, skeleton.reference)
        usual = _lengths_mm(example) / (trunk_path_mm(example) or np.nan)
        limits = usual[:, None] * [1 / MAX_PROPORTION, MAX_PROPORTION]
    for row, segment in enumerate(skeleton.segments):
        name = segment.name.removeprefix(f"{skeleton.segment_side(segment)}_")
        if name in known:
            low, high = known[name]
            limits[row] = low / MAX_WIDENING, high * MAX_WIDENING
    return np.asarray(limits)


def _folded_trunk(pose: Pose) -> list[Implausibility]:
    straight, path = trunk_length_mm(pose), trunk_path_mm(pose)
    if straight == 0:
        return [Implausibility("lengths", "the trunk has no length")]
    if pose.skeleton.trunk is None or not straight < MIN_STRAIGHTNESS * path:
        return []
    start, middle, end = pose.skeleton.trunk
    places = f"from {start} to {end} it measures {straight:.1f} mm, through {middle} {path:.1f} mm"
    return [Implausibility("lengths", f"the trunk is folded: {places}")]


def _doubts_about_lengths(pose: Pose, odd: BoolArray) -> list[Implausibility]:
    skeleton, lengths = pose.skeleton, _lengths_mm(pose)
    known = int(np.isfinite(lengths).sum())
    trunk = trunk_path_mm(pose)
    if 2 * odd.sum() > known:
        return [
            Implausibility(
                "lengths",
                f"{odd.sum()} of {known} segments do not fit a trunk of {trunk:.1f} mm: check "
                f"{', '.join(skeleton.trunk or ())}",
            )
        ]
    limits = length_limits(skeleton) * trunk
    doubts = []
    for part, rows in _parts(skeleton).items():
        found = [
            f"{_ends(skeleton, skeleton.segments[row])} measures {lengths[row]:.1f} mm, for this "
            f"trunk {limits[row, 0]:.1f} to {limits[row, 1]:.1f} mm are plausible"
            for row in rows
            if odd[row]
        ]
        if found:
            reason = f"the lengths of the {part} are implausible: {', and '.join(found)}"
            doubts.append(Implausibility("lengths", reason))
    return doubts


def _doubts_about_sides(pose: Pose, odd: BoolArray) -> list[Implausibility]:
    """Compare both sides; a segment that does not fit the trunk is doubted already."""
    skeleton, lengths = pose.skeleton, _lengths_mm(pose)
    partner = _partners(skeleton)
    doubts = []
    for limb, rows in _parts(skeleton).items():
        found = []
        for row in rows:
            other = partner[row]
            if skeleton.segment_side(skeleton.segments[row]) != "left" or odd[[row, other]].any():
                continue
            difference, mean = abs(lengths[row] - lengths[other]), lengths[[row, other]].mean()
            if difference > ASYMMETRY_TOLERANCE_MM + MAX_ASYMMETRY * mean:
                ends = _ends(skeleton, skeleton.segments[row])
                found.append(
                    f"{ends} measures {lengths[row]:.1f} mm on the left but {lengths[other]:.1f} mm"
                )
        if found:
            name = limb.removeprefix("left ")
            reason = f"the left and the right {name} differ: {', and '.join(found)} on the right"
            doubts.append(Implausibility("sides", reason))
    return doubts


def _doubts_about_places(pose: Pose) -> list[Implausibility]:
    skeleton, trunk = pose.skeleton, float(np.nan_to_num(trunk_path_mm(pose)))
    least = np.full((len(skeleton),) * 2, MIN_DISTANCE)
    starts, ends = skeleton.segment_index.T
    least[starts, ends] = least[ends, starts] = MIN_JOINED_DISTANCE
    distances = np.linalg.norm(pose.positions_mm[:, None] - pose.positions_mm, axis=-1)
    close = distances < np.maximum(least * trunk, MIN_DISTANCE_MM)
    pairs = np.argwhere(np.triu(close, 1)).tolist()
    if len(pairs) > MAX_LISTED:
        rows = sorted({row for pair in pairs for row in pair})
        names = ", ".join(skeleton.landmarks[row] for row in rows)
        reason = f"{len(rows)} landmarks lie in the place of another one: {names}"
        return [Implausibility("place", reason)]
    return [
        Implausibility(
            "place", f"{skeleton.landmarks[a]} and {skeleton.landmarks[b]} lie in one place"
        )
        for a, b in pairs
    ]


def _parts(skeleton: Skeleton) -> dict[str, list[int]]:
    """Rows of the segments of each limb, and of the others, by the name of the part."""
    limbs = limbs_of_both_sides(skeleton)
    parts: dict[str, list[int]] = {name: [] for name in [*limbs, "midline"]}
    for row, ends in enumerate(skeleton.segment_index):
        owners = [name for name, rows in limbs.items() if np.isin(ends, rows).any()]
        parts[owners[0] if len(owners) == 1 else "midline"].append(row)
    return parts


def _partners(skeleton: Skeleton) -> list[int]:
    """Row of the segment between the mirror partners of each segment; its own if there is none."""
    rows = {frozenset(ends): row for row, ends in enumerate(skeleton.segment_index.tolist())}
    mirrored = skeleton.mirror_index[skeleton.segment_index].tolist()
    return [rows.get(frozenset(ends), row) for row, ends in enumerate(mirrored)]


def _lengths_mm(pose: Pose) -> FloatArray:
    return np.array(list(pose.lengths_mm().values()))


def _ends(skeleton: Skeleton, segment: Segment) -> str:
    start, end = (skeleton.name_without_side(name) for name in (segment.start, segment.end))
    return f"{start} to {end}"


@cache
def _table() -> dict[str, Any]:
    text = resources.files("fetusmap.anatomy").joinpath("plausibility.toml").read_text("utf-8")
    return tomllib.loads(text)

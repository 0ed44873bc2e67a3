"""`Skeleton`: the landmarks of a pose, how they are connected, and what is measured on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from fetusmap.anatomy.limbs import Limb, Pair, complete_limbs, name_without_side
from fetusmap.errors import BadInput
from fetusmap.types import BoolArray, FloatArray, IntArray

Side = Literal["left", "right", "midline"]


@dataclass(frozen=True)
class Segment:
    """Two landmarks that are drawn as a bone; their distance is measured."""

    name: str
    start: str
    end: str


@dataclass(frozen=True)
class JointAngle:
    """The angle between two directions, each from one landmark to another, 0 to 180 degrees."""

    name: str
    first: Pair
    second: Pair
    meaning: str


@dataclass(frozen=True)
class CrownRumpModel:
    """How the crown-rump length is estimated from a path along the body's midline.

    Attributes:
        path: landmarks, from head to sacrum.
        fraction: length of that path divided by the crown-rump length.
        fraction_cv: uncertainty of the fraction, as a coefficient of variation.
        segment_cv: coefficient of variation of each step of the path, between fetuses of the same
            crown-rump length.
    """

    path: tuple[str, ...]
    fraction: float
    fraction_cv: float
    segment_cv: float


@dataclass(frozen=True)
class Skeleton:
    """The landmarks of a pose and how they belong together. `load_skeleton` reads one.

    Two skeletons are equal if every computation on a pose gives the same result with both: name,
    landmarks, segments, mirror pairs, limbs, angles, trunk, ends and model of the crown-rump
    length, lateral pairs, registration subset and reference positions agree. Colours, descriptions,
    the names of limbs and the paper's numbers are for the reader only and do not count.

    Attributes:
        name: identifies the skeleton in every file.
        landmarks: names, in the order of all arrays.
        segments: named pairs of landmarks.
        mirror_pairs: (left, right) landmarks that a reflection exchanges.
        angles: joint angles that `joint_angles_deg` measures.
        trunk: (sacrum, spine, neck) or None; trunk length and flexion are measured on them.
        crown_rump_ends: (crown, rump), between which the crown-rump length is measured, or None.
        crown_rump: how to estimate the crown-rump length from other landmarks, or None.
        lateral_pairs: (left, right) landmarks that define the body's left-right axis.
        registration_subset: landmarks that the paper uses for rigid registration.
        limbs: limbs of the left side, from the root outwards. Mirror pairs that belong to none of
            the given limbs are grouped into further limbs by the segments.
        paper_index: number of a landmark in the paper's tables, by landmark name.
        reference_positions: N points, an example pose of crown-rump length 1 in the body's frame
            (x right, y ventral, z cranial, origin sacrum), or None. Drawings and examples use it,
            and `implausibilities` compares proportions with it.
        colors: "left", "right", "midline" to "#rrggbb".
        description: where the skeleton comes from.
    """

    name: str
    landmarks: tuple[str, ...]
    segments: tuple[Segment, ...]
    mirror_pairs: tuple[Pair, ...]
    angles: tuple[JointAngle, ...] = ()
    trunk: tuple[str, str, str] | None = None
    crown_rump_ends: Pair | None = None
    crown_rump: CrownRumpModel | None = None
    lateral_pairs: tuple[Pair, ...] = ()
    registration_subset: tuple[str, ...] = ()
    limbs: tuple[Limb, ...] = ()
    paper_index: Mapping[str, int] = field(default_factory=dict)
    reference_positions: tuple[tuple[float, float, float], ...] | None = None
    colors: Mapping[Side, str] = field(default_factory=dict)
    description: str = ""

    def __post_init__(self) -> None:
        ends = [(segment.start, segment.end) for segment in self.segments]
        limbs = complete_limbs(self.limbs, self.landmarks, self.mirror_pairs, ends)
        object.__setattr__(self, "limbs", limbs)

    def __len__(self) -> int:
        """Number of landmarks."""
        return len(self.landmarks)

    def __eq__(self, other: object) -> bool:
        """Whether every computation on a pose gives the same result with both skeletons."""
        if not isinstance(other, Skeleton):
            return NotImplemented
        return self._identity == other._identity

    def __hash__(self) -> int:
        """Hash of everything that `__eq__` compares."""
        return hash(self._identity)

    @cached_property
    def _identity(self) -> tuple[Any, ...]:
        return (
            self.name,
            self.landmarks,
            self.segments,
            self.mirror_pairs,
            tuple((angle.name, angle.first, angle.second) for angle in self.angles),
            self.trunk,
            self.crown_rump_ends,
            self.crown_rump,
            self.lateral_pairs,
            self.registration_subset,
            tuple(limb.landmarks for limb in self.limbs),
            self.reference_positions,
        )

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.landmarks)}

    def index(self, landmark: str) -> int:
        """Row of a landmark in every array.

        Raises:
            BadInput: the skeleton has no such landmark.
        """
        try:
            return self._index[landmark]
        except KeyError:
            raise BadInput(
                f"landmark {landmark!r}",
                expected=f"a landmark of {self.name}",
                found="an unknown name",
                remedy=f"use one of: {', '.join(self.landmarks)}",
            ) from None

    def indices(self, landmarks: tuple[str, ...]) -> IntArray:
        """Rows of several landmarks."""
        return np.array([self.index(name) for name in landmarks], dtype=np.int64)

    def rows_on(self, other: Skeleton) -> tuple[IntArray, BoolArray]:
        """Find the landmarks of another skeleton in this one, by their names.

        Returns:
            (M,) rows of this skeleton for the M landmarks of the other one, 0 where this skeleton
            does not have the landmark; and (M,) whether it has the landmark.

        Raises:
            BadInput: the two skeletons have no landmark in common.
        """
        shared = np.array([name in self._index for name in other.landmarks], dtype=np.bool_)
        if not shared.any():
            raise BadInput(
                f"skeleton {other.name}",
                expected=f"landmarks of {self.name} ({', '.join(self.landmarks)})",
                found=f"none of them, but {', '.join(other.landmarks)}",
                remedy="choose a skeleton that shares landmarks with it",
            )
        return np.array([self._index.get(name, 0) for name in other.landmarks]), shared

    @cached_property
    def mirror_index(self) -> IntArray:
        """(N,) row of each landmark's mirror partner; a midline landmark is its own partner."""
        order = np.arange(len(self.landmarks))
        for left, right in self.mirror_pairs:
            order[[self.index(left), self.index(right)]] = self.index(right), self.index(left)
        return order

    @cached_property
    def limb_index(self) -> tuple[IntArray, ...]:
        """Rows of each limb of the left side, from its root outwards."""
        return tuple(self.indices(limb.landmarks) for limb in self.limbs)

    @cached_property
    def segment_index(self) -> IntArray:
        """(S, 2) rows of the start and end of each segment."""
        rows = [(self.index(s.start), self.index(s.end)) for s in self.segments]
        return np.array(rows, dtype=np.int64).reshape(len(self.segments), 2)

    def side(self, landmark: str) -> Side:
        """Return the side of the body on which a landmark lies."""
        for left, right in self.mirror_pairs:
            if landmark == left:
                return "left"
            if landmark == right:
                return "right"
        self.index(landmark)
        return "midline"

    def name_without_side(self, landmark: str) -> str:
        """Name of a landmark and its mirror partner together: "knee" for "left_knee"."""
        for left, right in self.mirror_pairs:
            if landmark in (left, right):
                return name_without_side(left, right)
        self.index(landmark)
        return landmark.replace("_", " ")

    def segment_side(self, segment: Segment) -> Side:
        """Return the side of a segment: that of its lateral landmarks.

        It is the midline if there are none, or if they lie on both sides.
        """
        lateral = {self.side(segment.start), self.side(segment.end)} - {"midline"}
        return lateral.pop() if len(lateral) == 1 else "midline"

    def color(self, side: Side) -> str:
        """Return the colour of a side as "#rrggbb"."""
        return self.colors.get(side, "#808080")

    @property
    def reference(self) -> FloatArray | None:
        """(N, 3) the example pose, in units of the crown-rump length, or None."""
        if self.reference_positions is None:
            return None
        return np.array(self.reference_positions, dtype=np.float64)

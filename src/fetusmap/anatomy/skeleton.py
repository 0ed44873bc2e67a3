"""A skeleton is data: landmarks, segments, mirror pairs, and what can be measured on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from fetusmap.errors import BadInput
from fetusmap.types import FloatArray, IntArray

Side = Literal["left", "right", "midline"]
Pair = tuple[str, str]


@dataclass(frozen=True)
class Segment:
    """Two landmarks that are drawn as a bone and whose distance is measured."""

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
    """How the crown-rump length follows from a path along the body's midline.

    Attributes:
        path: landmarks, from head to sacrum.
        fraction: length of that path as a part of the crown-rump length.
        fraction_cv: how far off that fraction itself may be, as a coefficient of variation.
        segment_cv: coefficient of variation of each step between fetuses of one length.
    """

    path: tuple[str, ...]
    fraction: float
    fraction_cv: float
    segment_cv: float


@dataclass(frozen=True)
class Skeleton:
    """Which landmarks a pose has and how they belong together. See `load_skeleton`.

    Attributes:
        name: identifies the skeleton in every file.
        landmarks: names, in the order of all arrays.
        segments: named pairs of landmarks.
        mirror_pairs: (left, right) landmarks that a reflection exchanges.
        angles: joint angles that `joint_angles_deg` measures.
        trunk: (sacrum, spine, neck) or None; what trunk length and flexion rest on.
        crown_rump: how to estimate the crown-rump length, or None.
        lateral_pairs: (left, right) landmarks that tell the body's left-right axis.
        registration_subset: landmarks that the paper trusts for rigid registration.
        paper_index: landmark name to its number in the paper's tables, where it has one.
        reference_positions: N points, an example pose of crown-rump length 1 in the body's frame
            (x right, y ventral, z cranial, origin sacrum), or None. For drawings and examples.
        colors: "left", "right", "midline" to "#rrggbb".
        description: where the skeleton comes from.
    """

    name: str
    landmarks: tuple[str, ...]
    segments: tuple[Segment, ...]
    mirror_pairs: tuple[Pair, ...]
    angles: tuple[JointAngle, ...] = ()
    trunk: tuple[str, str, str] | None = None
    crown_rump: CrownRumpModel | None = None
    lateral_pairs: tuple[Pair, ...] = ()
    registration_subset: tuple[str, ...] = ()
    paper_index: Mapping[str, int] = field(default_factory=dict)
    reference_positions: tuple[tuple[float, float, float], ...] | None = None
    colors: Mapping[Side, str] = field(default_factory=dict)
    description: str = ""

    def __len__(self) -> int:
        """Number of landmarks."""
        return len(self.landmarks)

    def __eq__(self, other: object) -> bool:
        """Skeletons are one when name, landmarks, segments and mirror pairs agree."""
        if not isinstance(other, Skeleton):
            return NotImplemented
        return self._identity == other._identity

    def __hash__(self) -> int:
        """Hash of what makes the skeleton's identity."""
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[Any, ...]:
        return self.name, self.landmarks, self.segments, self.mirror_pairs

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

    @cached_property
    def mirror_index(self) -> IntArray:
        """(N,) row of each landmark's mirror partner; midline landmarks keep their own."""
        order = np.arange(len(self.landmarks))
        for left, right in self.mirror_pairs:
            order[[self.index(left), self.index(right)]] = self.index(right), self.index(left)
        return order

    @cached_property
    def segment_index(self) -> IntArray:
        """(S, 2) rows of the start and end of each segment."""
        rows = [(self.index(s.start), self.index(s.end)) for s in self.segments]
        return np.array(rows, dtype=np.int64).reshape(len(self.segments), 2)

    def side(self, landmark: str) -> Side:
        """Which side of the body a landmark is on."""
        for left, right in self.mirror_pairs:
            if landmark == left:
                return "left"
            if landmark == right:
                return "right"
        self.index(landmark)
        return "midline"

    def segment_side(self, segment: Segment) -> Side:
        """Side of a segment: that of its lateral landmarks, when they agree."""
        lateral = {self.side(segment.start), self.side(segment.end)} - {"midline"}
        return lateral.pop() if len(lateral) == 1 else "midline"

    def color(self, side: Side) -> str:
        """Colour of a side as "#rrggbb"."""
        return self.colors.get(side, "#808080")

    @property
    def reference(self) -> FloatArray | None:
        """(N, 3) the example pose, in units of the crown-rump length, or None."""
        if self.reference_positions is None:
            return None
        return np.array(self.reference_positions, dtype=np.float64)

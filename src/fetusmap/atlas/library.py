"""A `PoseLibrary`: many annotated poses of one skeleton, to compare a prediction with."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from fetusmap.anatomy.pose import Pose, check_positions
from fetusmap.anatomy.skeleton import Skeleton
from fetusmap.atlas.shortlist import CompactAtlases
from fetusmap.errors import BadInput
from fetusmap.types import ArrayLike, BoolArray, FloatArray, FrozenMapping

MIN_FLATNESS = 1e-3
"""An atlas is alignable if some landmark lies farther from the line through two others than this
fraction of the distance between the two."""


@dataclass(frozen=True, eq=False)
class PoseLibrary:
    """The atlases of a library: annotated poses, each in a frame of its own.

    Attributes:
        skeleton: names the rows of every atlas.
        positions_mm: (A, N, 3) float32, read-only; NaN where a landmark is absent. Each atlas is in
            a frame of its own; comparisons align the atlases first.
        made_by: how the library was made, plain data.
        groups: the group of each atlas, such as its subject or recording, so that a split does not
            separate related atlases; "" for an atlas without a group. Empty if no group is known.

    Raises:
        BadInput: there is no atlas, the shape does not fit the skeleton, a position is infinite or
            half absent, or the number of groups differs from that of the atlases.
    """

    skeleton: Skeleton
    positions_mm: NDArray[np.float32]
    made_by: Mapping[str, JsonValue] = field(default_factory=dict)
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        given = np.asarray(self.positions_mm)
        if given.ndim != 3 or given.shape[1:] != (len(self.skeleton), 3) or not len(given):
            raise BadInput(
                "pose library",
                expected=f"one atlas or more of {len(self.skeleton)} x 3 ({self.skeleton.name})",
                found=f"shape {given.shape}",
                remedy="give one row per landmark, NaN for an absent one",
            )
        check_positions(self.skeleton, given, "pose library")
        if self.groups and len(self.groups) != len(given):
            raise BadInput(
                "pose library",
                expected=f"a group for each of {len(given)} atlases, or none at all",
                found=f"{len(self.groups)}",
                remedy='give one group per atlas, "" for an atlas without a group',
            )
        positions = np.array(given, dtype=np.float32, order="C")
        positions.flags.writeable = False
        object.__setattr__(self, "positions_mm", positions)
        object.__setattr__(self, "made_by", FrozenMapping(dict(self.made_by)))
        object.__setattr__(self, "groups", tuple(self.groups))

    @classmethod
    def from_poses(
        cls,
        poses: Iterable[Pose],
        groups: Sequence[str] = (),
        made_by: Mapping[str, JsonValue] | None = None,
    ) -> PoseLibrary:
        """Build a library from poses of one skeleton, in their order; confidences are dropped.

        Raises:
            BadInput: no pose is given, the poses are of several skeletons, or the number of groups
                differs from that of the poses.
        """
        listed = list(poses)
        if not listed:
            raise BadInput(
                "pose library",
                expected="at least one pose",
                found="none",
                remedy="give the poses that predictions are to be compared with",
            )
        skeleton = _common_skeleton(pose.skeleton for pose in listed)
        positions = np.stack([pose.positions_mm for pose in listed]).astype(np.float32)
        return cls(skeleton, positions, made_by or {}, tuple(groups))

    def __len__(self) -> int:
        """Number of atlases."""
        return len(self.positions_mm)

    def __getitem__(self, atlas: int) -> Pose:
        """Return one atlas as a pose; raises IndexError beyond the last."""
        return Pose(self.skeleton, self.positions_mm[operator.index(atlas)].astype(np.float64))

    def __iter__(self) -> Iterator[Pose]:
        """Iterate over the atlases as poses, in order."""
        return (self[atlas] for atlas in range(len(self)))

    @property
    def present(self) -> BoolArray:
        """(A, N) whether each landmark of each atlas has a position."""
        return np.asarray(np.isfinite(self.positions_mm).all(axis=2))

    @cached_property
    def is_alignable(self) -> BoolArray:
        """(A,) whether each atlas has every landmark, and its landmarks do not lie on one line."""
        skeleton, points = self.skeleton, self.positions_mm
        alignable: BoolArray = _spans_a_plane(points) & np.isfinite(points).all(axis=(1, 2))
        if skeleton.registration_subset:  # the paper aligns by these landmarks alone
            subset = list(skeleton.indices(skeleton.registration_subset))
            alignable &= _spans_a_plane(points[:, subset])
        return alignable

    @cached_property
    def compact(self) -> CompactAtlases:
        """The atlases as a search needs them, see `fetusmap.atlas.shortlist`."""
        return CompactAtlases.of(self.skeleton, self.positions_mm)

    def thinned(self, count: int) -> PoseLibrary:
        """Return about `count` atlases, evenly spread over the library; all of a smaller one.

        The result is kept, together with what a search computes from it.
        """
        step = max(1, len(self) // count)
        if step not in self._thinned:
            self._thinned[step] = self if step == 1 else self.select(np.arange(0, len(self), step))
        return self._thinned[step]

    @cached_property
    def _thinned(self) -> dict[int, PoseLibrary]:
        return {}

    def select(self, indices: ArrayLike) -> PoseLibrary:
        """Select some atlases, by their numbers or by a mask, in the given order.

        Raises:
            BadInput: the selection is empty.
            IndexError: a number is beyond the last atlas.
        """
        chosen = np.asarray(indices)
        rows = np.arange(len(self))[chosen if chosen.size else []]
        groups = tuple(self.groups[row] for row in rows) if self.groups else ()
        return replace(self, positions_mm=self.positions_mm[rows], groups=groups)

    def on(self, skeleton: Skeleton) -> PoseLibrary:
        """Return the same atlases on another skeleton, whose landmarks this library must have.

        Landmarks are matched by name; those that the other skeleton does not have are dropped.

        Raises:
            BadInput: the library has no positions for some landmark of the other skeleton.
        """
        if skeleton == self.skeleton:
            return self
        missing = [name for name in skeleton.landmarks if name not in self.skeleton.landmarks]
        if missing:
            raise BadInput(
                "pose library",
                expected=f"every landmark of {skeleton.name}",
                found=f"poses of {self.skeleton.name} without {', '.join(missing)}",
                remedy="use a library whose skeleton has these landmarks",
            )
        rows = self.skeleton.indices(skeleton.landmarks)
        return replace(self, skeleton=skeleton, positions_mm=self.positions_mm[:, rows])

    def mirrored(self) -> PoseLibrary:
        """Append the mirror image of every atlas to the library.

        Each atlas is reflected in the plane x = 0 of its frame, and left and right labels are
        exchanged. A mirror image belongs to the group of its atlas. An atlas without a group forms
        a group with its mirror image, so that no split separates the two.
        """
        reflected = self.positions_mm[:, self.skeleton.mirror_index].copy()
        reflected[..., 0] *= -1
        groups = self.groups or ("",) * len(self)
        groups = tuple(group or f"atlas-{atlas}" for atlas, group in enumerate(groups))
        return replace(
            self,
            positions_mm=np.concatenate([self.positions_mm, reflected]),
            made_by={**self.made_by, "mirrored": True},
            groups=groups * 2,
        )

    def lengths_mm(self) -> dict[str, FloatArray]:
        """Return the (A,) lengths of each segment, mm; NaN where an end is absent."""
        ends = self.positions_mm[:, self.skeleton.segment_index].astype(np.float64)
        lengths = np.linalg.norm(ends[:, :, 1] - ends[:, :, 0], axis=-1)
        names = [segment.name for segment in self.skeleton.segments]
        return dict(zip(names, lengths.T, strict=True))

    def equals(self, other: PoseLibrary) -> bool:
        """Whether skeleton, positions and groups are equal, including absent landmarks."""
        return (
            self.skeleton == other.skeleton
            and np.array_equal(self.positions_mm, other.positions_mm, equal_nan=True)
            and self.groups == other.groups
        )


def join_libraries(libraries: Iterable[PoseLibrary]) -> PoseLibrary:
    """Join libraries of one skeleton into one, in their order.

    Groups of the same label become one group. The atlases of a library without groups have no
    group in the result either.

    Raises:
        BadInput: no library is given, or the libraries are of several skeletons.
    """
    listed = list(libraries)
    if not listed:
        raise BadInput(
            "pose library", expected="at least one library", found="none", remedy="give one"
        )
    skeleton = _common_skeleton(library.skeleton for library in listed)
    groups: tuple[str, ...] = ()
    if any(library.groups for library in listed):
        groups = tuple(chain.from_iterable(each.groups or ("",) * len(each) for each in listed))
    return PoseLibrary(
        skeleton,
        np.concatenate([library.positions_mm for library in listed]),
        {"joined": [dict(library.made_by) for library in listed]},
        groups,
    )


def _common_skeleton(skeletons: Iterable[Skeleton]) -> Skeleton:
    first, *others = skeletons
    for other in others:
        if other != first:
            namesake = other.name == first.name
            raise BadInput(
                "pose library",
                expected=f"poses of one skeleton ({first.name})",
                found="another skeleton of this name" if namesake else f"one of {other.name}",
                remedy="make one library per skeleton",
            )
    return first


def _spans_a_plane(points: NDArray[np.float32]) -> BoolArray:
    """Return (A,) whether the points of each atlas do not lie on one line.

    The result is undefined for an atlas with missing points.
    """
    arms = points[:, 1:] - points[:, :1]
    lengths = np.linalg.norm(arms, axis=2)
    longest = np.argmax(np.nan_to_num(lengths), axis=1)
    first = arms[np.arange(len(arms)), longest][:, None]
    across = np.linalg.norm(np.cross(first, arms), axis=2).max(axis=1)
    return np.asarray(across > MIN_FLATNESS * lengths.max(axis=1) ** 2)

"""`Pose`: positions of the landmarks of a skeleton, with a confidence for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from fetusmap.anatomy.records import Provenance, Quality, Review
from fetusmap.anatomy.skeleton import Side, Skeleton
from fetusmap.anatomy.skeleton_file import built_in_skeleton_for, load_skeleton
from fetusmap.errors import BadInput
from fetusmap.geometry import affine_from, apply_affine, check_affine, is_reflection
from fetusmap.types import Affine, ArrayLike, BoolArray, FloatArray, IntArray, Points3

MAX_COORDINATE_MM = 1e6
"""One kilometre. A larger coordinate is not a position in millimetres."""

REVIEWS: tuple[Review, ...] = get_args(Review)


@dataclass(frozen=True, eq=False)
class PosedLandmark:
    """One landmark of a pose."""

    name: str
    position_mm: FloatArray  # (3,) LPS; NaN when absent
    confidence: float
    side: Side
    review: Review = "machine"

    @property
    def is_present(self) -> bool:
        """Whether the landmark has a position."""
        return bool(np.isfinite(self.position_mm).all())


@dataclass(frozen=True, eq=False)
class Pose:
    """Positions of a skeleton's landmarks in the world, with a confidence for each.

    Attributes:
        skeleton: the skeleton; its landmarks name the rows.
        positions_mm: (N, 3) LPS mm, read-only; NaN where a landmark is absent.
        confidence: (N,) in [0, 1], read-only; 0 for an absent landmark. A single number applies to
            all landmarks that are present; the default is 1.
        quality: estimated quality of the pose as a whole.
        provenance: how the pose was made.
        review: (N,) what a person did to each landmark, see `Review`; the default is "machine" for
            all landmarks.

    Raises:
        BadInput: the shapes do not match the skeleton, a position is infinite or has only some
            coordinates, a confidence is outside [0, 1], a review has another name, or a landmark
            that a person marked as absent has a position.
    """

    skeleton: Skeleton
    positions_mm: Points3
    confidence: FloatArray = field(default_factory=lambda: np.ones(()))
    quality: Quality = field(default_factory=Quality)
    provenance: Provenance = field(default_factory=Provenance)
    review: tuple[Review, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.skeleton)
        positions = np.array(self.positions_mm, dtype=np.float64)
        confidence = np.array(self.confidence, dtype=np.float64)
        if confidence.ndim == 0:
            confidence = np.full(count, confidence)
        if positions.shape != (count, 3) or confidence.shape != (count,):
            raise BadInput(
                "pose",
                expected=f"{count} positions of {self.skeleton.name} and as many confidences",
                found=f"shapes {positions.shape} and {confidence.shape}",
                remedy="give one row per landmark, NaN for an absent one",
            )
        check_positions(self.skeleton, positions, "pose")
        absent = np.isnan(positions).all(axis=1)
        confidence = np.where(absent, 0.0, confidence)
        if not ((confidence >= 0) & (confidence <= 1)).all():
            raise BadInput(
                "pose",
                expected="confidences from 0 to 1",
                found=f"{confidence.min()} to {confidence.max()}",
                remedy="give probabilities",
            )
        nobody: Review = "machine"
        review = tuple(self.review) or (nobody,) * count
        _check_review(self.skeleton, review, np.asarray(absent))
        positions.flags.writeable = False
        confidence.flags.writeable = False
        object.__setattr__(self, "positions_mm", positions)
        object.__setattr__(self, "confidence", confidence)
        object.__setattr__(self, "review", review)

    @classmethod
    def from_positions(
        cls, positions_mm: Mapping[str, ArrayLike], skeleton: Skeleton | None = None
    ) -> Pose:
        """Build a pose from positions by landmark name; landmarks without a position are absent.

        Args:
            positions_mm: (3,) position of each landmark that is present, by name.
            skeleton: the skeleton; None for the built-in one that has these landmarks.

        Raises:
            BadInput: the skeleton has no landmark of some name.
        """
        skeleton = skeleton or built_in_skeleton_for(positions_mm)
        rows = np.full((len(skeleton), 3), np.nan)
        for name, position in positions_mm.items():
            rows[skeleton.index(name)] = position
        return cls(skeleton, rows)

    def __getitem__(self, landmark: str) -> PosedLandmark:
        """Return one landmark by name; raises BadInput if the skeleton has no such landmark."""
        row = self.skeleton.index(landmark)
        return PosedLandmark(
            landmark,
            self.positions_mm[row],
            float(self.confidence[row]),
            self.skeleton.side(landmark),
            self.review[row],
        )

    def __iter__(self) -> Iterator[PosedLandmark]:
        """Iterate over all landmarks, in the order of the skeleton."""
        return (self[name] for name in self.skeleton.landmarks)

    @property
    def present(self) -> BoolArray:
        """(N,) whether each landmark has a position."""
        return np.asarray(np.isfinite(self.positions_mm).all(axis=1))

    def transform(self, target_from_source: Affine) -> Pose:
        """Apply a (4, 4) map of the world to the pose.

        A map with a reflection yields the mirrored body, in which a left limb is a right limb. The
        labels of each mirror pair are therefore exchanged as well.
        """
        matrix = check_affine(target_from_source, "pose map")
        moved = replace(self, positions_mm=apply_affine(matrix, self.positions_mm))
        return moved.exchange_sides() if is_reflection(matrix) else moved

    def mirror(self, normal: ArrayLike = (1.0, 0.0, 0.0), through_mm: ArrayLike = 0.0) -> Pose:
        """Return the pose of the mirrored fetus: reflected in a plane, with sides exchanged.

        Args:
            normal: (3,) normal of the mirror plane, any length but zero.
            through_mm: (3,) a point of the plane; the world's origin by default.

        Mirroring twice in the same plane returns the original pose.
        """
        unit = np.asarray(normal, dtype=np.float64)
        unit = unit / np.linalg.norm(unit)
        reflect = np.eye(3) - 2 * np.outer(unit, unit)
        point = np.broadcast_to(np.asarray(through_mm, dtype=np.float64), 3)
        return self.transform(affine_from(reflect, 2 * unit * (unit @ point)))

    def exchange_sides(self, landmarks: tuple[str, ...] | None = None) -> Pose:
        """Exchange the labels of left and right landmarks; no position changes.

        Args:
            landmarks: exchange only the mirror pairs that contain one of these; None for all.
        """
        order = self.skeleton.mirror_index
        if landmarks is not None:
            rows = self.skeleton.indices(landmarks)
            keep = np.arange(len(self.skeleton))
            chosen = np.isin(keep, np.concatenate([rows, order[rows]]))
            order = np.where(chosen, order, keep)
        return replace(
            self,
            positions_mm=self.positions_mm[order],
            confidence=self.confidence[order],
            review=self._review_of(order),
        )

    def on(self, skeleton: Skeleton) -> Pose:
        """Return the same pose on another skeleton, matched by the names of the landmarks.

        Landmarks that the other skeleton does not have are dropped. Landmarks that this pose does
        not have are absent, with confidence 0, and "machine" is their review. Quality and
        provenance stay as they are.

        Raises:
            BadInput: the two skeletons have no landmark in common.
        """
        rows, shared = self.skeleton.rows_on(skeleton)
        positions = np.where(shared[:, None], self.positions_mm[rows], np.nan)
        confidence = np.where(shared, self.confidence[rows], 0.0)
        reviews = zip(self._review_of(rows), shared.tolist(), strict=True)
        return replace(
            self,
            skeleton=skeleton,
            positions_mm=positions,
            confidence=confidence,
            review=tuple(review if known else "machine" for review, known in reviews),
        )

    def lengths_mm(self) -> dict[str, float]:
        """Return the length of each segment, mm; NaN if one of its ends is absent."""
        ends = self.positions_mm[self.skeleton.segment_index]
        lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=-1)
        return dict(zip([s.name for s in self.skeleton.segments], lengths.tolist(), strict=True))

    def equals(self, other: Pose) -> bool:
        """Whether skeleton, positions, confidences and reviews are equal; absent equals absent."""
        return (
            self.skeleton == other.skeleton
            and np.array_equal(self.positions_mm, other.positions_mm, equal_nan=True)
            and np.array_equal(self.confidence, other.confidence)
            and self.review == other.review
        )

    def _review_of(self, rows: IntArray) -> tuple[Review, ...]:
        return tuple(self.review[row] for row in rows.tolist())


def _check_review(skeleton: Skeleton, review: tuple[Review, ...], absent: BoolArray) -> None:
    """Check that there is one known review per landmark, and that absent means absent."""
    known = len(review) == len(skeleton) and all(word in REVIEWS for word in review)
    if not known:
        raise BadInput(
            "pose",
            expected=f"{len(skeleton)} reviews out of {', '.join(REVIEWS)}",
            found=f"{len(review)}: {', '.join(map(str, review))[:80]}",
            remedy="give one per landmark",
        )
    for name, word, missing in zip(skeleton.landmarks, review, absent.tolist(), strict=True):
        if missing != (word == "absent") and word != "machine":
            raise BadInput(
                "pose",
                expected=f"a position of {name} exactly if its review is not 'absent'",
                found=f"{word!r} and {'no' if missing else 'a'} position",
                remedy="set the position of an absent landmark to NaN",
            )


def check_positions(
    skeleton: Skeleton, positions_mm: NDArray[np.floating[Any]], subject: str
) -> None:
    """Check that each landmark has three finite coordinates in millimetres, or three NaN.

    Args:
        skeleton: names the rows.
        positions_mm: (N, 3) positions of a pose, or (A, N, 3) of the atlases of a library.
        subject: names the positions in errors.

    Raises:
        BadInput: a position is infinite, has only some coordinates, or is too far away.
    """
    whole = np.isfinite(positions_mm).all(axis=-1) | np.isnan(positions_mm).all(axis=-1)
    if not whole.all():
        *numbers, row = np.argwhere(~whole)[0]
        where = "".join(f" in atlas {number}" for number in numbers)
        raise BadInput(
            subject,
            expected="three finite coordinates per landmark, or three NaN",
            found=f"an infinite or half-absent {skeleton.landmarks[row]}{where}",
            remedy="set all three coordinates of an absent landmark to NaN",
        )
    if (np.abs(positions_mm) > MAX_COORDINATE_MM).any():
        raise BadInput(
            subject,
            expected=f"coordinates of at most {MAX_COORDINATE_MM:.0e} mm",
            found=f"{np.nanmax(np.abs(positions_mm)):.3g}",
            remedy="check the unit",
        )


def reference_pose(crl_mm: float = 60.0, skeleton: Skeleton | None = None) -> Pose:
    """Return the example pose of a skeleton, scaled to a crown-rump length, in the body frame.

    The origin is the sacrum, x points to the fetal right, y is ventral, z cranial. The pose is
    meant for drawings, examples and tests.

    Args:
        crl_mm: crown-rump length.
        skeleton: the skeleton; None for fetus-16.

    Raises:
        BadInput: the skeleton has no example pose.
    """
    skeleton = skeleton or load_skeleton()
    if skeleton.reference is None:
        raise BadInput(
            f"skeleton {skeleton.name}",
            expected="a reference_position for each landmark",
            found="none",
            remedy="add them to the skeleton file",
        )
    return Pose(skeleton, skeleton.reference * crl_mm)

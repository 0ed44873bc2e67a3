"""A `Pose`: where the landmarks of a skeleton are, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from fetusmap.anatomy.records import Provenance, Quality
from fetusmap.anatomy.skeleton import Side, Skeleton
from fetusmap.anatomy.skeleton_file import load_skeleton
from fetusmap.errors import BadInput
from fetusmap.geometry import affine_from, apply_affine, check_affine, is_reflection
from fetusmap.types import Affine, ArrayLike, BoolArray, FloatArray, Points3

FARTHEST_MM = 1e6
"""A kilometre: what lies beyond is no position in a scanner's room."""


@dataclass(frozen=True, eq=False)
class PosedLandmark:
    """One landmark of a pose."""

    name: str
    position_mm: FloatArray  # (3,) LPS; NaN when absent
    confidence: float
    side: Side

    @property
    def is_present(self) -> bool:
        """Whether the landmark has a position."""
        return bool(np.isfinite(self.position_mm).all())


@dataclass(frozen=True, eq=False)
class Pose:
    """Positions of a skeleton's landmarks in the world, with a confidence for each.

    Attributes:
        skeleton: names the rows.
        positions_mm: (N, 3) LPS mm, read-only; NaN where a landmark is absent.
        confidence: (N,) in [0, 1], read-only; 0 where a landmark is absent. One number stands
            for all present landmarks; 1 by default.
        quality: how far the pose may be trusted as a whole.
        provenance: what made the pose.

    Raises:
        BadInput: shapes that do not fit the skeleton, infinite or half-absent positions, or a
            confidence outside [0, 1].
    """

    skeleton: Skeleton
    positions_mm: Points3
    confidence: FloatArray = field(default_factory=lambda: np.ones(()))
    quality: Quality = field(default_factory=Quality)
    provenance: Provenance = field(default_factory=Provenance)

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
        absent = np.isnan(positions).all(axis=1)
        if not (np.isfinite(positions).all(axis=1) | absent).all():
            raise BadInput(
                "pose",
                expected="three finite coordinates per landmark, or three NaN",
                found="an infinite or half-absent position",
                remedy="set all three coordinates of an absent landmark to NaN",
            )
        if (np.abs(positions) > FARTHEST_MM).any():
            raise BadInput(
                "pose",
                expected=f"coordinates of at most {FARTHEST_MM:.0e} mm",
                found=f"{np.nanmax(np.abs(positions)):.3g}",
                remedy="check the unit",
            )
        confidence = np.where(absent, 0.0, confidence)
        if not ((confidence >= 0) & (confidence <= 1)).all():
            raise BadInput(
                "pose",
                expected="confidences from 0 to 1",
                found=f"{confidence.min()} to {confidence.max()}",
                remedy="give probabilities",
            )
        positions.flags.writeable = False
        confidence.flags.writeable = False
        object.__setattr__(self, "positions_mm", positions)
        object.__setattr__(self, "confidence", confidence)

    @classmethod
    def from_positions(
        cls, positions_mm: Mapping[str, ArrayLike], skeleton: Skeleton | None = None
    ) -> Pose:
        """Build a pose from landmark names; those that are not named are absent."""
        skeleton = skeleton or load_skeleton()
        rows = np.full((len(skeleton), 3), np.nan)
        for name, position in positions_mm.items():
            rows[skeleton.index(name)] = position
        return cls(skeleton, rows)

    def __getitem__(self, landmark: str) -> PosedLandmark:
        """One landmark by name; raises BadInput for a name that the skeleton does not have."""
        row = self.skeleton.index(landmark)
        return PosedLandmark(
            landmark,
            self.positions_mm[row],
            float(self.confidence[row]),
            self.skeleton.side(landmark),
        )

    def __iter__(self) -> Iterator[PosedLandmark]:
        """All landmarks, in the skeleton's order."""
        return (self[name] for name in self.skeleton.landmarks)

    @property
    def present(self) -> BoolArray:
        """(N,) whether each landmark has a position."""
        return np.asarray(np.isfinite(self.positions_mm).all(axis=1))

    def transform(self, target_from_source: Affine) -> Pose:
        """Carry the pose through a (4, 4) map of the world.

        A map that reflects shows the mirrored body, whose left limb is a right limb: the labels
        of each mirror pair are exchanged along with it.
        """
        matrix = check_affine(target_from_source, "pose map")
        moved = replace(self, positions_mm=apply_affine(matrix, self.positions_mm))
        return moved.exchange_sides() if is_reflection(matrix) else moved

    def mirror(self, normal: ArrayLike = (1.0, 0.0, 0.0), through_mm: ArrayLike = 0.0) -> Pose:
        """The pose of the mirrored fetus: reflected in a plane, sides exchanged.

        Args:
            normal: (3,) normal of the mirror plane, any length but zero.
            through_mm: (3,) a point of the plane; the world's origin by default.

        Twice is the identity.
        """
        unit = np.asarray(normal, dtype=np.float64)
        unit = unit / np.linalg.norm(unit)
        reflect = np.eye(3) - 2 * np.outer(unit, unit)
        point = np.broadcast_to(np.asarray(through_mm, dtype=np.float64), 3)
        return self.transform(affine_from(reflect, 2 * unit * (unit @ point)))

    def exchange_sides(self, landmarks: tuple[str, ...] | None = None) -> Pose:
        """Exchange the labels of left and right landmarks; nothing moves.

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
            self, positions_mm=self.positions_mm[order], confidence=self.confidence[order]
        )

    def lengths_mm(self) -> dict[str, float]:
        """Length of each segment, mm; NaN where an end is absent."""
        ends = self.positions_mm[self.skeleton.segment_index]
        lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=-1)
        return dict(zip([s.name for s in self.skeleton.segments], lengths.tolist(), strict=True))

    def equals(self, other: Pose) -> bool:
        """Same skeleton, positions and confidences, absent landmarks included."""
        return (
            self.skeleton == other.skeleton
            and np.array_equal(self.positions_mm, other.positions_mm, equal_nan=True)
            and np.array_equal(self.confidence, other.confidence)
        )


def reference_pose(crl_mm: float = 60.0, skeleton: Skeleton | None = None) -> Pose:
    """The skeleton's example pose at a crown-rump length, in the body's own frame.

    Origin sacrum, x fetal right, y ventral, z cranial. For drawings, examples and tests.

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

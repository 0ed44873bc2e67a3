"""Predicted poses and the annotations of the same cases, side by side as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fetusmap.anatomy import Pose, Skeleton, built_in_skeleton_for
from fetusmap.dataset import Case
from fetusmap.errors import BadInput
from fetusmap.evaluate.metrics import landmark_errors_mm
from fetusmap.types import FloatArray, Points3

MAX_NAMED = 5
"""Number of names that a message lists before it abbreviates."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Predictions and annotations of a cohort, over the landmarks that both have.

    Attributes:
        skeleton: the N landmarks that predictions and annotations share, in the order of the
            annotations, with the mirror pairs and segments between them.
        cases: names of the cases.
        subjects: subject of each case.
        found_mm: (cases, N, 3) predicted positions; NaN where a landmark was not found.
        true_mm: (cases, N, 3) annotated positions; NaN where there is no annotation, or where it
            lies outside the volume.
        without_prediction: annotated cases for which there is no prediction.
        without_truth: predicted cases for which there is no annotation.
        only_found: landmarks that a prediction has and the annotations lack.
        only_true: landmarks that the annotations have and a prediction lacks.
    """

    skeleton: Skeleton
    cases: tuple[str, ...]
    subjects: tuple[str, ...]
    found_mm: Points3
    true_mm: Points3
    without_prediction: tuple[str, ...] = ()
    without_truth: tuple[str, ...] = ()
    only_found: tuple[str, ...] = ()
    only_true: tuple[str, ...] = ()

    @property
    def errors_mm(self) -> FloatArray:
        """(cases, N) distances; infinite where a landmark was not found, NaN if not annotated."""
        return landmark_errors_mm(self.found_mm, self.true_mm)

    def restricted_to(self, landmarks: Sequence[str]) -> Pairs:
        """Return the same pairs over some of the landmarks only, in the present order.

        Raises:
            BadInput: predictions and annotations do not share one of the landmarks.
        """
        unknown = [name for name in landmarks if name not in self.skeleton.landmarks]
        if unknown:
            raise BadInput(
                "landmarks to compare",
                expected="landmarks that predictions and annotations share: "
                + ", ".join(self.skeleton.landmarks),
                found=abbreviate_names(unknown),
                remedy="name some of these",
            )
        chosen = tuple(name for name in self.skeleton.landmarks if name in set(landmarks))
        rows = self.skeleton.indices(chosen)
        return replace(
            self,
            skeleton=_skeleton_of(self.skeleton, chosen),
            found_mm=self.found_mm[:, rows],
            true_mm=self.true_mm[:, rows],
        )


def pair_with_truth(found: Mapping[str, Pose], cases: Sequence[Case]) -> Pairs:
    """Pair predictions with the annotations of the cases of a dataset, see `pair_poses`.

    Args:
        found: predicted poses by the name of their case.
        cases: cases of a dataset.

    Raises:
        BadInput: no case is annotated, or predictions and annotations share no landmark.
    """
    annotated = [case for case in cases if case.is_annotated]
    if not annotated:
        raise BadInput(
            "evaluation",
            expected="annotated cases",
            found="none" if not cases else f"{len(cases)} without annotation",
            remedy="name a dataset, or a split of it, that has landmarks",
        )
    return pair_poses(
        found,
        {case.name: case.load_pose() for case in annotated},
        {case.name: case.subject for case in annotated},
    )


def pair_poses(
    found: Mapping[str, Pose], truth: Mapping[str, Pose], subjects: Mapping[str, str] | None = None
) -> Pairs:
    """Pair predictions with annotations by the names of their cases and of their landmarks.

    The skeletons may differ: the pairs hold the landmarks that the annotations share with every
    prediction. A case without a prediction counts as missed altogether. A landmark whose annotation
    has confidence 0 (outside the volume) is not counted at all.

    Args:
        found: predicted poses by the name of their case.
        truth: annotated poses by the name of their case. If their skeletons differ, all are taken
            on the built-in one that has the most of their landmarks.
        subjects: subject of each annotated case; a case that has none is its own subject.

    Raises:
        BadInput: there is no annotation, predictions and annotations share no landmark, or the
            annotations are of skeletons that have no common one.
    """
    if not truth:
        raise BadInput(
            "evaluation", expected="annotated cases", found="none", remedy="give annotations"
        )
    poses = {name: found[name] for name in truth if name in found}
    truths = _on_one_skeleton(list(truth.values()))
    whole = truths[0].skeleton
    shared = _shared_landmarks(whole, poses)
    predicted = dict.fromkeys(name for pose in poses.values() for name in pose.skeleton.landmarks)
    nowhere = np.full((len(shared), 3), np.nan)
    rows = whole.indices(shared)
    names = tuple(truth)
    known = subjects or {}
    return Pairs(
        skeleton=_skeleton_of(whole, shared),
        cases=names,
        subjects=tuple(known.get(name) or name for name in names),
        found_mm=np.array(
            [_positions(poses[name], shared) if name in poses else nowhere for name in names]
        ),
        true_mm=np.array([_annotated_positions(pose)[rows] for pose in truths]),
        without_prediction=tuple(name for name in names if name not in poses),
        without_truth=tuple(sorted(set(found) - set(names))),
        only_found=tuple(name for name in predicted if name not in whole.landmarks),
        only_true=tuple(name for name in whole.landmarks if name not in shared),
    )


def _on_one_skeleton(poses: Sequence[Pose]) -> list[Pose]:
    """Return annotations that may be of several skeletons on one; what one lacks is absent."""
    skeletons = {pose.skeleton for pose in poses}
    if len(skeletons) == 1:
        return list(poses)
    names = {name for skeleton in skeletons for name in skeleton.landmarks}
    whole = built_in_skeleton_for(names)
    if not names <= set(whole.landmarks):
        raise BadInput(
            "annotations",
            expected="one skeleton, or built-in ones",
            found=" and ".join(sorted(skeleton.name for skeleton in skeletons)),
            remedy="evaluate the annotations of each skeleton for themselves",
        )
    return [pose.on(whole) for pose in poses]


def describe_landmarks(names: Sequence[str]) -> str:
    """Describe landmarks in words, such as "the 16 landmarks of fetus-16"."""
    fitting = built_in_skeleton_for(names)
    count = f"the {len(names)} landmark{'s' * (len(names) > 1)}"
    is_whole = set(names) == set(fitting.landmarks)
    return f"{count} of {fitting.name}" if is_whole else f"{count} {abbreviate_names(names)}"


def abbreviate_names(names: Sequence[str]) -> str:
    """Return names in one line; only the first five where there are more."""
    return ", ".join(names[:MAX_NAMED]) + ", ..." * (len(names) > MAX_NAMED)


def _shared_landmarks(skeleton: Skeleton, poses: Mapping[str, Pose]) -> tuple[str, ...]:
    """Return the landmarks of the annotations that every prediction has."""
    shared = skeleton.landmarks
    for case, pose in poses.items():
        shared = tuple(name for name in shared if name in pose.skeleton.landmarks)
        if not shared:
            raise BadInput(
                f"prediction of {case}",
                expected=f"a landmark that the annotations ({skeleton.name}) and all predictions "
                f"have, such as {abbreviate_names(skeleton.landmarks)}",
                found=f"the skeleton {pose.skeleton.name} with "
                f"{abbreviate_names(pose.skeleton.landmarks)}",
                remedy="use the same landmark names on both sides, or give another dataset",
            )
    return shared


def _skeleton_of(skeleton: Skeleton, landmarks: tuple[str, ...]) -> Skeleton:
    """Return the part of a skeleton that lies between some of its landmarks."""
    if landmarks == skeleton.landmarks:
        return skeleton
    names = set(landmarks)
    reference = skeleton.reference_positions
    return replace(
        skeleton,
        landmarks=landmarks,
        segments=tuple(s for s in skeleton.segments if {s.start, s.end} <= names),
        mirror_pairs=tuple(pair for pair in skeleton.mirror_pairs if set(pair) <= names),
        angles=tuple(a for a in skeleton.angles if {*a.first, *a.second} <= names),
        trunk=skeleton.trunk if set(skeleton.trunk or ()) <= names else None,
        crown_rump_ends=None,
        crown_rump=None,
        lateral_pairs=tuple(pair for pair in skeleton.lateral_pairs if set(pair) <= names),
        registration_subset=tuple(n for n in skeleton.registration_subset if n in names),
        paper_index={n: i for n, i in skeleton.paper_index.items() if n in names},
        reference_positions=None
        if reference is None
        else tuple(reference[row] for row in skeleton.indices(landmarks)),
    )


def _positions(pose: Pose, landmarks: tuple[str, ...]) -> Points3:
    return np.asarray(pose.positions_mm[pose.skeleton.indices(landmarks)])


def _annotated_positions(truth: Pose) -> Points3:
    return np.where(truth.confidence[:, None] > 0, truth.positions_mm, np.nan)

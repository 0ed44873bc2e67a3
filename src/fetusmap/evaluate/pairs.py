"""Predicted poses beside the annotations of the same cases, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fetusmap.anatomy import Pose, Skeleton
from fetusmap.dataset import Case
from fetusmap.errors import BadInput
from fetusmap.evaluate.metrics import landmark_errors_mm
from fetusmap.files.reading import visible_files
from fetusmap.io import load_pose
from fetusmap.types import FloatArray, Points3

POSE_FILE = "pose.json"
MARKUPS_SUFFIX = ".mrk.json"


@dataclass(frozen=True, eq=False)
class Pairs:
    """What was found and what is true.

    Attributes:
        skeleton: of all poses.
        cases: names.
        subjects: of each case.
        found_mm: (cases, N, 3); NaN for what was not found.
        true_mm: (cases, N, 3); NaN without annotation or outside the volume.
        without_prediction: names of the cases that nothing was predicted for.
    """

    skeleton: Skeleton
    cases: tuple[str, ...]
    subjects: tuple[str, ...]
    found_mm: Points3
    true_mm: Points3
    without_prediction: tuple[str, ...] = ()

    @property
    def errors_mm(self) -> FloatArray:
        """(cases, N) distances; infinite for what was not found, NaN without annotation."""
        return landmark_errors_mm(self.found_mm, self.true_mm)


def pair_with_truth(found: Mapping[str, Pose], cases: Sequence[Case]) -> Pairs:
    """Put predictions beside the annotations of cases.

    A case without a prediction counts as missed altogether. A landmark that the annotation does
    not vouch for (confidence 0: outside the volume) is not counted at all.

    Args:
        found: poses by the name of their case.
        cases: of a dataset.

    Raises:
        BadInput: no annotated case, or a pose of another skeleton.
    """
    annotated = [case for case in cases if case.is_annotated]
    if not annotated:
        raise BadInput(
            "evaluation",
            expected="annotated cases",
            found="none" if not cases else f"{len(cases)} without annotation",
            remedy="name a dataset, or a split of it, that has landmarks",
        )
    truths = [case.load_pose() for case in annotated]
    skeleton = truths[0].skeleton
    poses = [found.get(case.name) for case in annotated]
    for case, pose in zip(annotated, poses, strict=True):
        if pose is not None and pose.skeleton != skeleton:
            raise BadInput(
                f"prediction of {case.name}",
                expected=f"a pose of the skeleton {skeleton.name}",
                found=f"one of {pose.skeleton.name}",
                remedy="evaluate predictions of the same skeleton",
            )
    nowhere = np.full((len(skeleton), 3), np.nan)
    return Pairs(
        skeleton,
        tuple(case.name for case in annotated),
        tuple(case.subject or case.name for case in annotated),
        np.array([nowhere if pose is None else pose.positions_mm for pose in poses]),
        np.array([np.where(t.confidence[:, None] > 0, t.positions_mm, np.nan) for t in truths]),
        tuple(c.name for c, pose in zip(annotated, poses, strict=True) if pose is None),
    )


def find_poses(folder: Path, skeleton: Skeleton | None = None) -> dict[str, Pose]:
    """The poses of a folder by case: FOLDER/<case>/pose.json, or FOLDER/<case>.json.

    Args:
        folder: what `fetusmap predict` wrote, or a folder of pose files.
        skeleton: of the poses; None for one that ships.

    Raises:
        BadInput: no pose there, or a pose file that is none.
    """
    paths = {path.parent.name: path for path in visible_files(folder, f"*/{POSE_FILE}")}
    if not paths:
        files = (p for p in visible_files(folder, "*.json") if not p.name.endswith(MARKUPS_SUFFIX))
        paths = {path.stem: path for path in files}
    if not paths:
        raise BadInput(
            folder,
            expected=f"poses: <case>/{POSE_FILE} as predict writes them, or <case>.json",
            found="none" if folder.is_dir() else "no such folder",
            remedy="give the folder of a prediction",
        )
    return {case: load_pose(path, skeleton) for case, path in paths.items()}

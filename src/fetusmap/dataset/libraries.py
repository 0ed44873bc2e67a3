"""Pose libraries out of what people have: annotated datasets, and files of poses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import JsonValue

from fetusmap.anatomy import Pose, Skeleton
from fetusmap.atlas import PoseLibrary
from fetusmap.dataset.layout import Dataset
from fetusmap.errors import FetusmapError, UnreadableFile
from fetusmap.files import POSE_SUFFIXES, case_name, suffix_of
from fetusmap.io import load_pose

Collected = tuple[PoseLibrary, tuple[FetusmapError, ...]]
"""A library, and why some poses are not in it."""


def library_from_dataset(dataset: Dataset, split: str | None = None) -> Collected:
    """The annotated poses of a dataset or of one of its splits, grouped by subject.

    Args:
        dataset: with annotated cases.
        split: the name of a split; None takes all cases.

    Raises:
        UnreadableFile: no such split, or nothing annotated in it.
        FetusmapError: none of the poses can be read; this is the first one's trouble.
    """
    cases = [c for c in (dataset.split(split) if split else dataset.cases) if c.is_annotated]
    if not cases:
        raise UnreadableFile(
            dataset.folder,
            expected="annotated cases",
            found=f"none in split {split!r}" if split else "none",
            remedy="give a dataset with landmarks",
        )
    made_by: dict[str, JsonValue] = {
        "dataset": dataset.name,
        "licence": dataset.licence,
        "split": split,
        "made_by": dict(dataset.made_by),
    }
    return _collect([(case.load_pose, case.subject) for case in cases], made_by)


def library_from_files(paths: Iterable[Path], skeleton: Skeleton | None = None) -> Collected:
    """The poses of some files, each of which is a group of its own.

    Args:
        paths: pose files of any format.
        skeleton: for landmarks other than those of a built-in skeleton.

    Raises:
        BadInput: no file, or poses of several skeletons.
        FetusmapError: none of the poses can be read; this is the first one's trouble.
    """
    listed = list(paths)

    def reader(path: Path) -> Callable[[], Pose]:
        return lambda: load_pose(path, skeleton)

    # The folder belongs to the label: there is a pose.json for every predicted case.
    labels = [f"{path.resolve().parent.name}/{case_name(path)}" for path in listed]
    readers = [(reader(path), label) for path, label in zip(listed, labels, strict=True)]
    return _collect(readers, {"files": len(listed)})


def find_pose_files(folder: str | Path) -> tuple[Path, ...]:
    """The pose files of a folder, not of those inside it, sorted by name.

    Raises:
        UnreadableFile: no such folder, or no pose file in it.
    """
    folder = Path(folder)
    found = folder.iterdir() if folder.is_dir() else ()
    visible = [path for path in found if path.is_file() and not path.name.startswith(".")]
    paths = sorted(path for path in visible if suffix_of(path, POSE_SUFFIXES))
    if not paths:
        raise UnreadableFile(
            folder,
            expected=f"pose files ({', '.join(POSE_SUFFIXES)})",
            found="none" if folder.is_dir() else "no folder",
            remedy="give the folder that holds them",
        )
    return tuple(paths)


def _collect(
    readers: list[tuple[Callable[[], Pose], str]], made_by: dict[str, JsonValue]
) -> Collected:
    poses, groups, troubles = [], [], []
    for read, group in readers:
        try:
            poses.append(read())
        except FetusmapError as error:
            troubles.append(error)
        else:
            groups.append(group)
    if troubles and not poses:
        raise troubles[0]
    return PoseLibrary.from_poses(poses, groups, made_by), tuple(troubles)

"""Build pose libraries from annotated datasets and from files of poses."""

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
"""A library, and the errors that excluded poses from it."""


def library_from_dataset(dataset: Dataset, split: str | None = None) -> Collected:
    """Collect the annotated poses of a dataset or of one of its splits, grouped by subject.

    The library has the skeleton of the dataset.

    Args:
        dataset: dataset with annotated cases.
        split: name of a split; None takes all cases.

    Raises:
        UnreadableFile: the dataset has no such split, or no annotated case in it.
        FetusmapError: none of the poses can be read; this is the error of the first one.
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
    """Collect the poses of files; each file is a group of its own.

    Args:
        paths: pose files of any format.
        skeleton: skeleton of the poses; None takes the one that each file names.

    Raises:
        BadInput: there is no file, or the poses have several skeletons.
        FetusmapError: none of the poses can be read; this is the error of the first one.
    """
    listed = list(paths)

    def reader(path: Path) -> Callable[[], Pose]:
        return lambda: load_pose(path, skeleton)

    # The label contains the folder, because every predicted case has a file named pose.json.
    labels = [f"{path.resolve().parent.name}/{case_name(path)}" for path in listed]
    readers = [(reader(path), label) for path, label in zip(listed, labels, strict=True)]
    return _collect(readers, {"files": len(listed)})


def find_pose_files(folder: str | Path) -> tuple[Path, ...]:
    """Return the visible pose files of a folder, without its subfolders, sorted by name.

    Raises:
        UnreadableFile: the folder does not exist or holds no pose file.
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
    """Read poses and put those that can be read into a library."""
    poses, groups, errors = [], [], []
    for read, group in readers:
        try:
            poses.append(read())
        except FetusmapError as error:
            errors.append(error)
        else:
            groups.append(group)
    if errors and not poses:
        raise errors[0]
    return PoseLibrary.from_poses(poses, groups, made_by), tuple(errors)

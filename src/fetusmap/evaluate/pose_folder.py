"""Poses by the name of their case, from a folder of pose files, a table, or a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fetusmap.anatomy import Pose, Skeleton
from fetusmap.dataset import is_dataset, load_dataset
from fetusmap.errors import BadInput
from fetusmap.files import (
    POSE_SUFFIXES,
    case_name,
    is_folder,
    read_json,
    read_rows,
    safe_name,
    suffix_of,
    visible_files,
)
from fetusmap.io import MAX_LANDMARK_TABLE_BYTES, load_landmark_table, load_pose

POSE_FILE = "pose.json"
POSE_FORMAT = "fetusmap-pose"
JSON_SUFFIXES = (".json", ".mrk.json")
TABLE_SUFFIXES = (".csv", ".parquet")


def find_poses(place: Path, skeleton: Skeleton | None = None) -> dict[str, Pose]:
    """Read the poses of a folder, a table or a dataset, by case.

    A folder holds FOLDER/<case>/pose.json as `fetusmap predict` writes them, or pose files named
    after their cases, or both. A CSV file among them may hold one case or many. Beside folders of
    cases, JSON files that do not declare themselves a pose, and tables, are ignored; in a folder of
    pose files alone each JSON file must be a pose, and tables without landmarks are ignored.

    Args:
        place: output folder of `fetusmap predict`, a folder of pose files, a table of landmarks, or
            a dataset, whose annotations are the poses.
        skeleton: skeleton of files that neither define nor name their own, if it has their
            landmarks; otherwise the built-in one that has them.

    Raises:
        BadInput: there is no pose, two poses of one case, or a file that is not a pose.
    """
    if is_folder(place) and is_dataset(place):
        cases = load_dataset(place).cases
        return {case.name: case.load_pose() for case in cases if case.is_annotated}
    if suffix_of(place, TABLE_SUFFIXES) and not is_folder(place):
        return _poses_of_table(place, skeleton)
    nested = visible_files(place, f"*/{POSE_FILE}")
    found: dict[str, tuple[Path, Pose]] = {}
    twice: list[tuple[Path, Path]] = []
    for case, path, pose in _poses_in(place, nested, skeleton):
        if case in found:
            twice.append((found[case][0], path))
        found[case] = path, pose
    if twice:
        first, second = (path.relative_to(place) for path in twice[0])
        raise BadInput(
            place,
            expected="one pose for each case",
            found=f"{len(twice)} with two, such as {first} and {second}",
            remedy="move one of the two elsewhere",
        )
    if not found:
        raise BadInput(
            place,
            expected=f"poses: <case>/{POSE_FILE} as predict writes them, or <case> with "
            f"{', '.join(POSE_SUFFIXES)}",
            found="none" if is_folder(place) else "no folder",
            remedy="give the folder of a prediction, pose files, a table of landmarks or a dataset",
        )
    return {case: found[case][1] for case in sorted(found)}


def _poses_in(
    folder: Path, nested: list[Path], skeleton: Skeleton | None
) -> Iterator[tuple[str, Path, Pose]]:
    """Yield case, file and pose of all pose files of a folder; `nested` are those of its cases."""
    for path in visible_files(folder, "*"):
        suffix = suffix_of(path, POSE_SUFFIXES)
        if not path.is_file() or not suffix:
            continue
        if suffix == ".csv":
            if not nested and _has_landmarks(path):
                for case, pose in _poses_of_table(path, skeleton).items():
                    yield safe_name(case), path, pose
        elif suffix not in JSON_SUFFIXES or not nested or _declares_pose(path):
            yield case_name(path), path, _load(path, skeleton)
    for path in nested:
        yield path.parent.name, path, _load(path, skeleton)


def _declares_pose(path: Path) -> bool:
    try:
        data = read_json(path)
    except BadInput:
        return False
    return isinstance(data, dict) and ("markups" in data or data.get("format") == POSE_FORMAT)


def _has_landmarks(path: Path) -> bool:
    try:
        read_rows(path, ["landmark"], max_bytes=MAX_LANDMARK_TABLE_BYTES)
    except BadInput:
        return False
    return True


def _poses_of_table(path: Path, skeleton: Skeleton | None) -> dict[str, Pose]:
    if skeleton is not None:
        try:
            return load_landmark_table(path, skeleton)
        except BadInput:  # a landmark that it lacks, or damage that is found again
            pass
    return load_landmark_table(path)


def _load(path: Path, skeleton: Skeleton | None) -> Pose:
    """Read a pose of the given skeleton, or of another one that its file defines or names."""
    named = _skeleton_named_in(path) if suffix_of(path, POSE_SUFFIXES) in JSON_SUFFIXES else None
    if skeleton is None or named not in (None, skeleton.name):
        return load_pose(path)
    if named == skeleton.name:
        return load_pose(path, skeleton)
    try:
        return load_pose(path, skeleton)
    except BadInput:  # a landmark that it lacks, or damage that is found again
        return load_pose(path)


def _skeleton_named_in(path: Path) -> object:
    data = read_json(path)
    definition = data.get("skeleton") if isinstance(data, dict) else None
    return definition.get("name") if isinstance(definition, dict) else definition

"""Reading and writing of poses in every format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fetusmap.anatomy import Pose, Skeleton
from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.files.documents import read_json
from fetusmap.files.names import POSE_SUFFIXES, format_suffix, suffix_of
from fetusmap.files.reading import check_regular_file
from fetusmap.io.poses.fcsv import points_of_fcsv, read_fcsv, write_fcsv
from fetusmap.io.poses.landmark_table import read_landmarks_csv, write_landmarks_csv
from fetusmap.io.poses.markups import points_of_markups, pose_from_markups, write_markups
from fetusmap.io.poses.pose_json import pose_from_plain, write_pose_json

WRITERS = {
    ".mrk.json": write_markups,
    ".json": write_pose_json,
    ".fcsv": write_fcsv,
    ".csv": write_landmarks_csv,
}


def load_pose(
    path: str | Path,
    skeleton: Skeleton | None = None,
    *,
    landmarks: Sequence[str] | None = None,
) -> Pose:
    """Read a pose from a `pose.json`, points of 3D Slicer, or a CSV of landmarks.

    Args:
        path: the file. Whether JSON is a pose or markups is recognised by its content.
        skeleton: skeleton that the pose must have. A `pose.json` needs none, because it holds the
            definition of its skeleton; for other files the default is the built-in skeleton that
            has the landmarks of the file.
        landmarks: names of the points of a file of 3D Slicer, in the order in which they were
            placed; None if the points are named after the landmarks.

    Raises:
        UnreadableFile: the file does not exist or holds no pose.
        BadInput: the pose has another skeleton, or names are given for a file that has its own.
    """
    path = Path(path)
    suffix = _suffix(path)
    if suffix == ".fcsv":
        return read_fcsv(path, skeleton, landmarks)
    data: Any = None if suffix == ".csv" else read_json(path)
    keys = set(data) if isinstance(data, dict) else set()
    if "markups" in keys:
        return pose_from_markups(data, skeleton, path, landmarks)
    if landmarks is not None:
        raise BadInput(
            path,
            expected="points of 3D Slicer, if names are given for them",
            found="a file with names of its own",
            remedy="leave --landmarks out",
        )
    if suffix == ".csv":
        return read_landmarks_csv(path, skeleton)
    if "landmarks" in keys and "format" not in keys and isinstance(data["landmarks"], dict):
        raise BadInput(
            path,
            expected="a pose in millimetres",
            found="voxel indices in the layout of nnLandmark",
            remedy="convert the whole folder, so that its volumes give the millimetres",
        )
    return pose_from_plain(data, skeleton, path)


def read_point_names(path: Path) -> list[str]:
    """Read the names of the points in a file of 3D Slicer, or of the landmarks of a `pose.json`."""
    if _suffix(path) == ".fcsv":
        return [point.label for point in points_of_fcsv(path)]
    data = read_json(path)
    if isinstance(data, dict) and "markups" in data:
        return [point.label for point in points_of_markups(data, path)]
    return list(pose_from_plain(data, None, path).skeleton.landmarks)


def _suffix(path: Path) -> str:
    """Return the suffix of a pose file that exists."""
    suffix = suffix_of(path, POSE_SUFFIXES)
    if not suffix:
        raise UnreadableFile(
            path,
            expected=f"a pose file ({', '.join(POSE_SUFFIXES)})",
            found=f"the suffix {path.suffix!r}",
            remedy="give a pose file",
        )
    check_regular_file(path, follow_links=True)
    return suffix


def save_pose(pose: Pose, path: str | Path, *, overwrite: bool = True) -> None:
    """Write a pose atomically, in the format that the suffix names.

    `.json` keeps everything, `.mrk.json` and `.fcsv` open in 3D Slicer, `.csv` is a tidy table of
    landmarks.

    Raises:
        BadInput: the suffix is another one, the folder cannot be written, or the file exists and
            may not be overwritten.
    """
    path = Path(path)
    suffix = format_suffix(path, POSE_SUFFIXES, "pose")
    WRITERS[suffix](pose, path, overwrite=overwrite)

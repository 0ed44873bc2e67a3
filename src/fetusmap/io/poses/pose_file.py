"""Reading and writing of poses in every format."""

from __future__ import annotations

from pathlib import Path

from fetusmap.anatomy import Pose, Skeleton
from fetusmap.errors import BadInput, UnreadableFile
from fetusmap.files.documents import read_json
from fetusmap.files.names import POSE_SUFFIXES, format_suffix, suffix_of
from fetusmap.files.reading import check_regular_file
from fetusmap.io.poses.landmark_table import read_landmarks_csv, write_landmarks_csv
from fetusmap.io.poses.markups import pose_from_markups, write_markups
from fetusmap.io.poses.pose_json import pose_from_plain, write_pose_json

WRITERS = {
    ".mrk.json": write_markups,
    ".json": write_pose_json,
    ".csv": write_landmarks_csv,
}


def load_pose(path: str | Path, skeleton: Skeleton | None = None) -> Pose:
    """Read a pose from a `pose.json`, a 3D Slicer markups file, or a CSV of landmarks.

    Args:
        path: the file. Whether JSON is a pose or markups is recognised by its content.
        skeleton: skeleton that the pose must have. A `pose.json` needs none, because it holds the
            definition of its skeleton; for markups and CSV the default is the built-in skeleton
            that has the landmarks of the file.

    Raises:
        UnreadableFile: the file does not exist or holds no pose.
        BadInput: the pose has another skeleton.
    """
    path = Path(path)
    suffix = suffix_of(path, POSE_SUFFIXES)
    if not suffix:
        raise UnreadableFile(
            path,
            expected=f"a pose file ({', '.join(POSE_SUFFIXES)})",
            found=f"the suffix {path.suffix!r}",
            remedy="give a pose file",
        )
    check_regular_file(path, follow_links=True)
    if suffix == ".csv":
        return read_landmarks_csv(path, skeleton)
    data = read_json(path)
    keys = set(data) if isinstance(data, dict) else set()
    if "markups" in keys:
        return pose_from_markups(data, skeleton, path)
    if "format" not in keys and isinstance(data.get("landmarks") if keys else None, dict):
        raise BadInput(
            path,
            expected="a pose in millimetres",
            found="voxel indices in the layout of nnLandmark",
            remedy="convert the whole folder, so that its volumes give the millimetres",
        )
    return pose_from_plain(data, skeleton, path)


def save_pose(pose: Pose, path: str | Path, *, overwrite: bool = True) -> None:
    """Write a pose atomically, in the format that the suffix names.

    `.json` keeps everything, `.mrk.json` opens in 3D Slicer, `.csv` is a tidy table of landmarks.

    Raises:
        BadInput: the suffix is another one, the folder cannot be written, or the file exists and
            may not be overwritten.
    """
    path = Path(path)
    suffix = format_suffix(path, POSE_SUFFIXES, "pose")
    WRITERS[suffix](pose, path, overwrite=overwrite)

"""Pose files of a folder, by the name of their case."""

from __future__ import annotations

from pathlib import Path

from fetusmap.anatomy import Pose, Skeleton
from fetusmap.errors import BadInput
from fetusmap.files import read_json, visible_files
from fetusmap.io import load_pose

POSE_FILE = "pose.json"
POSE_FORMAT = "fetusmap-pose"
MARKUPS_SUFFIX = ".mrk.json"


def find_poses(folder: Path, skeleton: Skeleton | None = None) -> dict[str, Pose]:
    """Read the poses of a folder by case: FOLDER/<case>/pose.json and FOLDER/<case>.json.

    Both layouts may lie in one folder. Beside folders of cases, JSON files that do not declare
    themselves a pose are ignored; in a folder of pose files alone each of them must be a pose.

    Args:
        folder: output folder of `fetusmap predict`, or a folder of pose files.
        skeleton: skeleton of files that neither define nor name their own; the built-in one that
            has their landmarks if not given.

    Raises:
        BadInput: the folder holds no pose, two poses of one case, or a file that is not a pose.
    """
    nested = {path.parent.name: path for path in visible_files(folder, f"*/{POSE_FILE}")}
    files = (p for p in visible_files(folder, "*.json") if not p.name.endswith(MARKUPS_SUFFIX))
    flat = {path.stem: path for path in files if not nested or _declares_pose(path)}
    twice = sorted(set(nested) & set(flat))
    if twice:
        raise BadInput(
            folder,
            expected="one pose for each case",
            found=f"{len(twice)} with two, such as {twice[0]}.json and {twice[0]}/{POSE_FILE}",
            remedy="move one of the two elsewhere",
        )
    if not nested and not flat:
        raise BadInput(
            folder,
            expected=f"poses: <case>/{POSE_FILE} as predict writes them, or <case>.json",
            found="none" if folder.is_dir() else "no such folder",
            remedy="give the folder of a prediction",
        )
    return {case: _load(path, skeleton) for case, path in sorted((nested | flat).items())}


def _declares_pose(path: Path) -> bool:
    try:
        data = read_json(path)
    except BadInput:
        return False
    return isinstance(data, dict) and ("markups" in data or data.get("format") == POSE_FORMAT)


def _load(path: Path, skeleton: Skeleton | None) -> Pose:
    """Read a pose of the given skeleton, or of another one that its file defines or names."""
    data = read_json(path)
    definition = data.get("skeleton") if isinstance(data, dict) else None
    name = definition.get("name") if isinstance(definition, dict) else definition
    is_other = skeleton is not None and name not in (None, skeleton.name)
    return load_pose(path, None if is_other else skeleton)

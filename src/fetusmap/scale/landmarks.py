"""The table of all landmarks of a cohort, made anew from the cases' folders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fetusmap.anatomy import Pose
from fetusmap.corrections import CORRECTIONS_FILE, corrected_pose, read_log
from fetusmap.errors import FetusmapError
from fetusmap.io import check_pyarrow, load_pose, write_landmark_table
from fetusmap.scale.records import (
    DONE_FILE,
    FAILED_FILE,
    LANDMARKS_FILE,
    LANDMARKS_PARQUET_FILE,
)
from fetusmap.scale.summary import folders_of_cases


def write_landmarks(output: Path, *, parquet: bool = False) -> None:
    """Write the landmarks of all cases of an output folder that are done, sorted by case.

    Landmarks that a person corrected have the corrected positions. A case that cannot be read is
    missing, as it is in the summary; the next run predicts it anew.

    Args:
        output: the folder of all results.
        parquet: write the table as Parquet, too. A Parquet file of an earlier run is replaced in
            any case, so that it never differs from the CSV file.

    Raises:
        BadInput: pyarrow is not installed but needed, or a table cannot be written.
    """
    poses = list(_poses_in(output))
    write_landmark_table(poses, output / LANDMARKS_FILE)
    if wants_parquet(output, parquet):
        write_landmark_table(poses, output / LANDMARKS_PARQUET_FILE)


def wants_parquet(output: Path, asked: bool) -> bool:
    """Return whether a Parquet file will be written: it was asked for, or it is already there.

    Raises:
        BadInput: it will, but pyarrow is not installed.
    """
    wanted = asked or (output / LANDMARKS_PARQUET_FILE).is_file()
    if wanted:
        check_pyarrow()
    return wanted


def _poses_in(output: Path) -> Iterator[tuple[str, Pose]]:
    for folder in sorted(folders_of_cases(output), key=lambda folder: folder.name):
        if (folder / DONE_FILE).is_file() and not (folder / FAILED_FILE).is_file():
            with suppress(FetusmapError):
                pose = load_pose(folder / "pose.json")
                yield folder.name, corrected_pose(pose, read_log(folder / CORRECTIONS_FILE))

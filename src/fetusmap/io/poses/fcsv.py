"""Point lists of 3D Slicer as text, `.fcsv`: comments with the version and the frame, then rows.

Version 4.10 and earlier ones are in RAS, version 4.11 in LPS; a line that states the frame counts.
The cell after the columns is the state of the point: 2 if it is defined.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fetusmap.anatomy import Pose, Skeleton
from fetusmap.errors import UnreadableFile
from fetusmap.files.documents import MAX_JSON_BYTES
from fetusmap.files.reading import open_regular
from fetusmap.files.writing import write_text
from fetusmap.geometry import LPS_FROM_RAS, apply_affine
from fetusmap.io.poses.named_points import NamedPoint, describe, pose_of_points

COLUMNS = (
    "id", "x", "y", "z", "ow", "ox", "oy", "oz", "vis", "sel", "lock", "label", "desc",
    "associatedNodeID",
)  # fmt: skip
NEEDED = ("x", "y", "z", "label")
FRAMES = {"0": "RAS", "RAS": "RAS", "1": "LPS", "LPS": "LPS"}
FIRST_LPS_VERSION = (4, 11)
DEFINED, UNDEFINED = "2", "0"
UNDEFINED_STATES = {"0", "1", "3"}
"""States of a point that has no position: undefined, a preview, or missing."""


def read_fcsv(
    path: Path, skeleton: Skeleton | None = None, landmarks: Sequence[str] | None = None
) -> Pose:
    """Read the landmarks of a `.fcsv` file.

    Args:
        path: the file.
        skeleton: skeleton of the pose, see `pose_of_points`.
        landmarks: names of the points in their order, see `pose_of_points`.

    Raises:
        UnreadableFile: the file is too large, is no text, states no frame or another one than RAS
            and LPS, or has a row without three numbers.
        BadInput: see `pose_of_points`.
    """
    return pose_of_points(points_of_fcsv(path), skeleton, path, landmarks)


def points_of_fcsv(path: Path) -> list[NamedPoint]:
    """Read the points of a `.fcsv` file."""
    comments, rows = _lines(path)
    stated = {
        key.strip().casefold(): value.strip()
        for key, equals, value in (line.lstrip("# ").partition("=") for line in comments)
        if equals
    }
    lps_from_file = LPS_FROM_RAS if _frame(path, stated) == "RAS" else np.eye(4)
    columns = [c.strip() for c in stated.get("columns", ",".join(COLUMNS)).split(",")]
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise UnreadableFile(
            path,
            expected=f"the columns {', '.join(NEEDED)}",
            found=f"no {missing[0]}",
            remedy="save the points again with 3D Slicer",
        )
    points = []
    for cells in csv.reader(rows, skipinitialspace=True):
        row = dict(zip(columns, cells, strict=False))
        states = cells[len(columns) :]
        is_defined = not states or states[0].strip() not in UNDEFINED_STATES
        place = apply_affine(lps_from_file, _position(path, row)) if is_defined else None
        points.append(NamedPoint(row.get("label", ""), place, row.get("desc", "")))
    return points


def write_fcsv(pose: Pose, path: Path, *, overwrite: bool = True) -> None:
    """Write a `.fcsv` file of version 4.11 atomically; the pose reads back equal."""
    buffer = io.StringIO()
    buffer.write("# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n")
    buffer.write(f"# columns = {','.join(COLUMNS)}\n")
    writer = csv.writer(buffer, lineterminator="\n")
    for number, mark in enumerate(pose, 1):
        place = [repr(v) for v in mark.position_mm.tolist()] if mark.is_present else ["0"] * 3
        state = DEFINED if mark.is_present else UNDEFINED
        described = (mark.name, describe(mark), "", state, "0")
        writer.writerow((number, *place, 0, 0, 0, 1, 1, 1, 0, *described))
    write_text(path, buffer.getvalue(), overwrite=overwrite)


def _lines(path: Path) -> tuple[list[str], list[str]]:
    """Return the comments and the other lines of a file of limited size."""
    with open_regular(path, follow_links=True) as file:
        content = file.read(MAX_JSON_BYTES + 1)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if len(content) > MAX_JSON_BYTES or "\0" in text:
        raise UnreadableFile(
            path,
            expected=f"at most {MAX_JSON_BYTES} bytes of text",
            found="a larger file" if len(content) > MAX_JSON_BYTES else "other bytes",
            remedy="check that this is a point list of 3D Slicer",
        )
    lines = [line for line in text.splitlines() if line.strip()]
    comments = [line for line in lines if line.startswith("#")]
    return comments, [line for line in lines if not line.startswith("#")]


def _frame(path: Path, stated: dict[str, str]) -> str:
    """Return the frame of the file, RAS or LPS: as stated, or that of its version."""
    version = re.fullmatch(r"([0-9]+)\.([0-9]+).*", stated.get("markups fiducial file version", ""))
    usual = ""
    if version:
        is_new = (int(version[1]), int(version[2])) >= FIRST_LPS_VERSION
        usual = "LPS" if is_new else "RAS"
    frame = stated.get("coordinatesystem", usual).upper()
    if frame in FRAMES:
        return FRAMES[frame]
    raise UnreadableFile(
        path,
        expected="a line '# CoordinateSystem = LPS' or RAS, or the version of the file",
        found=f"the frame {frame}" if frame else "neither",
        remedy="save the points again with 3D Slicer",
    )


def _position(path: Path, row: dict[str, str]) -> list[float]:
    try:
        place = [float(row[key]) for key in ("x", "y", "z")]
    except (KeyError, ValueError):
        place = []
    if not place or not (np.isfinite(place).all() or np.isnan(place).all()):
        raise UnreadableFile(
            path,
            expected="three numbers in each row",
            found=repr(",".join(row.values())[:60]),
            remedy="save the points again with 3D Slicer",
        )
    return place

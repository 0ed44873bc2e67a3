"""Tidy CSV: one row per case and landmark, or per case and measurement."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from fetusmap.anatomy import Pose, Skeleton, load_skeleton, measurements
from fetusmap.documents import MAX_TABLE_BYTES
from fetusmap.errors import BadInput, UnreadableFile, errors_about, one_line
from fetusmap.io.files import case_name, check_regular_file, write_text

LANDMARK_COLUMNS = ("case", "landmark", "x_mm", "y_mm", "z_mm", "confidence")
MEASUREMENT_COLUMNS = ("case", "kind", "name", "value", "unit")


def write_rows(
    path: Path,
    columns: Sequence[str],
    rows: Iterable[Mapping[str, object]],
    *,
    overwrite: bool = True,
) -> None:
    """Write a CSV file atomically: UTF-8, a header row, an empty cell where there is no value."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    write_text(path, buffer.getvalue(), overwrite=overwrite, max_bytes=MAX_TABLE_BYTES)


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read a CSV file that has at least `columns`.

    Raises:
        UnreadableFile: missing, too large, no text, or without a column.
    """
    size = check_regular_file(path, follow_links=True)
    if size > MAX_TABLE_BYTES:
        raise UnreadableFile(
            path,
            expected=f"at most {MAX_TABLE_BYTES} bytes of CSV",
            found=f"{size}",
            remedy="check that this is the right file",
        )
    try:
        reader = csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline=""))
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableFile(
            path, expected="a CSV file", found=str(error), remedy="save it as UTF-8 CSV"
        ) from error
    missing = [name for name in columns if name not in (reader.fieldnames or [])]
    if missing:
        raise UnreadableFile(
            path,
            expected=f"the columns {', '.join(columns)}",
            found=f"no {missing[0]}",
            remedy="name the columns in the first row",
        )
    if any(None in row or None in row.values() for row in rows):
        raise UnreadableFile(
            path,
            expected="as many cells in each row as in the first",
            found="another number",
            remedy="quote cells that contain a comma",
        )
    return rows


def landmark_rows(pose: Pose, case: str) -> list[dict[str, object]]:
    """One row per landmark."""
    return [
        {"case": case, "landmark": mark.name, "confidence": mark.confidence,
         **dict(zip(("x_mm", "y_mm", "z_mm"), mark.position_mm.tolist(), strict=True))}
        for mark in pose
    ]  # fmt: skip


def measurement_rows(pose: Pose, case: str) -> list[dict[str, object]]:
    """One row per segment length, joint angle, trunk flexion and crown-rump estimate."""
    return [
        {"case": case, "kind": m.kind, "name": m.name, "value": m.value, "unit": m.unit}
        for m in measurements(pose)
    ]


def write_landmarks_csv(
    pose: Pose, path: Path, case: str | None = None, *, overwrite: bool = True
) -> None:
    """Write the landmarks of one case."""
    rows = landmark_rows(pose, case or case_name(path))
    write_rows(path, LANDMARK_COLUMNS, rows, overwrite=overwrite)


def write_measurements_csv(
    pose: Pose, path: Path, case: str | None = None, *, overwrite: bool = True
) -> None:
    """Write the lengths and angles of one case."""
    rows = measurement_rows(pose, case or case_name(path))
    write_rows(path, MEASUREMENT_COLUMNS, rows, overwrite=overwrite)


def read_landmarks_csv(path: Path, skeleton: Skeleton | None = None) -> Pose:
    """Read the landmarks of one case, as `write_landmarks_csv` writes them.

    The columns case and confidence may be missing (confidence 1); a landmark with empty
    coordinates, or without a row, is absent.

    Raises:
        UnreadableFile: more than one case, a landmark twice, or a cell that is no number.
        BadInput: a landmark that the skeleton does not have.
    """
    with errors_about(path):
        return _pose_of_rows(path, read_rows(path, LANDMARK_COLUMNS[1:5]), skeleton)


def _pose_of_rows(path: Path, rows: list[dict[str, str]], skeleton: Skeleton | None) -> Pose:
    skeleton = skeleton or load_skeleton()
    if len({row.get("case", "") for row in rows}) > 1:
        raise UnreadableFile(
            path, expected="one case", found="several", remedy="split the table by its case column"
        )
    positions = np.full((len(skeleton), 3), np.nan)
    confidence = np.ones(len(skeleton))
    seen: set[str] = set()
    for row in rows:
        name = row["landmark"]
        if name in seen:
            raise UnreadableFile(
                path,
                expected="each landmark once",
                found=f"{name!r} twice",
                remedy="remove one of the rows",
            )
        seen.add(name)
        index = skeleton.index(name)
        cells = [row[key] for key in ("x_mm", "y_mm", "z_mm")]
        if any(cells):
            positions[index] = [_number(path, name, cell) for cell in cells]
            confidence[index] = _number(path, name, row.get("confidence") or "1")
    if not seen:
        raise BadInput(
            path, expected="at least one landmark", found="no rows", remedy="add a row per landmark"
        )
    return Pose(skeleton, positions, confidence)


def _cell(value: object) -> object:
    """Floats with all their digits; nothing for NaN and None; text on one line."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, float):
        return "" if np.isnan(value) else repr(value)
    return "" if value is None else value


def _number(path: Path, landmark: str, cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise UnreadableFile(
            path,
            expected=f"numbers for {landmark!r}",
            found=repr(cell[:40]),
            remedy="leave all three coordinates empty for an absent landmark",
        ) from None

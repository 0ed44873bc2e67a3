"""CSV tables of landmarks and of measurements, one case per file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fetusmap.anatomy import Pose, Review, Skeleton, built_in_skeleton_for, measurements
from fetusmap.anatomy.landmark_names import matching_landmark
from fetusmap.anatomy.pose import REVIEWS
from fetusmap.errors import BadInput, UnreadableFile, errors_about
from fetusmap.files.names import case_name
from fetusmap.files.tables import number_in, read_rows, write_rows

LANDMARK_COLUMNS = ("case", "landmark", "x_mm", "y_mm", "z_mm", "confidence", "review")
UNIT, FRAME = "mm", "LPS"
OPTIONAL_COLUMNS = ("case", "unit", "frame", "confidence", "review")
MEASUREMENT_COLUMNS = ("case", "kind", "name", "value", "unit")


def landmark_rows(pose: Pose, case: str) -> list[dict[str, object]]:
    """Return one row per landmark."""
    return [
        {"case": case, "landmark": mark.name, "confidence": mark.confidence,
         "review": mark.review,
         **dict(zip(("x_mm", "y_mm", "z_mm"), mark.position_mm.tolist(), strict=True))}
        for mark in pose
    ]  # fmt: skip


def measurement_rows(pose: Pose, case: str) -> list[dict[str, object]]:
    """Return one row per measurement, see `fetusmap.anatomy.measurements`."""
    return [
        {"case": case, "kind": m.kind, "name": m.name, "value": m.value, "unit": m.unit}
        for m in measurements(pose)
    ]


def write_landmarks_csv(
    pose: Pose, path: Path, case: str | None = None, *, overwrite: bool = True
) -> None:
    """Write the landmarks of one case as a CSV file."""
    rows = landmark_rows(pose, case or case_name(path))
    write_rows(path, LANDMARK_COLUMNS, rows, overwrite=overwrite)


def write_measurements_csv(
    pose: Pose, path: Path, case: str | None = None, *, overwrite: bool = True
) -> None:
    """Write the measurements of one case as a CSV file."""
    rows = measurement_rows(pose, case or case_name(path))
    write_rows(path, MEASUREMENT_COLUMNS, rows, overwrite=overwrite)


def read_landmarks_csv(path: Path, skeleton: Skeleton | None = None) -> Pose:
    """Read the landmarks of one case, as `write_landmarks_csv` writes them.

    The columns case, unit, frame, confidence and review may be missing (the confidence is then 1,
    and the review "machine"). A landmark with empty coordinates, or without a row, is absent.
    Without a skeleton, it is the built-in one that has the landmarks of the table.

    Raises:
        UnreadableFile: the table has more than one case, a landmark twice, a cell that is not a
            number, another unit or frame, or an unknown review.
        BadInput: the skeleton has no landmark of that name.
    """
    with errors_about(path):
        rows = read_rows(path, LANDMARK_COLUMNS[1:5], OPTIONAL_COLUMNS)
        if len({row.get("case", "") for row in rows}) > 1:
            raise UnreadableFile(
                path,
                expected="one case",
                found="several",
                remedy="read it with fetusmap.load_landmark_table, or split it by its case column",
            )
        return pose_of_rows(path, rows, skeleton)


def pose_of_rows(path: object, rows: list[dict[str, str]], skeleton: Skeleton | None) -> Pose:
    """Build the pose of one case, as `read_landmarks_csv` does; the path is for messages."""
    skeleton = skeleton or built_in_skeleton_for(row["landmark"] for row in rows)
    positions = np.full((len(skeleton), 3), np.nan)
    confidence = np.ones(len(skeleton))
    review: list[Review] = ["machine"] * len(skeleton)
    seen: set[str] = set()
    for row in rows:
        name = matching_landmark(row["landmark"], skeleton) or row["landmark"]
        if name in seen:
            raise UnreadableFile(
                path,
                expected="each landmark once",
                found=f"{name!r} twice",
                remedy="remove one of the rows",
            )
        seen.add(name)
        index = skeleton.index(name)
        _check_statement(path, name, "unit", row.get("unit") or UNIT, UNIT)
        _check_statement(path, name, "frame", row.get("frame") or FRAME, FRAME)
        review[index] = _review(path, name, row.get("review") or "machine")
        cells = [row[key] for key in ("x_mm", "y_mm", "z_mm")]
        if any(cells):
            positions[index] = [_number(path, name, cell) for cell in cells]
            confidence[index] = _number(path, name, row.get("confidence") or "1")
    if not seen:
        raise BadInput(
            path, expected="at least one landmark", found="no rows", remedy="add a row per landmark"
        )
    return Pose(skeleton, positions, confidence, review=tuple(review))


def _check_statement(path: object, landmark: str, what: str, cell: str, expected: str) -> None:
    if cell.strip().casefold() != expected.casefold():
        raise UnreadableFile(
            path,
            expected=f"the {what} {expected} for {landmark!r}",
            found=repr(cell[:40]),
            remedy=f"convert the positions to {UNIT} in {FRAME} (left, posterior, superior)",
        )


def _review(path: object, landmark: str, cell: str) -> Review:
    for word in REVIEWS:
        if word == cell:
            return word
    raise UnreadableFile(
        path,
        expected=f"a review of {landmark!r} out of {', '.join(REVIEWS)}",
        found=repr(cell[:40]),
        remedy="leave the column out if nobody has reviewed the landmarks",
    )


def _number(path: object, landmark: str, cell: str) -> float:
    try:
        return number_in(cell)
    except ValueError:
        raise UnreadableFile(
            path,
            expected=f"numbers for {landmark!r}",
            found=repr(cell[:40]),
            remedy="leave all three coordinates empty for an absent landmark",
        ) from None

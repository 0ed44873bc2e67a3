"""CSV tables of landmarks and of measurements, one case per file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fetusmap.anatomy import Pose, Review, Skeleton, built_in_skeleton_for, measurements
from fetusmap.anatomy.pose import REVIEWS
from fetusmap.errors import BadInput, UnreadableFile, errors_about
from fetusmap.files.names import case_name
from fetusmap.files.tables import number_in, read_rows, write_rows

LANDMARK_COLUMNS = ("case", "landmark", "x_mm", "y_mm", "z_mm", "confidence", "review")
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

    The columns case, confidence and review may be missing (the confidence is then 1, and the review
    "machine"). A landmark with empty coordinates, or without a row, is absent. Without a skeleton,
    it is the built-in one that has the landmarks of the table.

    Raises:
        UnreadableFile: the table has more than one case, a landmark twice, a cell that is not a
            number, or an unknown review.
        BadInput: the skeleton has no landmark of that name.
    """
    with errors_about(path):
        return _pose_of_rows(
            path, read_rows(path, LANDMARK_COLUMNS[1:5], LANDMARK_COLUMNS), skeleton
        )


def _pose_of_rows(path: Path, rows: list[dict[str, str]], skeleton: Skeleton | None) -> Pose:
    skeleton = skeleton or built_in_skeleton_for(row["landmark"] for row in rows)
    if len({row.get("case", "") for row in rows}) > 1:
        raise UnreadableFile(
            path, expected="one case", found="several", remedy="split the table by its case column"
        )
    positions = np.full((len(skeleton), 3), np.nan)
    confidence = np.ones(len(skeleton))
    review: list[Review] = ["machine"] * len(skeleton)
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


def _review(path: Path, landmark: str, cell: str) -> Review:
    for word in REVIEWS:
        if word == cell:
            return word
    raise UnreadableFile(
        path,
        expected=f"a review of {landmark!r} out of {', '.join(REVIEWS)}",
        found=repr(cell[:40]),
        remedy="leave the column out if nobody has reviewed the landmarks",
    )


def _number(path: Path, landmark: str, cell: str) -> float:
    try:
        return number_in(cell)
    except ValueError:
        raise UnreadableFile(
            path,
            expected=f"numbers for {landmark!r}",
            found=repr(cell[:40]),
            remedy="leave all three coordinates empty for an absent landmark",
        ) from None

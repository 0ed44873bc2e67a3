"""The landmarks of a whole cohort as one tidy table: CSV, or Parquet with the package pyarrow.

A row is a landmark of a case. The columns of a table of one case are among them, so both are read
by the same function. An absent landmark has empty coordinates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fetusmap.anatomy import Pose, Skeleton
from fetusmap.errors import BadInput, UnreadableFile, errors_about
from fetusmap.files.names import case_name, format_suffix
from fetusmap.files.reading import open_regular
from fetusmap.files.tables import read_rows, write_rows
from fetusmap.files.writing import atomic_path
from fetusmap.io.poses.landmark_table import (
    FRAME,
    LANDMARK_COLUMNS,
    OPTIONAL_COLUMNS,
    UNIT,
    landmark_rows,
    pose_of_rows,
)

COHORT_COLUMNS = (
    "case", "landmark", "x_mm", "y_mm", "z_mm", "unit", "frame", "confidence", "source", "review",
)  # fmt: skip
NUMBERS = ("x_mm", "y_mm", "z_mm", "confidence")
TABLE_SUFFIXES = (".csv", ".parquet")
MAX_LANDMARK_TABLE_BYTES = 256 * 1024 * 1024
"""About 90,000 cases of 22 landmarks as CSV."""

MAX_ROWS = 4_000_000


def write_landmark_table(
    poses: Iterable[tuple[str, Pose]], path: str | Path, *, overwrite: bool = True
) -> None:
    """Write the landmarks of many cases as one table, atomically.

    Positions are in LPS mm. `source` is "person" for a landmark that a person placed, moved or
    marked as absent, and else "machine"; `review` says it exactly.

    Args:
        poses: name and pose of each case.
        path: `.csv` or `.parquet`.
        overwrite: whether an existing file may be replaced.

    Raises:
        BadInput: the suffix is another one, pyarrow is not installed, the table would be too large,
            or the file cannot be written.
    """
    path = Path(path)
    suffix = format_suffix(path, TABLE_SUFFIXES, "table")
    rows = (row for case, pose in poses for row in _rows(case, pose))
    if suffix == ".csv":
        write_rows(
            path, COHORT_COLUMNS, rows, overwrite=overwrite, max_bytes=MAX_LANDMARK_TABLE_BYTES
        )
    else:
        _write_parquet(rows, path, overwrite)


def load_landmark_table(path: str | Path, skeleton: Skeleton | None = None) -> dict[str, Pose]:
    """Read the poses of a table of landmarks, by case, in the order of the table.

    Positions and confidences read back equal to the last bit. The columns case, unit, frame,
    confidence and review may be missing; without cases, the table is one case, named after the
    file. Quality and provenance are not in a table.

    Args:
        path: `.csv` or `.parquet`.
        skeleton: skeleton of the poses; without it, the built-in one that has the landmarks.

    Raises:
        UnreadableFile: the file cannot be read, a landmark of a case has two rows, a cell that must
            be a number is none, or the unit or the frame is another one.
        BadInput: pyarrow is not installed, or the skeleton lacks a landmark.
    """
    path = Path(path)
    suffix = format_suffix(path, TABLE_SUFFIXES, "table")
    rows = (
        read_rows(path, LANDMARK_COLUMNS[1:5], OPTIONAL_COLUMNS, max_bytes=MAX_LANDMARK_TABLE_BYTES)
        if suffix == ".csv"
        else _read_parquet(path)
    )
    cases: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        cases.setdefault(row.get("case", "").strip() or case_name(path), []).append(row)
    if not cases:
        raise UnreadableFile(
            path, expected="at least one landmark", found="no rows", remedy="add a row per landmark"
        )
    poses: dict[str, Pose] = {}
    for case, its_rows in cases.items():
        subject = f"{path}, case {case}"
        with errors_about(subject):
            poses[case] = pose_of_rows(subject, its_rows, skeleton)
    return poses


def check_pyarrow() -> None:
    """Refuse Parquet without the package for it.

    Raises:
        BadInput: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise BadInput(
            "Parquet",
            expected="the package pyarrow",
            found="it is not installed",
            remedy="install it with pip install 'fetusmap[parquet]', or use CSV",
        ) from error


def _rows(case: str, pose: Pose) -> Iterable[Mapping[str, object]]:
    for row in landmark_rows(pose, case):
        by_person = row["review"] not in ("machine", "accepted")
        yield {**row, "unit": UNIT, "frame": FRAME, "source": "person" if by_person else "machine"}


def _write_parquet(rows: Iterable[Mapping[str, object]], path: Path, overwrite: bool) -> None:
    check_pyarrow()
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, list[Any]] = {name: [] for name in COHORT_COLUMNS}
    for row in rows:
        for name, cells in columns.items():
            cells.append(row[name])
    table = pa.table(
        {
            name: pa.array(
                cells, pa.float64() if name in NUMBERS else pa.string(), from_pandas=True
            )
            for name, cells in columns.items()
        }
    )
    with atomic_path(path, overwrite=overwrite) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _read_parquet(path: Path) -> list[dict[str, str]]:
    check_pyarrow()
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_regular(path, follow_links=True) as file:
        try:
            stored = pq.ParquetFile(file)
            names = stored.schema_arrow.names
            missing = [name for name in LANDMARK_COLUMNS[1:5] if name not in names]
            if missing or stored.metadata.num_rows > MAX_ROWS:
                raise UnreadableFile(
                    path,
                    expected=f"the columns {', '.join(LANDMARK_COLUMNS[1:5])} in at most "
                    f"{MAX_ROWS} rows",
                    found=f"no {missing[0]}" if missing else f"{stored.metadata.num_rows} rows",
                    remedy="check that this is the right file",
                )
            wanted = [name for name in names if name in COHORT_COLUMNS]
            rows = stored.read(columns=wanted).to_pylist()
        except (pa.ArrowException, OSError, ValueError) as error:
            if isinstance(error, UnreadableFile):
                raise
            raise UnreadableFile(
                path,
                expected="a Parquet file",
                found=str(error).partition("\n")[0],
                remedy="write the table again",
            ) from error
    return [{name: _text(value) for name, value in row.items()} for row in rows]


def _text(value: object) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)

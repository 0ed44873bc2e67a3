"""CSV tables: written atomically, read strictly."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from fetusmap.errors import UnreadableFile, one_line
from fetusmap.files.documents import MAX_TABLE_BYTES
from fetusmap.files.reading import check_regular_file
from fetusmap.files.writing import write_text


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


def _cell(value: object) -> object:
    """Floats with all their digits; nothing for NaN and None; text on one line."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, float):
        return "" if np.isnan(value) else repr(value)
    return "" if value is None else value

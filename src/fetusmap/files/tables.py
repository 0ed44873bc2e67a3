"""CSV tables: written atomically, read strictly, and without formulas for spreadsheets.

A spreadsheet program runs a text cell that begins with `=`, `+`, `-` or `@` as a formula. So
`write_rows` puts an apostrophe before such text, and `read_rows` takes it away again. Numbers keep
their sign.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from fetusmap.errors import UnreadableFile, one_line
from fetusmap.files.documents import MAX_TABLE_BYTES
from fetusmap.files.reading import open_regular
from fetusmap.files.writing import write_text

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
FORMULA = re.compile(r"'*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""How text begins that a spreadsheet takes for a formula, in half and full width, quoted or not."""


def write_rows(
    path: Path,
    columns: Sequence[str],
    rows: Iterable[Mapping[str, object]],
    *,
    overwrite: bool = True,
) -> None:
    """Write a CSV file atomically: UTF-8, a header row, an empty cell for a missing value."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    write_text(path, buffer.getvalue(), overwrite=overwrite, max_bytes=MAX_TABLE_BYTES)


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of a CSV file that has at least the given columns.

    Raises:
        UnreadableFile: the file is missing, too large, not text, or has not all columns.
    """
    with open_regular(path, follow_links=True) as file:
        content = file.read(MAX_TABLE_BYTES + 1)
    if len(content) > MAX_TABLE_BYTES:
        raise UnreadableFile(
            path,
            expected=f"at most {MAX_TABLE_BYTES} bytes of CSV",
            found="more",
            remedy="check that this is the right file",
        )
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
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
    return [{key: _text(cell) for key, cell in row.items()} for row in rows]


def _cell(value: object) -> object:
    """Return a cell: floats with all their digits, text on one line, "" for NaN and None."""
    if isinstance(value, str):
        text = one_line(value)
        is_formula = FORMULA.match(text) and not NUMBER.fullmatch(text)
        return f"'{text}" if is_formula else text
    if isinstance(value, float):
        return "" if np.isnan(value) else repr(value)
    return "" if value is None else value


def _text(cell: str) -> str:
    """Return the text of a cell that `_cell` wrote."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell

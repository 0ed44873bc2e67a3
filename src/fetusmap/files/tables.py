"""CSV tables: written atomically, read strictly, and without formulas for spreadsheets.

A spreadsheet program runs a text cell that begins with `=`, `+`, `-` or `@` as a formula. So
`write_rows` puts an apostrophe before such text, and `read_rows` takes it away again. Numbers keep
their sign.

Spreadsheet programs save "CSV" in several ways. `read_rows` recognises commas, semicolons and tabs
as separators, byte-order marks, and UTF-16; `number_in` also reads a decimal comma.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from fetusmap.errors import UnreadableFile, one_line
from fetusmap.files.documents import MAX_TABLE_BYTES
from fetusmap.files.reading import open_regular
from fetusmap.files.writing import write_text

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
FORMULA = re.compile(r"'*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""How text begins that a spreadsheet takes for a formula, in half and full width, quoted or not."""

SEPARATORS = ",;\t"
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""First bytes of the workbooks of spreadsheet programs, new and old."""

AS_UTF8 = "save it as CSV in UTF-8"


def write_rows(
    path: Path,
    columns: Sequence[str],
    rows: Iterable[Mapping[str, object]],
    *,
    overwrite: bool = True,
    max_bytes: int = MAX_TABLE_BYTES,
) -> None:
    """Write a CSV file atomically: UTF-8, a header row, an empty cell for a missing value.

    Raises:
        BadInput: the table has more than `max_bytes` bytes, the place cannot be written, or the
            file exists and may not be replaced.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    write_text(path, buffer.getvalue(), overwrite=overwrite, max_bytes=max_bytes)


def read_rows(
    path: Path,
    columns: Sequence[str],
    optional: Sequence[str] = (),
    *,
    max_bytes: int = MAX_TABLE_BYTES,
) -> list[dict[str, str]]:
    """Return the rows of a CSV file that has at least the given columns.

    Columns may be separated by commas, semicolons or tabs. The given names are found whatever their
    case and surrounding blanks; further columns keep their names. Empty rows at the end are left
    out.

    Args:
        path: the file.
        columns: names of columns that must be there.
        optional: names of columns that may be there.
        max_bytes: largest size of the file.

    Raises:
        UnreadableFile: the file is missing, too large, not text, or has not all columns, or a row
            has another number of cells.
    """
    with open_regular(path, follow_links=True) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise UnreadableFile(
            path,
            expected=f"at most {max_bytes} bytes of CSV",
            found="more",
            remedy="check that this is the right file",
        )
    lines = _lines_of(_decoded(content, path), columns, path)
    names = _column_names(lines[0] if lines else [], columns, optional, path)
    while lines and not any(map(str.strip, lines[-1])):
        lines.pop()
    return [
        dict(zip(names, map(_text, _whole(line, names, number, path)), strict=True))
        for number, line in enumerate(lines[1:], 2)
        if line
    ]


def number_in(cell: str) -> float:
    """Return the number in a cell, which may have a decimal comma.

    Raises:
        ValueError: the cell holds something else. Neither blanks nor dots divide thousands.
    """
    text = cell.strip()
    return float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)


def _decoded(content: bytes, path: Path) -> str:
    """Return the text of a table in UTF-8, or in UTF-16 if a byte-order mark says so."""
    found = ""
    if content.startswith(WORKBOOKS):
        found = "a workbook of a spreadsheet program"
    elif content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError as error:
            found = f"damaged UTF-16 ({error.reason})"
    elif b"\0" in content:
        found = "zero bytes: it may be UTF-16 without a byte-order mark, or no text at all"
    else:
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            found = f"another encoding than UTF-8 (byte {error.start})"
    raise UnreadableFile(path, expected="a CSV file", found=found, remedy=AS_UTF8)


def _lines_of(text: str, columns: Sequence[str], path: Path) -> list[list[str]]:
    """Return the cells of all lines, the names of the columns first."""
    if text[:4].lower() == "sep=":  # a line for spreadsheet programs
        text = text.partition("\n")[2]
    try:
        lines = list(_reader(text, _separator_of(text, columns), strict=True))
    except csv.Error as error:
        raise UnreadableFile(
            path, expected="a CSV file", found=str(error), remedy=AS_UTF8
        ) from error
    return lines[next((n for n, line in enumerate(lines) if line), 0) :]


def _separator_of(text: str, columns: Sequence[str]) -> str:
    """Return the separator that gives the wanted columns, or else the most columns."""
    wanted = {_plain(name) for name in columns}

    def fit(separator: str) -> tuple[int, int]:
        names = next((line for line in _reader(text, separator) if line), [])
        return len(wanted & set(map(_plain, names))), len(names)

    return max(SEPARATORS, key=fit)


def _reader(text: str, separator: str, *, strict: bool = False) -> Iterator[list[str]]:
    file = io.StringIO(text, newline="")
    return csv.reader(file, delimiter=separator, skipinitialspace=True, strict=strict)


def _column_names(
    header: Sequence[str], columns: Sequence[str], optional: Sequence[str], path: Path
) -> list[str]:
    """Return the names of the columns; the wanted ones exactly as they were asked for."""
    wanted = {_plain(name): name for name in (*columns, *optional)}
    names = [wanted.get(_plain(name), name.strip()) for name in header]
    missing = [name for name in columns if name not in names]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if missing or twice:
        raise UnreadableFile(
            path,
            expected=f"the columns {', '.join(columns)}, each once",
            found=f"no {missing[0]}" if missing else f"{twice} twice",
            remedy="name the columns in the first row",
        )
    return names


def _whole(line: list[str], names: Sequence[str], number: int, path: Path) -> list[str]:
    """Return the cells of a line, which must be as many as there are columns."""
    if len(line) == len(names):
        return line
    raise UnreadableFile(
        path,
        expected=f"{len(names)} cells in each row, as in the first",
        found=f"another number, {len(line)} in row {number}",
        remedy="quote cells that contain a separator; with decimal commas, separate the columns by "
        "semicolons",
    )


def _plain(name: str) -> str:
    return name.strip().casefold()


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

"""Tables of volumes: CSV files with a column `path`, and with `case`, `spacing` and `frame`."""

from __future__ import annotations

import math
import re
from pathlib import Path

from fetusmap.errors import BadInput
from fetusmap.files import is_folder, number_in, read_rows, safe_name
from fetusmap.io import Source, find_sources
from fetusmap.scale.volume_file import VolumeFile
from fetusmap.types import Triple

TABLE_SUFFIXES = (".csv", ".tsv")
OPTIONAL_COLUMNS = ("case", "spacing", "spacing_mm", "frame")
BETWEEN = "[\\s;x*\u00d7]+"
"""Between the numbers of a spacing: blanks, semicolons, or a sign of multiplication."""

QUOTES = "\"'"


def read_input_table(path: Path) -> tuple[list[VolumeFile], list[str], list[str]]:
    """Read the cases of a table; relative paths are relative to the table's folder.

    A row whose path is a folder stands for all volumes in it.

    Args:
        path: CSV file with the columns path and, optionally, case, spacing ("0.5" or "0.5 0.5 0.8"
            mm) and frame (from 0).

    Returns:
        The cases; a sentence for each row that is left out; and one about columns without meaning.
        A case with a spacing or a frame that cannot be understood has a `problem`.

    Raises:
        UnreadableFile: the table cannot be read, or it has no column `path`.
    """
    rows = read_rows(path, ["path"], OPTIONAL_COLUMNS)
    volumes: list[VolumeFile] = []
    left_out: list[str] = []
    for number, row in enumerate(rows, 2):
        place = _unquoted(row["path"])
        if place:
            volumes += _cases_of(path, path.parent / place, row)
        else:
            left_out.append(f"{path}: row {number} is left out, because its path is empty")
    unused = [name for name in (rows[0] if rows else {}) if name not in ("path", *OPTIONAL_COLUMNS)]
    named = ", ".join(name for name in unused if name)
    return volumes, left_out, [f"{path}: columns that are not used: {named}"] if named else []


def spacing_in(cell: str) -> Triple:
    """Return the spacing in a cell: one number for all axes, or three of them.

    Raises:
        ValueError: the cell holds anything else.
    """
    text = cell.strip().removesuffix("mm").strip("[]() ")
    commas_divide = "," in text and ("." in text or text.count(",") == 2) and " " not in text
    parts = re.split(f",|{BETWEEN}" if commas_divide else BETWEEN, text)
    values = [number_in(part.removesuffix(",")) for part in parts]
    if len(values) not in (1, 3) or not all(math.isfinite(v) and v > 0 for v in values):
        raise ValueError(cell)
    first, second, third = values * 3 if len(values) == 1 else values
    return first, second, third


def _cases_of(table: Path, volume: Path, row: dict[str, str]) -> list[VolumeFile]:
    """Return the cases of a row: one, or those of a folder."""
    spacing: Triple | None = None
    frame: int | None = None
    problem = ""
    cell = row.get("spacing", "").strip() or row.get("spacing_mm", "").strip()
    try:
        spacing = spacing_in(cell) if cell else None
    except ValueError:
        problem = _problem(table, volume, "one or three numbers of mm as spacing", cell)
    cell = row.get("frame", "").strip()
    try:
        frame = _frame_in(cell) if cell else None
    except ValueError:
        problem = problem or _problem(table, volume, "a whole number from 0 as frame", cell)
    sources = (find_sources(volume) if is_folder(volume) else []) or [Source(volume)]
    name = safe_name(row["case"]) if row.get("case", "").strip() else ""
    ending = "" if frame is None else f"-{frame:03d}"
    return [
        VolumeFile(
            case=_case(name, source.name, ending, len(sources) > 1),
            path=source.path,
            frame=frame,
            spacing_mm=spacing,
            problem=problem,
            is_named=bool(name),
        )
        for source in sources
    ]


def _case(name: str, of_file: str, ending: str, is_one_of_many: bool) -> str:
    """Return the name of a case: that of the table, or that of the file with its frame."""
    if not name:
        return safe_name(f"{of_file}{ending}")
    return safe_name(f"{name}-{of_file}") if is_one_of_many else name


def _frame_in(cell: str) -> int:
    """Return a whole number, which a spreadsheet program may have written as 1.0."""
    value = number_in(cell)
    if not value.is_integer() or value < 0:
        raise ValueError(cell)
    return int(value)


def _problem(table: Path, volume: Path, expected: str, cell: str) -> str:
    return str(
        BadInput(
            volume, expected=expected, found=repr(cell), remedy=f"correct the cell in {table.name}"
        )
    )


def _unquoted(cell: str) -> str:
    """Return a path without blanks around it, and without quotes as a file manager copies them."""
    text = cell.strip()
    is_quoted = len(text) > 1 and text[0] in QUOTES and text[-1] == text[0]
    return text[1:-1].strip() if is_quoted else text

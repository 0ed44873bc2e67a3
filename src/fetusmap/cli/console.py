"""Print tables and facts, warnings to the error stream, and progress bars for the commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from fetusmap.errors import one_line

ItemT = TypeVar("ItemT")


class _Pipe(Console):
    """A console whose reader may stop reading early, as `head` does, without an error."""

    def on_broken_pipe(self) -> None:
        """Discard the rest of the output and stop."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0)


# Text is never read as markup: a file may be called "scan[left]" or ":smile:".
out = _Pipe(highlight=False, soft_wrap=True, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


def print_facts(title: str, facts: Mapping[str, str]) -> None:
    """Print a heading and aligned `name  value` lines; text from files is never read as markup."""
    out.print(Text(one_line(title), style="bold"))
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        out.print(Text.assemble("  ", (name.ljust(width), "dim"), "  ", one_line(value)))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a heading and a table; the first column is text, the others are aligned as numbers."""
    table = Table(title=Text(title, style="bold"), title_justify="left", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", header_style="dim")
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    out.print()
    out.print(table)


def warn(message: str) -> None:
    """Print a warning as one line on the error stream."""
    err.print(Text.assemble(("warning: ", "yellow"), one_line(message)))


def track(items: Iterable[ItemT], what: str, count: int) -> Iterable[ItemT]:
    """Go through `count` items with a progress bar on the error stream."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
    with progress:
        yield from progress.track(items, total=count, description=what)

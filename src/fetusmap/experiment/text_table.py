"""A table of text, written as Markdown, CSV or LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass

_SPECIAL = {
    "%": r"\%", "&": r"\&", "_": r"\_", "#": r"\#", "{": r"\{", "}": r"\}", "$": r"\$",
    "<": "$<$", ">": "$>$", "-": "{-}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: content of the cell.
        strong: whether the cell is the best of its column; printed in bold.
        faint: whether the cell is there for comparison only; printed in italics.
    """

    text: str
    strong: bool = False
    faint: bool = False


@dataclass(frozen=True)
class TextTable:
    """A table with a title and a row of headings.

    Attributes:
        title: text above the table.
        columns: headings of the columns.
        rows: cells of each row; the first one names the row.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def markdown(self) -> str:
        """Return the table as Markdown, with its title as a paragraph in bold."""
        lines = [
            f"**{self.title}**",
            "",
            _line(map(_plain, self.columns)),
            _line(self._alignment()),
        ]
        lines += [_line([_markdown_of(cell) for cell in row]) for row in self.rows]
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """Return the table as CSV, without the title and without emphasis."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([cell.text for cell in row] for row in self.rows)
        return text.getvalue()

    def latex(self) -> str:
        """Return the table as a LaTeX `table*` that needs the package booktabs."""
        heading = " & ".join(map(_escaped, self.columns))
        body = [" & ".join(map(_latex_of, row)) + r" \\" for row in self.rows]
        return "\n".join(
            [
                r"\begin{table*}",
                rf"\caption{{{_escaped(self.title)}}}",
                r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
                rf"\begin{{tabular}}{{l{'r' * (len(self.columns) - 1)}}}",
                r"\toprule",
                heading + r" \\",
                r"\midrule",
                *body,
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table*}",
                "",
            ]
        )

    def _alignment(self) -> list[str]:
        return ["---", *["--:"] * (len(self.columns) - 1)]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_of(cell: Cell) -> str:
    text = _plain(cell.text)
    if not text:
        return ""
    return f"**{text}**" if cell.strong else f"*{text}*" if cell.faint else text


def _plain(text: str) -> str:
    return text.replace("|", r"\|")


def _latex_of(cell: Cell) -> str:
    text = _escaped(cell.text)
    if not text:
        return ""
    return rf"\textbf{{{text}}}" if cell.strong else rf"\textit{{{text}}}" if cell.faint else text


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(letter, letter) for letter in text)

"""A table of text, and how it is written: Markdown, CSV, LaTeX."""

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
    """One field.

    Attributes:
        text: what it says.
        strong: whether it is the best of its column.
        faint: whether it is there for comparison only.
    """

    text: str
    strong: bool = False
    faint: bool = False


@dataclass(frozen=True)
class Table:
    """Rows below a heading.

    Attributes:
        title: above it.
        columns: headings.
        rows: cells; the first one names the row.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def markdown(self) -> str:
        """With the title as a paragraph."""
        lines = [
            f"**{self.title}**",
            "",
            _line(map(_plain, self.columns)),
            _line(self._alignment()),
        ]
        lines += [_line([_marked_down(cell) for cell in row]) for row in self.rows]
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """Without the title and without emphasis."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([cell.text for cell in row] for row in self.rows)
        return text.getvalue()

    def latex(self) -> str:
        """A `table*` that needs the package booktabs."""
        heading = " & ".join(map(_escaped, self.columns))
        body = [" & ".join(map(_typeset, row)) + r" \\" for row in self.rows]
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


def _marked_down(cell: Cell) -> str:
    text = _plain(cell.text)
    if not text:
        return ""
    return f"**{text}**" if cell.strong else f"*{text}*" if cell.faint else text


def _plain(text: str) -> str:
    return text.replace("|", r"\|")


def _typeset(cell: Cell) -> str:
    text = _escaped(cell.text)
    if not text:
        return ""
    return rf"\textbf{{{text}}}" if cell.strong else rf"\textit{{{text}}}" if cell.faint else text


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(letter, letter) for letter in text)

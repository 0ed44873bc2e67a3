"""Figures as files, whole when written."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from fetusmap.files.names import format_suffix
from fetusmap.files.writing import atomic_path

FIGURE_SUFFIXES = (".png", ".svg", ".pdf")


def check_figure_path(path: str | Path) -> str:
    """The format that the suffix of a figure's path names.

    Raises:
        BadInput: another suffix.
    """
    return format_suffix(Path(path), FIGURE_SUFFIXES, "figure").removeprefix(".")


def save_figure(figure: Figure, path: str | Path, *, overwrite: bool = True) -> None:
    """Write a figure, atomically, in the format that the suffix names.

    Raises:
        BadInput: another suffix, a place that cannot be written, or an existing file.
    """
    path = Path(path)
    form = check_figure_path(path)
    with atomic_path(path, overwrite=overwrite) as temporary:
        figure.savefig(temporary, format=form)

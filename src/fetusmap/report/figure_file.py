"""Figures as files, written atomically."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from fetusmap.files import atomic_path, format_suffix

FIGURE_SUFFIXES = (".png", ".svg", ".pdf")

PNG_LEVEL = 3
"""Compression of a picture: half of the time of the usual level, and a seventh more bytes."""


def check_figure_path(path: str | Path) -> str:
    """Return the format that the suffix of a figure's path names.

    Raises:
        BadInput: the suffix names no format of figures.
    """
    return format_suffix(Path(path), FIGURE_SUFFIXES, "figure").removeprefix(".")


def save_figure(figure: Figure, path: str | Path, *, overwrite: bool = True) -> None:
    """Write a figure, atomically, in the format that the suffix names.

    Raises:
        BadInput: the suffix names no format, the folder cannot be written, or the file exists.
    """
    path = Path(path)
    form = check_figure_path(path)
    with atomic_path(path, overwrite=overwrite) as temporary:
        if form == "png":
            figure.savefig(temporary, format=form, pil_kwargs={"compress_level": PNG_LEVEL})
        else:
            figure.savefig(temporary, format=form)

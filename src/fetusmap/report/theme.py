"""Colours and sizes that all figures share."""

from __future__ import annotations

from matplotlib.figure import Figure

BACKGROUND = "#12161d"
PANEL = "#1a2029"
TEXT = "#e8ecf1"
MUTED = "#8d98a5"


def new_figure(width: float, height: float) -> Figure:
    """Return an empty dark figure of a size in inches; it uses no window and no global state."""
    return Figure(figsize=(width, height), facecolor=BACKGROUND, layout="constrained", dpi=120)

"""Show a case in a notebook: the page of the case, in a frame below the cell."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

from fetusmap.anatomy import Pose
from fetusmap.report.case_page import case_page
from fetusmap.volume import Volume

FRAME_PX = 900
"""Usual height of the frame."""


@dataclass(frozen=True)
class NotebookView:
    """A volume with a pose, as notebooks show it: Jupyter, VS Code and others call `_repr_html_`.

    The frame is a sandbox: the page can run its own script, and reaches neither the notebook nor a
    network.

    Attributes:
        page: HTML of the page.
        height_px: height of the frame.
    """

    page: str = field(repr=False)
    height_px: int = FRAME_PX

    def _repr_html_(self) -> str:
        return (
            f'<iframe title="Volume and pose" sandbox="allow-scripts" srcdoc="{escape(self.page)}" '
            f'style="width: 100%; height: {self.height_px}px; border: 0"></iframe>'
        )


def view(volume: Volume, pose: Pose, *, height_px: int = FRAME_PX) -> NotebookView:
    """Show a volume and a pose in a notebook: slices, 3D view, landmarks, measurements.

    Make it the last expression of a cell. It is the page of a case, see `case_page`: the volume is
    resampled for viewing, and the notebook grows by up to 7 MB if it is saved with this output.

    Args:
        volume: the volume.
        pose: the pose in it.
        height_px: height of the frame.

    Raises:
        ResourceError: the package was installed without its bundle for browsers.
    """
    return NotebookView(case_page(volume, pose, volume.name), height_px)

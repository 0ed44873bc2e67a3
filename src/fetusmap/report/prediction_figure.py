"""A predicted pose in its volume: three planes through the body, two skeletons, measurements."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from matplotlib.figure import Figure, SubFigure

from fetusmap.anatomy import Pose
from fetusmap.report.pose_figure import write_measurements
from fetusmap.report.preview import PLANES, preview_picture
from fetusmap.report.theme import MUTED, TEXT, new_figure
from fetusmap.report.views import body_views, draw_skeleton
from fetusmap.volume import Volume

PIXELS = 420
WARNING = "#ffd166"
CHARACTERS_PER_LINE = 165
MAX_LINES = 8
"""Lines of doubts below a picture; further ones are in the files of the case."""


def draw_prediction(volume: Volume, pose: Pose, title: str = "") -> Figure:
    """Draw a predicted pose in its volume.

    The upper row shows the sagittal, coronal and transverse plane through the trunk with the
    landmarks near them. The lower row shows the skeleton from the front and from its right side
    with its lengths in mm, and the measurements. Left and right have the colours of the skeleton.
    Reasons to doubt the pose, and warnings of the reader of the file, are written at the bottom.

    Args:
        volume: the volume in which the pose was found.
        pose: the pose with its quality.
        title: title of the figure; the volume's name if empty.
    """
    figure = new_figure(12.0, 9.2)
    upper, lower = figure.subfigures(2, 1, height_ratios=(0.86, 1.0), squeeze=False)[:, 0]
    upper.set_facecolor(figure.get_facecolor())
    lower.set_facecolor(figure.get_facecolor())
    picture = preview_picture(volume, pose, size=PIXELS)
    panels = upper.subplots(1, len(PLANES))
    for number, (axes, plane) in enumerate(zip(panels, PLANES, strict=True)):
        axes.imshow(picture[:, number * PIXELS : (number + 1) * PIXELS])
        axes.set_axis_off()
        axes.set_title(f"{plane.name} plane", color=MUTED, fontsize=9, y=1.0)
    front, side, table = lower.subplots(1, 3, width_ratios=(1, 1, 0.62))
    for axes, view in zip((front, side), body_views(pose), strict=True):
        draw_skeleton(axes, pose, view, lengths=True)
    write_measurements(table, pose)
    figure.suptitle(f"{title or volume.name}   {_quality(pose)}", color=TEXT, fontsize=12)
    _write_doubts(lower, pose)
    return figure


def _quality(pose: Pose) -> str:
    score = pose.quality.score
    return "" if score is None else f"quality {score:.2f}"


def _write_doubts(panel: SubFigure, pose: Pose) -> None:
    lines = [*_lines("", pose.quality.reasons), *_lines("file: ", pose.provenance.warnings)]
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 1], "... and more, see pose.json"]
    if lines:
        # Text from files is never read as a formula.
        panel.supxlabel("\n".join(lines), color=WARNING, fontsize=9, parse_math=False)


def _lines(label: str, sentences: Sequence[str]) -> list[str]:
    text = "; ".join(sentences)
    return wrap(label + text, CHARACTERS_PER_LINE) if text else []

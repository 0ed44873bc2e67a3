"""A predicted pose in its volume: three planes through the body, two skeletons, measurements."""

from __future__ import annotations

from matplotlib.figure import Figure, SubFigure

from fetusmap.anatomy import Pose
from fetusmap.report.pose_figure import write_measurements
from fetusmap.report.preview import PLANES, preview_picture
from fetusmap.report.theme import MUTED, TEXT, new_figure
from fetusmap.report.views import body_views, draw_skeleton
from fetusmap.volume import Volume

PIXELS = 420
WARNING = "#ffd166"


def draw_prediction(volume: Volume, pose: Pose, title: str = "") -> Figure:
    """Draw a predicted pose in its volume.

    The upper row shows the sagittal, coronal and transverse plane through the trunk with the
    landmarks near them. The lower row shows the skeleton from the front and from its right side
    with its lengths in mm, and the measurements. Left and right have the colours of the skeleton.
    Reasons to doubt the pose are written at the bottom.

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
    _write_reasons(lower, pose)
    return figure


def _quality(pose: Pose) -> str:
    score = pose.quality.score
    return "" if score is None else f"quality {score:.2f}"


def _write_reasons(panel: SubFigure, pose: Pose) -> None:
    if pose.quality.reasons:
        panel.supxlabel("; ".join(pose.quality.reasons), color=WARNING, fontsize=9)

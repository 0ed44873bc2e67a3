"""What was predicted in a volume, on one picture: three planes through the body, two skeletons."""

from __future__ import annotations

from matplotlib.figure import Figure

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

    Above, the sagittal, coronal and transverse plane through the trunk, with the landmarks near
    them; below, the skeleton from the front and from its right side, its lengths in millimetres,
    and the measurements. Left is blue, right is orange. Reasons to doubt the case stand below.

    Args:
        volume: in which the pose was found.
        pose: with its quality.
        title: above; the volume's name when empty.
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
        axes.set_title(f"{plane.name} plane", color=MUTED, fontsize=9)
    front, side, table = lower.subplots(1, 3, width_ratios=(1, 1, 0.62))
    for axes, view in zip((front, side), body_views(pose), strict=True):
        draw_skeleton(axes, pose, view, lengths=True)
    write_measurements(table, pose)
    figure.suptitle(f"{title or volume.name}   {_verdict(pose)}", color=TEXT, fontsize=12)
    _write_reasons(lower, pose)
    return figure


def _verdict(pose: Pose) -> str:
    score = pose.quality.score
    return "" if not isinstance(score, (int, float)) else f"quality {score:.2f}"


def _write_reasons(panel: object, pose: Pose) -> None:
    reasons = pose.quality.reasons
    if isinstance(reasons, list) and reasons:
        panel.supxlabel("; ".join(str(reason) for reason in reasons), color=WARNING, fontsize=9)  # type: ignore[attr-defined]

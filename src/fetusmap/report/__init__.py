"""Figures of volumes and poses."""

from fetusmap.report.pose_figure import draw_joint_angles, draw_pose
from fetusmap.report.views import View, body_views, draw_skeleton
from fetusmap.report.volume_figure import draw_volume

__all__ = [
    "View",
    "body_views",
    "draw_joint_angles",
    "draw_pose",
    "draw_skeleton",
    "draw_volume",
]

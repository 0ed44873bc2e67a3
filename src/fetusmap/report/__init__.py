"""Figures of volumes and poses, and pages for browsers."""

from fetusmap.report.case_figure import ComparedCase, draw_cases
from fetusmap.report.case_page import MAX_PAGE_BYTES, case_page, thumbnail
from fetusmap.report.cohort_page import CohortRow, cohort_page
from fetusmap.report.figure_file import FIGURE_SUFFIXES, save_figure
from fetusmap.report.library_figure import draw_library
from fetusmap.report.notebook import NotebookView, view
from fetusmap.report.page import check_bundle
from fetusmap.report.pck_figure import draw_pck
from fetusmap.report.pose_figure import draw_joint_angles, draw_pose
from fetusmap.report.prediction_figure import draw_prediction
from fetusmap.report.preview import draw_contact_sheet, preview_picture, save_picture
from fetusmap.report.refinement_figure import draw_refinement
from fetusmap.report.surface import draw_surface
from fetusmap.report.viewing_volume import viewing_nifti, viewing_volume
from fetusmap.report.views import View, body_views, draw_skeleton
from fetusmap.report.volume_figure import draw_volume

__all__ = [
    "FIGURE_SUFFIXES",
    "MAX_PAGE_BYTES",
    "CohortRow",
    "ComparedCase",
    "NotebookView",
    "View",
    "body_views",
    "case_page",
    "check_bundle",
    "cohort_page",
    "draw_cases",
    "draw_contact_sheet",
    "draw_joint_angles",
    "draw_library",
    "draw_pck",
    "draw_pose",
    "draw_prediction",
    "draw_refinement",
    "draw_skeleton",
    "draw_surface",
    "draw_volume",
    "preview_picture",
    "save_figure",
    "save_picture",
    "thumbnail",
    "view",
    "viewing_nifti",
    "viewing_volume",
]

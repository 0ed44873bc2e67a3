"""From a prepared volume to landmarks: detectors, and the pipelines that combine them."""

from fetusmap.detect.cascade import MIN_PASSES, Cascade, back_to_front, peaks_in_volume
from fetusmap.detect.detection import (
    Detection,
    Pipeline,
    detection_from_heatmaps,
    highest_peaks,
    transformed_grid,
)
from fetusmap.detect.detector import Detector, mean_heatmaps, predict_mirrored, predict_on
from fetusmap.detect.frame import BodyFrame, BodyFrameGrid, WholeVolumeGrid, body_frame_of
from fetusmap.detect.memory import AffordableDetections, detect_within_memory, is_out_of_memory
from fetusmap.detect.single_pass import SinglePass

__all__ = [
    "MIN_PASSES",
    "AffordableDetections",
    "BodyFrame",
    "BodyFrameGrid",
    "Cascade",
    "Detection",
    "Detector",
    "Pipeline",
    "SinglePass",
    "WholeVolumeGrid",
    "back_to_front",
    "body_frame_of",
    "detect_within_memory",
    "detection_from_heatmaps",
    "highest_peaks",
    "is_out_of_memory",
    "mean_heatmaps",
    "peaks_in_volume",
    "predict_mirrored",
    "predict_on",
    "transformed_grid",
]

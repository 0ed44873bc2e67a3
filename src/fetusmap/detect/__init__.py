"""From a volume to a pose, by networks and a library of poses."""

from fetusmap.detect.cascade import Cascade
from fetusmap.detect.detection import Detection, Pipeline
from fetusmap.detect.detector import Detector
from fetusmap.detect.frame import BodyFrame, CanonicalGrid, WholeGrid, frame_of
from fetusmap.detect.single_pass import SinglePass

__all__ = [
    "BodyFrame",
    "CanonicalGrid",
    "Cascade",
    "Detection",
    "Detector",
    "Pipeline",
    "SinglePass",
    "WholeGrid",
    "frame_of",
]

"""From a volume to a pose, by networks and a library of poses."""

from fetusmap.detect.cascade import Cascade
from fetusmap.detect.channels import Channels, channel_per_landmark, channel_per_pair
from fetusmap.detect.confidence import Calibration, Evidence, Logistic, fit_logistic, recalibrate
from fetusmap.detect.detection import Detection, Pipeline, fit_library, stray_from, weigh
from fetusmap.detect.detector import Detector, device_named, has_fast_bfloat16, one_thread
from fetusmap.detect.frame import BodyFrame, CanonicalGrid, WholeGrid, frame_of
from fetusmap.detect.judgement import judge, nothing_found, reasons_to_doubt
from fetusmap.detect.model_file import DEFAULT_FOLDER, ModelCard, load_model, save_model
from fetusmap.detect.preparation import at_rest, equalize, prepare, sample, standardize
from fetusmap.detect.sides import SideHypothesis, fit_orders, name_peaks, name_sides
from fetusmap.detect.single_pass import SinglePass

__all__ = [
    "DEFAULT_FOLDER",
    "BodyFrame",
    "Calibration",
    "CanonicalGrid",
    "Cascade",
    "Channels",
    "Detection",
    "Detector",
    "Evidence",
    "Logistic",
    "ModelCard",
    "Pipeline",
    "SideHypothesis",
    "SinglePass",
    "WholeGrid",
    "at_rest",
    "channel_per_landmark",
    "channel_per_pair",
    "device_named",
    "equalize",
    "fit_library",
    "fit_logistic",
    "fit_orders",
    "frame_of",
    "has_fast_bfloat16",
    "judge",
    "load_model",
    "name_peaks",
    "name_sides",
    "nothing_found",
    "one_thread",
    "prepare",
    "reasons_to_doubt",
    "recalibrate",
    "sample",
    "save_model",
    "standardize",
    "stray_from",
    "weigh",
]

"""From a volume to a pose, by networks and a library of poses."""

from fetusmap.detect.cascade import Cascade, Detection
from fetusmap.detect.channels import Channels, channel_per_landmark, channel_per_pair
from fetusmap.detect.confidence import (
    Calibration,
    Logistic,
    case_features,
    fit_logistic,
    landmark_features,
)
from fetusmap.detect.detector import Detector
from fetusmap.detect.frame import BodyFrame, CanonicalGrid, WholeGrid, frame_of
from fetusmap.detect.model_file import DEFAULT_FOLDER, ModelCard, load_model, save_model
from fetusmap.detect.preparation import equalize, prepare, sample, standardize
from fetusmap.detect.sides import SideHypothesis, name_sides

__all__ = [
    "DEFAULT_FOLDER",
    "BodyFrame",
    "Calibration",
    "CanonicalGrid",
    "Cascade",
    "Channels",
    "Detection",
    "Detector",
    "Logistic",
    "ModelCard",
    "SideHypothesis",
    "WholeGrid",
    "case_features",
    "channel_per_landmark",
    "channel_per_pair",
    "equalize",
    "fit_logistic",
    "frame_of",
    "landmark_features",
    "load_model",
    "name_sides",
    "prepare",
    "sample",
    "save_model",
    "standardize",
]

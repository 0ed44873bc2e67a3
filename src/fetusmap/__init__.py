"""FetusMap: the 3D pose of a fetus from one ultrasound volume.

The public interface is small. Each of its names is loaded when it is first used, so
`import fetusmap` takes little time and loads no heavy library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fetusmap._version import __version__

if TYPE_CHECKING:
    from fetusmap.anatomy import (
        Pose,
        Provenance,
        Quality,
        Skeleton,
        crown_rump_length,
        gestational_age,
        joint_angles_deg,
        load_skeleton,
        measurements,
        reference_pose,
        trunk_flexion_deg,
    )
    from fetusmap.atlas import PoseLibrary, load_library, save_library
    from fetusmap.dataset import Dataset, DatasetWriter, load_dataset
    from fetusmap.errors import BadInput, FetusmapError, ResourceError, UnreadableFile
    from fetusmap.estimate import PoseEstimator, Prediction
    from fetusmap.geometry import Grid, align_rigid, align_similarity
    from fetusmap.io import (
        load_landmark_table,
        load_pose,
        load_sequence,
        load_volume,
        save_pose,
        save_volume,
        write_landmark_table,
    )
    from fetusmap.report import draw_pose, draw_prediction, draw_refinement, draw_volume, view
    from fetusmap.session import Session
    from fetusmap.volume import Volume, resample

_HOME = {
    **dict.fromkeys(
        (
            "Pose", "Provenance", "Quality", "Skeleton", "crown_rump_length", "gestational_age",
            "joint_angles_deg", "load_skeleton", "measurements", "reference_pose",
            "trunk_flexion_deg",
        ),
        "fetusmap.anatomy",
    ),
    **dict.fromkeys(("PoseLibrary", "load_library", "save_library"), "fetusmap.atlas"),
    **dict.fromkeys(("Dataset", "DatasetWriter", "load_dataset"), "fetusmap.dataset"),
    **dict.fromkeys(
        ("BadInput", "FetusmapError", "ResourceError", "UnreadableFile"), "fetusmap.errors"
    ),
    **dict.fromkeys(("PoseEstimator", "Prediction"), "fetusmap.estimate"),
    **dict.fromkeys(("Grid", "align_rigid", "align_similarity"), "fetusmap.geometry"),
    **dict.fromkeys(
        (
            "load_landmark_table", "load_pose", "load_sequence", "load_volume", "save_pose",
            "save_volume", "write_landmark_table",
        ),
        "fetusmap.io",
    ),
    **dict.fromkeys(
        ("draw_pose", "draw_prediction", "draw_refinement", "draw_volume", "view"),
        "fetusmap.report",
    ),
    "Session": "fetusmap.session",
    **dict.fromkeys(("Volume", "resample"), "fetusmap.volume"),
}  # fmt: skip

__all__ = [
    "BadInput",
    "Dataset",
    "DatasetWriter",
    "FetusmapError",
    "Grid",
    "Pose",
    "PoseEstimator",
    "PoseLibrary",
    "Prediction",
    "Provenance",
    "Quality",
    "ResourceError",
    "Session",
    "Skeleton",
    "UnreadableFile",
    "Volume",
    "__version__",
    "align_rigid",
    "align_similarity",
    "crown_rump_length",
    "draw_pose",
    "draw_prediction",
    "draw_refinement",
    "draw_volume",
    "gestational_age",
    "joint_angles_deg",
    "load_dataset",
    "load_landmark_table",
    "load_library",
    "load_pose",
    "load_sequence",
    "load_skeleton",
    "load_volume",
    "measurements",
    "reference_pose",
    "resample",
    "save_library",
    "save_pose",
    "save_volume",
    "trunk_flexion_deg",
    "view",
    "write_landmark_table",
]


def __getattr__(name: str) -> Any:
    try:
        home = _HOME[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

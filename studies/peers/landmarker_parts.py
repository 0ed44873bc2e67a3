"""What we use of landmarker, imported without torchvision.

landmarker imports torchvision to resize 2D images, which we never do: an empty module stands for
it during the import where it is not installed.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType

STAND_INS = (
    {}
    if find_spec("torchvision")
    else {name: ModuleType(name) for name in ("torchvision", "torchvision.transforms")}
)
if STAND_INS:
    vars(STAND_INS["torchvision"])["transforms"] = STAND_INS["torchvision.transforms"]
sys.modules.update(STAND_INS)

from landmarker.data import LandmarkDataset  # noqa: E402
from landmarker.heatmap import GaussianHeatmapGenerator, heatmap_to_coord  # noqa: E402
from landmarker.losses import GaussianHeatmapL2Loss  # noqa: E402
from landmarker.models import OriginalSpatialConfigurationNet3d  # noqa: E402

for name in STAND_INS:  # nobody else shall take them for the real ones
    del sys.modules[name]

__all__ = [
    "GaussianHeatmapGenerator",
    "GaussianHeatmapL2Loss",
    "LandmarkDataset",
    "OriginalSpatialConfigurationNet3d",
    "heatmap_to_coord",
]

"""Networks that turn a volume into heatmaps."""

from fetusmap.network.checkpointing import POLICIES
from fetusmap.network.device import device_named, has_fast_bfloat16, one_thread
from fetusmap.network.discriminator import Discriminator
from fetusmap.network.heatmap_network import HeatmapNetwork
from fetusmap.network.land import HEIGHT, Land, LandWidths, build_land
from fetusmap.network.memory import (
    FULL_SHAPE,
    Plan,
    measure_peak_bytes,
    parameter_bytes,
    parse_memory,
    plan,
    predict_peak_bytes,
    saved_activation_bytes,
    scale_shape,
)
from fetusmap.network.recurrent import RecurrentLand
from fetusmap.network.spec import (
    LandSpec,
    NetworkSpec,
    RecurrentLandSpec,
    UNetSpec,
    Widths,
    build_network,
    spec_of,
)
from fetusmap.network.unet import STRIDE, UNet, UNetWidths, build_unet

__all__ = [
    "FULL_SHAPE",
    "HEIGHT",
    "POLICIES",
    "STRIDE",
    "Discriminator",
    "HeatmapNetwork",
    "Land",
    "LandSpec",
    "LandWidths",
    "NetworkSpec",
    "Plan",
    "RecurrentLand",
    "RecurrentLandSpec",
    "UNet",
    "UNetSpec",
    "UNetWidths",
    "Widths",
    "build_land",
    "build_network",
    "build_unet",
    "device_named",
    "has_fast_bfloat16",
    "measure_peak_bytes",
    "one_thread",
    "parameter_bytes",
    "parse_memory",
    "plan",
    "predict_peak_bytes",
    "saved_activation_bytes",
    "scale_shape",
    "spec_of",
]

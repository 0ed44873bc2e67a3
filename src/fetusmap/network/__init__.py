"""Networks that turn a volume into heatmaps."""

from fetusmap.network.unet import STRIDE, UNet, UNetWidths, build_unet

__all__ = ["STRIDE", "UNet", "UNetWidths", "build_unet"]

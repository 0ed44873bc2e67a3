"""What differs between the passes of the cascade: what they look at, and what they tell apart."""

from __future__ import annotations

from dataclasses import dataclass

from fetusmap.anatomy import Skeleton
from fetusmap.detect import (
    CanonicalGrid,
    Channels,
    WholeGrid,
    channel_per_landmark,
    channel_per_pair,
)
from fetusmap.train.augment import AnyDirection, DrawGrid, NearBody
from fetusmap.train.config import StageName


@dataclass(frozen=True)
class Stage:
    """One pass.

    Attributes:
        look: the grid of its input.
        channels: of its heatmaps.
        draw_grid: draws where a training sample looks.
    """

    look: WholeGrid | CanonicalGrid
    channels: Channels
    draw_grid: DrawGrid


def stage_named(name: StageName, skeleton: Skeleton) -> Stage:
    """The pass of that name."""
    if name == "coarse":
        whole = WholeGrid()
        return Stage(whole, channel_per_pair(skeleton), AnyDirection(whole))
    canonical = CanonicalGrid()
    return Stage(canonical, channel_per_landmark(skeleton), NearBody(canonical, skeleton))

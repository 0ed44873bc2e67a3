"""Whether a result is plausible: the pose against anatomy, and against the volume that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fetusmap.anatomy import (
    Kind,
    Pose,
    SizeFacts,
    shape_implausibilities,
    size_implausibility,
    trunk_path_mm,
)
from fetusmap.atlas import PoseLibrary, body_sizes_mm
from fetusmap.preprocess import Prepared
from fetusmap.quality.field_of_view import distance_outside_mm, extent_with_echoes_mm
from fetusmap.volume import Volume

MAX_SMALLEST_EXTENT_MM = 180.0
"""A volume that shows echoes over more than this along all three axes is larger than scans of a
fetus of 10 to 14 weeks are; those of the simulator measure 84 to 115 mm along their shortest."""

MIN_LARGEST_EXTENT_MM = 80.0
"""A volume in which no fetus is found, and that is smaller than this along all three axes, may have
a voxel size that is too small; those of the simulator measure 107 to 149 mm along their longest."""

MAX_TRUNKS_OUTSIDE = 1.0
"""Trunk lengths. A landmark may be placed this far outside the field of view."""

USUAL_PERCENTILES = (1, 99)
"""Of the sizes of the bodies that a model was trained on; sizes between them are not doubted."""

Rule = Kind | Literal["volume", "outside"]

SCORE_FACTORS: Mapping[Rule, float] = {
    "impossible size": 0.2,
    "unusual size": 0.5,
    "volume": 0.7,
    "lengths": 0.8,
    "sides": 0.9,
    "place": 0.8,
    "outside": 0.8,
}
"""The score of a case is multiplied by this for each implausibility of the kind."""


@dataclass(frozen=True)
class Plausibility:
    """What is implausible about a result.

    Attributes:
        reasons: in words; empty if nothing is.
        factor: the score of the case is multiplied by it; 1 if nothing is implausible.
    """

    reasons: tuple[str, ...] = ()
    factor: float = 1.0


def check_plausibility(pose: Pose, prepared: Volume, facts: SizeFacts) -> Plausibility:
    """Check a pose against anatomy, and against the volume that shows it.

    Args:
        pose: pose in the frame of the prepared volume, with its confidences, and with the interval
            of the crown-rump length in its quality.
        prepared: a prepared volume, see `fetusmap.preprocess.prepare`.
        facts: what is known about the size.
    """
    size = size_implausibility(pose, facts)
    # A large volume speaks for a wrong voxel size, of which the size of the body speaks already.
    too_large: list[tuple[Rule, str]] = [("volume", why) for why in _too_large(prepared, facts)]
    found: list[tuple[Rule, str]] = [
        *([(size.kind, size.reason)] if size is not None else too_large),
        *[(shape.kind, shape.reason) for shape in shape_implausibilities(pose)],
        *[("outside", reason) for reason in _far_outside(pose, prepared)],
    ]
    factor = float(np.prod([SCORE_FACTORS[rule] for rule, _ in found]))
    return Plausibility(tuple(reason for _, reason in found), factor)


def size_facts(prepared: Prepared, library: PoseLibrary) -> SizeFacts:
    """Return what is known about the size of the body in a volume.

    Args:
        prepared: the volume.
        library: of the model, which holds the bodies that it was trained on.
    """
    sizes = body_sizes_mm(library.skeleton, library.positions_mm.astype(np.float64))
    sizes = sizes[np.isfinite(sizes)]
    if library.skeleton.trunk is None or not sizes.size:
        return SizeFacts(prepared.source_spacing_mm)
    low, high = np.percentile(sizes, USUAL_PERCENTILES)
    return SizeFacts(prepared.source_spacing_mm, (float(low), float(high)))


def doubts_about_volume(prepared: Volume, facts: SizeFacts) -> list[str]:
    """Return a reason why a volume may show no fetus: a size that comes from a wrong voxel size.

    Args:
        prepared: a prepared volume.
        facts: what is known about the size.
    """
    extent = extent_with_echoes_mm(prepared)
    if max(extent) >= MIN_LARGEST_EXTENT_MM:
        return _too_large(prepared, facts)
    size = " x ".join(f"{length:.0f}" for length in extent)
    return [
        f"the volume shows only {size} mm, little room for a fetus of 10 to 14 weeks: check the "
        f"voxel size of the file{facts.in_brackets}"
    ]


def _too_large(prepared: Volume, facts: SizeFacts) -> list[str]:
    extent = extent_with_echoes_mm(prepared)
    if min(extent) <= MAX_SMALLEST_EXTENT_MM:
        return []
    size = " x ".join(f"{length:.0f}" for length in extent)
    return [
        f"the volume shows {size} mm, more than a scan of a fetus of 10 to 14 weeks: check the "
        f"voxel size of the file{facts.in_brackets}"
    ]


def _far_outside(pose: Pose, prepared: Volume) -> list[str]:
    limit = MAX_TRUNKS_OUTSIDE * trunk_path_mm(pose)
    distances = distance_outside_mm(prepared, pose.positions_mm)
    return [
        f"{name} lies {distance:.0f} mm outside the field of view, farther than the trunk is long"
        for name, distance in zip(pose.skeleton.landmarks, distances, strict=True)
        if distance > limit
    ]

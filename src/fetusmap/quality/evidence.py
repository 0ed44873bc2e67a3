"""Evidence for and against a detection, collected from the heatmaps and the pose library."""

from __future__ import annotations

from fetusmap.atlas import PoseLibrary
from fetusmap.atlas.sides import fit_library
from fetusmap.detect.detection import Detection
from fetusmap.errors import DegenerateAlignment
from fetusmap.quality.confidence import Evidence


def weigh(detection: Detection, library: PoseLibrary) -> Evidence:
    """What speaks for a detection.

    The margin says how much worse it fits the library with all its sides exchanged, trunk lengths:
    near 0 the pose is its own mirror image as far as the library can tell, below 0 the other side
    is the likelier one.
    """
    order = library.skeleton.mirror_index
    try:
        exchanged = fit_library(detection.positions_mm[order], detection.masses[order], library)
        margin = exchanged.residual - detection.residual
    except DegenerateAlignment:
        margin = 0.0
    return Evidence(detection.masses, detection.stray, detection.residual, margin)

"""Pose libraries, and what they know: which atlases fit a pose, and which side is which."""

from fetusmap.atlas.library import PoseLibrary, join_libraries
from fetusmap.atlas.library_file import load_library, save_library
from fetusmap.atlas.limbs import find_exchange, limb_orders, limbs_of
from fetusmap.atlas.retrieval import (
    Hypothesis,
    SupportSet,
    find_support,
    find_support_in_maps,
    usable_atlases,
)
from fetusmap.atlas.shipped import load_atlases
from fetusmap.atlas.sides import (
    LEAST_WEIGHT,
    SideHypothesis,
    fit_library,
    fit_orders,
    name_peaks,
    name_sides,
    stray_from,
)

__all__ = [
    "LEAST_WEIGHT",
    "Hypothesis",
    "PoseLibrary",
    "SideHypothesis",
    "SupportSet",
    "find_exchange",
    "find_support",
    "find_support_in_maps",
    "fit_library",
    "fit_orders",
    "join_libraries",
    "limb_orders",
    "limbs_of",
    "load_atlases",
    "load_library",
    "name_peaks",
    "name_sides",
    "save_library",
    "stray_from",
    "usable_atlases",
]

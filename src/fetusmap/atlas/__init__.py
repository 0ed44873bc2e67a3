"""Pose libraries, and what they answer: which atlases fit a pose, and which side is which."""

from fetusmap.atlas.body_size import body_sizes_mm, mean_where_present
from fetusmap.atlas.fit import (
    MIN_ALIGNMENT_WEIGHT,
    LibraryFit,
    approximate_residuals,
    distances_to_atlas_mean,
    fit_library,
    fit_orders,
)
from fetusmap.atlas.library import PoseLibrary, join_libraries
from fetusmap.atlas.library_file import load_library, save_library
from fetusmap.atlas.limbs import exchange_candidates, find_exchange, limb_orders
from fetusmap.atlas.retrieval import (
    Hypothesis,
    SupportSet,
    find_support,
    find_support_in_maps,
    usable_atlases,
)
from fetusmap.atlas.shipped import SHIPPED_LIBRARY, atlases_for, load_atlases
from fetusmap.atlas.side_check import exchanged_parts
from fetusmap.atlas.sides import name_peaks, name_sides

__all__ = [
    "MIN_ALIGNMENT_WEIGHT",
    "SHIPPED_LIBRARY",
    "Hypothesis",
    "LibraryFit",
    "PoseLibrary",
    "SupportSet",
    "approximate_residuals",
    "atlases_for",
    "body_sizes_mm",
    "distances_to_atlas_mean",
    "exchange_candidates",
    "exchanged_parts",
    "find_exchange",
    "find_support",
    "find_support_in_maps",
    "fit_library",
    "fit_orders",
    "join_libraries",
    "limb_orders",
    "load_atlases",
    "load_library",
    "mean_where_present",
    "name_peaks",
    "name_sides",
    "save_library",
    "usable_atlases",
]

"""Refinement at test time: a pose library corrects what the networks found."""

from fetusmap.refine.atlases import draw_atlases, load_atlases
from fetusmap.refine.fast import FastRefinement, refine_fast
from fetusmap.refine.landmark_maps import LandmarkMaps
from fetusmap.refine.paper import PaperRefinement, refine_paper, tune
from fetusmap.refine.refinement import NO_MEMORY, Iteration, Refinement
from fetusmap.refine.retrieval import (
    SupportSet,
    find_support,
    find_support_in_maps,
    usable_atlases,
)

__all__ = [
    "NO_MEMORY",
    "FastRefinement",
    "Iteration",
    "LandmarkMaps",
    "PaperRefinement",
    "Refinement",
    "SupportSet",
    "draw_atlases",
    "find_support",
    "find_support_in_maps",
    "load_atlases",
    "refine_fast",
    "refine_paper",
    "tune",
    "usable_atlases",
]

"""Refinement at test time: a pose library corrects what the networks found."""

from fetusmap.refine.atlases import draw_atlases, load_atlases
from fetusmap.refine.fast import FastRefinement, refine_fast
from fetusmap.refine.landmark_maps import LandmarkMaps
from fetusmap.refine.paper import PaperRefinement, refine_paper, tune
from fetusmap.refine.refinement import Iteration, Refinement
from fetusmap.refine.retrieval import SupportSet, check_enough, find_support, find_support_in_maps

__all__ = [
    "FastRefinement",
    "Iteration",
    "LandmarkMaps",
    "PaperRefinement",
    "Refinement",
    "SupportSet",
    "check_enough",
    "draw_atlases",
    "find_support",
    "find_support_in_maps",
    "load_atlases",
    "refine_fast",
    "refine_paper",
    "tune",
]

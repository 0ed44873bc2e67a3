"""Refinement at test time: a pose library corrects what the networks found."""

from fetusmap.refine.fast import FastRefinement, refine_fast
from fetusmap.refine.paper import PaperRefinement, refine_paper, tune
from fetusmap.refine.refinement import NO_MEMORY, Iteration, Refinement

__all__ = [
    "NO_MEMORY",
    "FastRefinement",
    "Iteration",
    "PaperRefinement",
    "Refinement",
    "refine_fast",
    "refine_paper",
    "tune",
]

"""Refinement at test time: a pose library corrects what the networks detected."""

from fetusmap.refine.fast import FastRefinement, refine_fast
from fetusmap.refine.refinement import (
    NO_MEMORY,
    REFINEMENTS,
    Iteration,
    Refine,
    Refinement,
    fits_worse,
    refinement_named,
)
from fetusmap.refine.self_supervised import TrainingRefinement, refine_by_training, tune

__all__ = [
    "NO_MEMORY",
    "REFINEMENTS",
    "FastRefinement",
    "Iteration",
    "Refine",
    "Refinement",
    "TrainingRefinement",
    "fits_worse",
    "refine_by_training",
    "refine_fast",
    "refinement_named",
    "tune",
]

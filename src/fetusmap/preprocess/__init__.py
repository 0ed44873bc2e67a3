"""From any volume to what a network sees: one spacing, right-handed axes, grey-level ranks."""

from fetusmap.preprocess.preparation import (
    RANK_STEP,
    WORKING_SPACING_MM,
    Prepared,
    equalize,
    prepare,
    sample,
    standardize,
)

__all__ = [
    "RANK_STEP",
    "WORKING_SPACING_MM",
    "Prepared",
    "equalize",
    "prepare",
    "sample",
    "standardize",
]

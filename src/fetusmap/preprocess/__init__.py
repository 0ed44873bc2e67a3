"""From any volume to what a network sees: one spacing, right-handed axes, grey-level ranks."""

from fetusmap.preprocess.preparation import (
    WORKING_SPACING_MM,
    at_rest,
    equalize,
    prepare,
    sample,
    standardize,
)

__all__ = [
    "WORKING_SPACING_MM",
    "at_rest",
    "equalize",
    "prepare",
    "sample",
    "standardize",
]

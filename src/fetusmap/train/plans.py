"""Plans: the input size and the checkpointing with which the paper's network fits into memory."""

from __future__ import annotations

from math import prod

from fetusmap.errors import BadInput
from fetusmap.network import LandWidths, Plan, parameter_bytes, plan
from fetusmap.preprocess import WORKING_SPACING_MM
from fetusmap.train.cases import training_cases
from fetusmap.train.config import LandConfig
from fetusmap.types import Shape3

LARGEST_SIMULATED: Shape3 = (126, 118, 149)
"""Longest axes of 800 simulated volumes at the working spacing of 1 mm."""

MAX_SPACING_MM = 9.9
"""A plan with larger voxels is refused."""


def fit_into_memory(config: LandConfig, memory: str) -> tuple[LandConfig, Plan]:
    """Plan the largest input whose training step fits, and the cheapest checkpointing for it.

    The input is never finer than the working spacing, and the step is that of the largest volume.
    The plan includes the average of the weights. It does not include the interpreter and the
    processes that make samples.

    Args:
        config: configuration of the paper's network.
        memory: amount of memory, such as "12GB".

    Returns:
        The configuration with its spacing and its policy, and the plan.

    Raises:
        BadInput: the text is not an amount of memory, or not even the smallest input fits.
    """
    widths = LandWidths(config.widths)
    average = parameter_bytes(widths)
    found = plan(memory, _largest_shape(config), widths, reserved_bytes=average)
    spacing_mm = round(WORKING_SPACING_MM / found.scale, 4)
    if spacing_mm > MAX_SPACING_MM:
        raise BadInput(
            "memory",
            expected=f"enough for voxels of {MAX_SPACING_MM} mm or finer",
            found=f"{memory}, enough for {spacing_mm} mm",
            remedy="allow more, or narrower widths",
        )
    fitting = {"checkpointing": found.policy, "spacing_mm": spacing_mm}
    return config.model_copy(update=fitting), found


def _largest_shape(config: LandConfig) -> Shape3:
    """Return the shape of the largest volume at the working spacing."""
    if config.dataset is None:
        return LARGEST_SIMULATED
    grids = (case.load_grid() for case in training_cases(config))
    return max((grid.respace(WORKING_SPACING_MM).shape for grid in grids), key=prod)

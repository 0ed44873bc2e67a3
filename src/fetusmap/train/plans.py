"""Configurations that are worked out: how the paper's network fits into the memory there is."""

from __future__ import annotations

from math import prod

from fetusmap.dataset import load_dataset
from fetusmap.errors import BadInput
from fetusmap.network import LandWidths, Plan, parameter_bytes, plan
from fetusmap.preprocess.preparation import WORKING_SPACING_MM
from fetusmap.train.cases import annotated_cases
from fetusmap.train.config import TrainingConfig
from fetusmap.types import Shape3

LARGEST_SIMULATED: Shape3 = (126, 118, 149)
"""Longest axes of 800 simulated volumes at the working spacing of 1 mm."""

COARSEST_MM = 9.9


def fit_into_memory(config: TrainingConfig, memory: str) -> tuple[TrainingConfig, Plan]:
    """The largest input whose training step fits, and the cheapest checkpointing that allows it.

    The input is never finer than the working spacing, and the step is that of the largest volume.
    The average of the weights counts; the interpreter and the processes that make samples do not.

    Args:
        config: of the stage "land".
        memory: such as "12GB".

    Returns:
        The configuration with its spacing and its policy, and the plan.

    Raises:
        BadInput: no amount of memory, or nothing fits.
    """
    widths = LandWidths(config.widths)
    average = parameter_bytes(widths)
    found = plan(memory, _largest_shape(config), widths, reserved_bytes=average)
    spacing_mm = round(WORKING_SPACING_MM / found.scale, 4)
    if spacing_mm > COARSEST_MM:
        raise BadInput(
            "memory",
            expected=f"enough for voxels of {COARSEST_MM} mm or finer",
            found=f"{memory}, enough for {spacing_mm} mm",
            remedy="allow more, or narrower widths",
        )
    fitting = {"checkpointing": found.policy, "spacing_mm": spacing_mm}
    return config.model_copy(update=fitting), found


def _largest_shape(config: TrainingConfig) -> Shape3:
    """Of the volumes, at the working spacing."""
    if config.dataset is None:
        return LARGEST_SIMULATED
    listed = annotated_cases(load_dataset(config.dataset), config.split)
    shapes = (case.load_grid().respace(WORKING_SPACING_MM).shape for case in listed)
    return max(shapes, key=prod, default=LARGEST_SIMULATED)

"""Detect within the available memory, by lowering precision and resolution step by step."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fetusmap.detect.detection import Detection, Pipeline
from fetusmap.errors import ResourceError
from fetusmap.network import has_fast_bfloat16
from fetusmap.volume import Volume

COARSENINGS = {
    1.0: "",
    1.5: "whole volume at 2/3 of the resolution",
    3.0: "whole volume at 1/3 of the resolution",
}
"""Factors on the voxel size of a pass over the whole volume, tried in this order."""

OUT_OF_MEMORY_MESSAGES = (
    "allocate memory",
    "not enough memory",
    "bad_alloc",
    "could not create a primitive",
    "CUDA error: out of memory",
    "ALLOC_FAILED",
)
"""Messages of torch, oneDNN and CUDA, which do not raise MemoryError."""


@dataclass(frozen=True, eq=False)
class AffordableDetections:
    """Detections, with the precision and the resolution that fitted into memory.

    Attributes:
        detections: see `Pipeline.detect`.
        half: whether they were computed in bfloat16.
        warnings: what was lowered, in words; empty if nothing was.
    """

    detections: list[Detection]
    half: bool
    warnings: tuple[str, ...] = ()


def detect_within_memory(
    pipeline: Pipeline, prepared: Volume, *, flip_average: bool
) -> AffordableDetections:
    """Detect with the highest precision and resolution that fit into memory.

    Raises:
        ResourceError: even the lowest precision and resolution do not fit.
    """
    device = next(next(iter(pipeline.detectors.values())).network.parameters()).device
    fast = has_fast_bfloat16(device)
    attempts = [(True, coarsen) for coarsen in COARSENINGS]
    for half, coarsen in attempts if fast else [(False, 1.0), *attempts]:
        try:
            found = pipeline.detect(prepared, flip_average=flip_average, half=half, coarsen=coarsen)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            lowered = ["computed in bfloat16"] if half and not fast else []
            lowered += [COARSENINGS[coarsen]] if COARSENINGS[coarsen] else []
            words = (f"not enough memory: {', '.join(lowered)}",) if lowered else ()
            return AffordableDetections(found, half, words)
    box = " x ".join(f"{length:.0f}" for length in prepared.grid.extent_mm)
    raise ResourceError(
        prepared.name,
        expected="memory for the networks, the first one at a third of its resolution",
        found=f"not enough for a box of {box} mm",
        remedy="close other programs, use --device cpu, or crop the volume around the fetus",
    )


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error means that memory ran out, on the processor or on a graphics card."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        words in str(error) for words in OUT_OF_MEMORY_MESSAGES
    )

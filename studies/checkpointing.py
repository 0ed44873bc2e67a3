"""The paper's network in training: what each policy of checkpointing stores, needs and costs.

Peaks of large steps are predicted; the allocator's own peak is beside them wherever a step takes
seconds. The widths of the paper are timed on a small volume, where a step takes seconds too.
"""

from __future__ import annotations

import math
import os
from functools import partial

from fetusmap.network import (
    FULL_SHAPE,
    POLICIES,
    LandWidths,
    measure_peak_bytes,
    predict_peak_bytes,
    saved_activation_bytes,
    scale_shape,
)
from fetusmap.network.land import Land
from fetusmap.network.ledger import TrainingStep
from fetusmap.types import Shape3
from studies.measure import interleaved_seconds

WIDTHS = {"paper": LandWidths(), "quarter": LandWidths((16, 32, 64, 128, 256))}
SCALES = (0.4, 0.5, 0.75, 1.0)
MEASURED = {("quarter", 0.4): tuple(POLICIES), ("quarter", 0.5): ("none", "paper", "lean")}
TIMED = {"paper": (48, 44, 56), "quarter": scale_shape(FULL_SHAPE, 0.4)}
REPEATS = 3


def run() -> dict[str, object]:
    """Measure memory, compute how many voxels fit, and time a step, for each policy."""
    return {
        name: {
            "levels": list(widths.levels),
            "scales": {str(scale): measure_scale(name, scale) for scale in SCALES},
            "voxels_in_the_memory_of_none_at_0.4": {
                policy: voxel_ratio(widths, policy) for policy in POLICIES
            },
            "timed_shape": list(TIMED[name]),
            "step_s_over_none": time_steps(widths, TIMED[name]),
        }
        for name, widths in WIDTHS.items()
    }


def measure_scale(name: str, scale: float) -> dict[str, object]:
    """Bytes stored and at the peak, and whether this machine could hold them."""
    widths, shape = WIDTHS[name], scale_shape(FULL_SHAPE, scale)
    network = TrainingStep.without_data(widths, "none", (1, 1, 1)).network
    rows = {policy: measure_policy(network, policy, shape) for policy in POLICIES}
    for policy in MEASURED.get((name, scale), ()):
        peak = measure_peak_bytes(widths, policy, shape)
        rows[policy]["measured_peak_bytes"] = peak
        rows[policy]["predicted_over_measured"] = rows[policy]["predicted_peak_bytes"] / peak
    return {"shape": list(shape), **rows}


def measure_policy(network: Land, policy: str, shape: Shape3) -> dict[str, float]:
    """Bytes of a step, computed without running it."""
    peak = predict_peak_bytes(network.widths, policy, shape)
    return {
        "saved_bytes": saved_activation_bytes(network, shape, policy),
        "predicted_peak_bytes": peak,
        "fits_this_machine": peak < memory_bytes(),
    }


def voxel_ratio(widths: LandWidths, policy: str) -> float:
    """How many times the voxels of scale 0.4 fit where "none" holds scale 0.4."""
    budget = predict_peak_bytes(widths, "none", scale_shape(FULL_SHAPE, 0.4))
    shape = (1, 1, 1)
    for thousandth in range(400, 1000):
        larger = scale_shape(FULL_SHAPE, thousandth / 1000)
        if predict_peak_bytes(widths, policy, larger) <= budget:
            shape = larger
    return math.prod(shape) / math.prod(scale_shape(FULL_SHAPE, 0.4))


def time_steps(widths: LandWidths, shape: Shape3) -> dict[str, float]:
    """Seconds of a step of each policy, in turn on one network, over those of "none"."""
    step = TrainingStep(widths, "none", shape)

    def run_with(policy: str) -> None:
        step.network.policy = policy
        step.forget_gradients()
        step.run()

    runs = {policy: partial(run_with, policy) for policy in POLICIES}
    seconds = interleaved_seconds(runs, repeats=REPEATS)
    ratios = {policy: value / seconds["none"] for policy, value in seconds.items()}
    return {"none_s": seconds["none"], **ratios}


def memory_bytes() -> int:
    """Memory of the whole machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

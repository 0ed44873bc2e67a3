"""Memory of a training step, and the largest volume and fastest policy for a given memory.

A step is run once on tensors without data, and every storage is counted per voxel of the level of
the U-Net to which it belongs. The memory in use at any moment is then a sum over levels, and the
peak for a volume of any size is the largest of these sums.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from fetusmap.errors import BadInput
from fetusmap.network.checkpointing import POLICIES
from fetusmap.network.land import Land, LandWidths
from fetusmap.network.ledger import Ledger, Timeline, TrainingStep, levels_of
from fetusmap.types import Shape3

FULL_SHAPE: Shape3 = (220, 205, 260)
"""Voxels of the volumes of the paper."""

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
         "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What fits into memory: policy, scale of the full volume, its shape, and the expected peak."""

    policy: str
    scale: float
    shape: Shape3
    predicted_peak_bytes: int


def plan(
    memory: int | str,
    full_shape: Shape3 = FULL_SHAPE,
    widths: LandWidths = LandWidths(),  # noqa: B008
    policies: Iterable[str] = POLICIES,
    device: str = "cpu",
    reserved_bytes: int = 0,
) -> Plan:
    """Find the largest input whose training step fits, and the fastest policy that allows it.

    A step is one volume forward and backward under the L2 loss, then Adam. The prediction counts
    parameters, gradients, the state of Adam, the volume, its target and all activations. On a
    graphics card the workspaces of cuDNN and the driver's own memory come on top.

    Args:
        memory: bytes, or text such as "12GB" (10^9) or "8GiB" (2^30).
        full_shape: voxels of the volume at scale 1; no larger input is planned.
        widths: widths of the network.
        policies: policies to choose from, from the fastest to the slowest.
        device: "cpu" or "cuda".
        reserved_bytes: bytes that are needed in addition, such as for an average of the weights.

    Returns:
        The plan; its scale is a whole number of hundredths.

    Raises:
        BadInput: the text is no amount of memory, or nothing fits.
    """
    budget = parse_memory(memory) if isinstance(memory, str) else memory
    peaks = {
        case: reserved_bytes + peak
        for case, peak in _peaks(widths, tuple(policies), full_shape, device).items()
    }
    fitting = [case for case, peak in peaks.items() if peak <= budget]
    if not fitting:
        raise BadInput(
            "memory",
            expected=f"at least {min(peaks.values()) / 1e9:.3f} GB for these widths",
            found=f"{budget / 1e9:.3f} GB",
            remedy="allow more or take narrower LandWidths",
        )
    # Of equal scales the first, which is that of the fastest policy.
    policy, percent = max(fitting, key=lambda case: case[1])
    shape = scale_shape(full_shape, percent / 100)
    return Plan(policy, percent / 100, shape, peaks[policy, percent])


def predict_peak_bytes(widths: LandWidths, policy: str, shape: Shape3, device: str = "cpu") -> int:
    """Return the bytes in use at the peak of a training step on one volume of `shape`.

    Raises:
        BadInput: no policy has this name.
    """
    return _timeline(widths, policy).peak_bytes(shape, on_cpu=device == "cpu")


def measure_peak_bytes(widths: LandWidths, policy: str, shape: Shape3, device: str = "cpu") -> int:
    """Measure the peak of a training step: the most bytes that torch allocated in a second step."""
    with torch.device(device):
        step = TrainingStep(widths, policy, shape)
    step.run()
    step.forget_gradients()
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        step.run()
        return torch.cuda.max_memory_allocated()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step.run()
    events = profiler.profiler.kineto_results.events()
    changes = [event.nbytes() for event in events if event.name() == "[memory]"]
    return step.given_bytes() + int(np.cumsum(changes).max())


def saved_activation_bytes(network: Land, shape: Shape3, policy: str | None = None) -> int:
    """Return the bytes that the forward pass on one volume keeps for the backward pass.

    Each storage counts once; parameters, the volume and the heatmaps do not count.

    Args:
        network: the network, whose widths are used; it is not run.
        shape: (I, J, K) shape of the volume.
        policy: policy; None for the network's own.

    Raises:
        BadInput: no policy has this name.
    """
    step = TrainingStep.without_data(network.widths, policy or network.policy, shape)
    ledger = Ledger(step.given(), levels_of(shape, len(network.widths.levels)))
    with ledger:
        heatmaps: torch.Tensor = step.network(step.volume)
    return ledger.alive_bytes() - heatmaps.untyped_storage().nbytes()


def parse_memory(text: str) -> int:
    """Return the bytes of "12GB", "8 GiB", "500 MB" or "1e9".

    Raises:
        BadInput: the text is no amount of memory.
    """
    match = re.fullmatch(r"\s*(\d+\.?\d*(?:e\d{1,2})?)\s*([kmgt]?i?)b?\s*", text.lower())
    if match is None or match[2] not in UNITS:
        raise BadInput(
            "memory", expected="an amount such as 12GB or 8GiB", found=repr(text), remedy="try 12GB"
        )
    return int(float(match[1]) * UNITS[match[2]])


def scale_shape(shape: Shape3, scale: float) -> Shape3:
    """Scale the voxels per axis, rounded, at least 1: 220 x 205 x 260 at 0.4 is 88 x 82 x 104."""
    i, j, k = (max(1, round(n * scale)) for n in shape)
    return i, j, k


def parameter_bytes(widths: LandWidths) -> int:
    """Return the bytes of one copy of the weights."""
    with torch.device("meta"):
        network = Land(widths)
    return sum(weight.numel() * weight.element_size() for weight in network.parameters())


@lru_cache(maxsize=16)
def _peaks(
    widths: LandWidths, policies: tuple[str, ...], full_shape: Shape3, device: str
) -> Mapping[tuple[str, int], int]:
    """Return the peak bytes of each policy at each scale, in hundredths."""
    return {
        (policy, percent): predict_peak_bytes(
            widths, policy, scale_shape(full_shape, percent / 100), device
        )
        for policy in policies
        for percent in range(1, 101)
    }


@lru_cache(maxsize=64)
def _timeline(widths: LandWidths, policy: str) -> Timeline:
    depth = len(widths.levels)
    # Each level has another number of voxels along each axis, and none has that of a kernel.
    i, j, k = (n * 2 ** (depth - 1) for n in (11, 13, 17))
    step = TrainingStep.without_data(widths, policy, (i, j, k))
    step.run()  # creates the state of Adam
    step.forget_gradients()
    ledger = Ledger(step.given(), levels_of((i, j, k), depth))
    with ledger:
        step.run()
    return ledger.timeline()

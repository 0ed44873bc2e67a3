"""The learning rate over the steps."""

from __future__ import annotations


def rate_at(step: int, steps: int | None, warmup: int, decay_part: float) -> float:
    """Part of the full learning rate: up linearly, level, then down to 0 linearly.

    The level part needs not know its end, so a run can be planned by its duration.

    Args:
        step: from 0.
        steps: of the whole run, or None while unknown.
        warmup: steps of growth.
        decay_part: part of the run at its end over which the rate falls.
    """
    rising = min(1.0, (step + 1) / (warmup + 1))
    if steps is None or decay_part == 0:
        return rising
    return min(rising, (steps - step) / (steps * decay_part))

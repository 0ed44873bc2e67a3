"""The learning rate over the steps."""

from __future__ import annotations


def rate_at(step: int, steps: int | None, warmup: int, decay_part: float) -> float:
    """Return the fraction of the full learning rate: it rises linearly, is constant, falls to 0.

    While it is constant, it does not depend on the number of steps, so the steps can be planned
    after the training has begun.

    Args:
        step: number of the step, from 0.
        steps: steps of the whole run, or None while they are not planned.
        warmup: steps of the rise.
        decay_part: last fraction of the run, over which the rate falls.
    """
    rising = min(1.0, (step + 1) / (warmup + 1))
    if steps is None or decay_part == 0:
        return rising
    return min(rising, (steps - step) / (steps * decay_part))

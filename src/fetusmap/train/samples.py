"""Endless training samples, each a function of the seed and its number."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from itertools import count

import numpy as np

from fetusmap.errors import BadInput
from fetusmap.train.augment import DrawGrid, Sample, apply_augmentation, draw_augmentation
from fetusmap.train.cases import CasePool
from fetusmap.workers import map_in_processes

MAX_ATTEMPTS = 100
"""Cases that are tried for one sample before the data are refused."""


@dataclass(frozen=True)
class SampleSource:
    """Cases, and how samples are drawn from them.

    Attributes:
        pool: the cases.
        draw_grid: draws the grid of a sample.
        seed: seed of all draws.
        intensities: augment the grey levels as well.
        in_turn: take the cases one after the other, each as often as any other.
    """

    pool: CasePool
    draw_grid: DrawGrid
    seed: int
    intensities: bool = True
    in_turn: bool = False

    def sample(self, number: int) -> Sample:
        """Return sample `number`: an augmented case, independent of earlier samples."""
        rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence((self.seed, number))))
        for attempt in range(MAX_ATTEMPTS):
            which = number + attempt if self.in_turn else int(rng.integers(self.pool.count))
            case = self.pool.case(which % self.pool.count)
            drawn = draw_augmentation(rng, case, self.draw_grid, intensities=self.intensities)
            if drawn is not None:
                return apply_augmentation(case, drawn, self.pool.skeleton)
        raise BadInput(
            "training cases",
            expected="cases whose annotated trunk and lateral pair define the body's frame",
            found=f"none in {MAX_ATTEMPTS} draws",
            remedy="annotate them",
        )


def stream_samples(
    source: SampleSource, *, first: int = 0, step: int = 1, workers: int = 1
) -> Generator[Sample]:
    """Yield samples `first`, `first + step`, ... in order; other processes make them in advance.

    Args:
        source: makes the samples.
        first: number of the first one.
        step: difference between numbers; of n processes that train together, each takes every
            n-th sample.
        workers: number of processes; 0 makes each sample when it is asked for.
    """
    yield from map_in_processes(
        partial(_sample, source), count(first, step), workers, background=workers > 0
    )


def _sample(source: SampleSource, number: int) -> Sample:
    return source.sample(number)

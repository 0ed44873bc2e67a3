"""Training samples without end, each a function of the seed and its number."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np

from fetusmap.anatomy import Skeleton
from fetusmap.errors import BadInput
from fetusmap.train.augment import DrawGrid, Sample, apply_augmentation, draw_augmentation
from fetusmap.train.cases import MakeCase, cached
from fetusmap.workers import map_in_order

ATTEMPTS = 100


@dataclass(frozen=True)
class SampleSource:
    """Where samples come from.

    Attributes:
        make_case: makes training case `number`.
        folder: keeps the cases.
        cases: numbers below this are drawn.
        skeleton: names the landmarks.
        draw_grid: where to look.
        seed: of all draws.
        intensities: change grey levels as well.
        in_turn: take the cases one after the other, each as often as any other.
    """

    make_case: MakeCase
    folder: Path
    cases: int
    skeleton: Skeleton
    draw_grid: DrawGrid
    seed: int
    intensities: bool = True
    in_turn: bool = False

    def sample(self, number: int) -> Sample:
        """Sample `number`: a case, seen as drawn; the same whatever came before."""
        rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence((self.seed, number))))
        for attempt in range(ATTEMPTS):
            which = number + attempt if self.in_turn else int(rng.integers(self.cases))
            case = cached(self.make_case, self.folder, which % self.cases)
            drawn = draw_augmentation(rng, case, self.draw_grid, intensities=self.intensities)
            if drawn is not None:
                return apply_augmentation(case, drawn, self.skeleton)
        raise BadInput(
            "training cases",
            expected="cases with sacrum, neck and a lateral pair, which make a body's frame",
            found=f"none in {ATTEMPTS} draws",
            remedy="annotate them",
        )


def stream_samples(
    source: SampleSource, *, first: int = 0, step: int = 1, workers: int = 1
) -> Generator[Sample]:
    """Samples `first`, `first + step`, ... in order, made ahead by other processes.

    Args:
        source: of the samples.
        first: number of the first one.
        step: between numbers; processes that train together take every n-th.
        workers: processes; 0 makes each sample when it is asked for.
    """
    yield from map_in_order(
        partial(_sample, source), count(first, step), workers, background=workers > 0
    )


def _sample(source: SampleSource, number: int) -> Sample:
    return source.sample(number)

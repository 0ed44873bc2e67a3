"""Endless simulated cases for training; each is a function of a seed and its number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count as count_from

from fetusmap.errors import BadInput
from fetusmap.simulate.case import SimulationSettings, draw_case
from fetusmap.simulate.draws import Seeds
from fetusmap.simulate.rendering import Rendering, render
from fetusmap.workers import check_workers, map_in_processes


@dataclass(frozen=True)
class Shard:
    """One part of a stream: cases `index`, `index + of`, `index + 2 of`, ...

    Attributes:
        index: number of the part, from 0.
        of: number of parts, for example workers of a data loader times processes.
    """

    index: int = 0
    of: int = 1

    def __post_init__(self) -> None:
        """Refuse a part that does not exist."""
        if not 0 <= self.index < self.of:
            raise BadInput(
                "shard", expected="an index from 0 to below the number of shards",
                found=f"{self.index} of {self.of}", remedy="count from 0",
            )  # fmt: skip


def simulate_case(
    settings: SimulationSettings,
    seed: int,
    number: int,
    *,
    beams: bool = False,
    labels: bool = False,
) -> Rendering:
    """Draw and render one case of a series.

    Args:
        settings: settings of the cases.
        seed: seed of the series.
        number: number of the case, from 0; it alone determines the bytes of the case.
        beams: also return the sweep in beam space.
        labels: also return the label map.

    Raises:
        BadInput: the seed or the number is negative.
    """
    drawn = draw_case(settings, Seeds.of_case(seed, number))
    return render(drawn, settings.preset, name=case_name_of(number), beams=beams, labels=labels)


def stream_cases(
    settings: SimulationSettings,
    seed: int,
    *,
    first: int = 0,
    shard: Shard | None = None,
    workers: int = 0,
    beams: bool = False,
    labels: bool = False,
) -> Iterator[Rendering]:
    """Yield simulated cases without end, in order.

    Shards and workers share nothing, and they do not change the cases: a data loader can give each
    of its workers a shard, and an interrupted run can continue from its `first` unseen case.

    Args:
        settings: settings of the cases.
        seed: seed of the series.
        first: number of the first case.
        shard: yield only every n-th case.
        workers: number of processes that simulate in advance; 0 simulates on request. A script
            that uses workers must start its work below `if __name__ == "__main__":`.
        beams: also return the sweeps in beam space.
        labels: also return the label maps.

    Raises:
        BadInput: the seed or the first number is negative.
    """
    Seeds.of_case(seed, first)
    check_workers(workers)
    part = shard or Shard()
    start = first + (part.index - first) % part.of
    numbers = count_from(start, part.of)
    return map_in_processes(
        partial(simulate_case, settings, seed, beams=beams, labels=labels), numbers, workers
    )


def case_name_of(number: int) -> str:
    """Return the name of a simulated case."""
    return f"sim-{number:06d}"

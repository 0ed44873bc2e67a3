"""Endless simulated cases, for training: each a function of a seed and its number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count as count_from

from fetusmap.errors import BadInput
from fetusmap.simulate.case import SimulationSettings, draw_case
from fetusmap.simulate.draws import Seeds
from fetusmap.simulate.rendering import Rendering, render
from fetusmap.workers import check_workers, map_in_order


@dataclass(frozen=True)
class Shard:
    """One part of a stream: cases `index`, `index + of`, `index + 2 of`, ...

    Attributes:
        index: from 0.
        of: how many parts there are, such as the workers of a data loader times its processes.
    """

    index: int = 0
    of: int = 1

    def __post_init__(self) -> None:
        """Refuse parts that do not exist."""
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
    """Case `number` of a series: draw it and render it.

    Args:
        settings: what kind of cases.
        seed: of the series.
        number: from 0; the same number gives the same bytes, whatever else is simulated.
        beams: with the beam-space sweep.
        labels: with the label map.

    Raises:
        BadInput: a negative seed or number.
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
    """Simulated cases without end, in order.

    Nothing is shared between shards or workers, and none of them changes a case: a data loader
    gives each of its workers a shard, and a run that stopped goes on from its `first` unseen case.

    Args:
        settings: what kind of cases.
        seed: of the series.
        first: number of the first case; those below are left out.
        shard: take only every n-th case.
        workers: processes that simulate ahead; 0 simulates when asked. A script that asks for
            some must start its work below `if __name__ == "__main__":`.
        beams: with the beam-space sweeps.
        labels: with the label maps.

    Raises:
        BadInput: a negative seed or first case.
    """
    Seeds.of_case(seed, first)
    check_workers(workers)
    part = shard or Shard()
    start = first + (part.index - first) % part.of
    numbers = count_from(start, part.of)
    return map_in_order(
        partial(simulate_case, settings, seed, beams=beams, labels=labels), numbers, workers
    )


def case_name_of(number: int) -> str:
    """The name of a simulated case."""
    return f"sim-{number:06d}"

"""Which landmarks each heatmap channel shows."""

from __future__ import annotations

from dataclasses import dataclass

from fetusmap.anatomy.skeleton import Skeleton


@dataclass(frozen=True)
class Channels:
    """The landmarks of each channel.

    Attributes:
        names: of the channels.
        rows: for each channel the rows of its landmarks in the skeleton; (left, right) where a
            channel shows both of a mirror pair.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        """Number of channels."""
        return len(self.rows)


def channel_per_landmark(skeleton: Skeleton) -> Channels:
    """One channel for each landmark, in the skeleton's order."""
    return Channels(skeleton.landmarks, tuple((row,) for row in range(len(skeleton))))


def channel_per_pair(skeleton: Skeleton) -> Channels:
    """One channel for each midline landmark and one for each mirror pair, its sides not told apart.

    Left and right knee look alike, and only the whole body says which is which: a network that
    need not tell has the easier job.
    """
    midline = [name for name in skeleton.landmarks if skeleton.side(name) == "midline"]
    pairs = tuple((skeleton.index(a), skeleton.index(b)) for a, b in skeleton.mirror_pairs)
    names = (*midline, *(f"{left}|{right}" for left, right in skeleton.mirror_pairs))
    return Channels(names, (*((skeleton.index(name),) for name in midline), *pairs))

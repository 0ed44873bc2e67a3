"""`Channels`: the landmarks that each channel of a heatmap shows."""

from __future__ import annotations

from dataclasses import dataclass

from fetusmap.anatomy.skeleton import Skeleton


@dataclass(frozen=True)
class Channels:
    """The landmarks of each channel.

    Attributes:
        names: names of the channels.
        rows: for each channel, the rows of its landmarks in the skeleton; (left, right) if the
            channel shows both landmarks of a mirror pair.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        """Number of channels."""
        return len(self.rows)


def channel_per_landmark(skeleton: Skeleton) -> Channels:
    """Return one channel for each landmark, in the order of the skeleton."""
    return Channels(skeleton.landmarks, tuple((row,) for row in range(len(skeleton))))


def channel_per_pair(skeleton: Skeleton) -> Channels:
    """Return one channel for each midline landmark and one for each mirror pair.

    The left and the right knee look alike, and only the whole body shows which is which. A network
    that does not need to distinguish them has an easier task.
    """
    midline = [name for name in skeleton.landmarks if skeleton.side(name) == "midline"]
    pairs = tuple((skeleton.index(a), skeleton.index(b)) for a, b in skeleton.mirror_pairs)
    names = (*midline, *(f"{left}|{right}" for left, right in skeleton.mirror_pairs))
    return Channels(names, (*((skeleton.index(name),) for name in midline), *pairs))

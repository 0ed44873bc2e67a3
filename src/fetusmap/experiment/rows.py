"""The rows of the tables: the paper's eight, ours, and what peers have predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fetusmap.errors import BadInput
from fetusmap.estimate import Refine
from fetusmap.experiment.profile import SIZES, Network
from fetusmap.files.reading import visible_files

Group = Literal["paper", "ours", "peer"]

PEERS = "peers"
"""Folder of an experiment in which each peer has a folder of pose files, <case>.json."""


@dataclass(frozen=True)
class Row:
    """One method.

    Attributes:
        name: in the tables.
        group: whose it is.
        network: of the experiment; None for the model that ships, and for peers.
        refine: how its predictions are refined.
        flip_average: whether it looks at the mirror image as well, which the paper does not do.
        about: in words, what it is; empty for the paper's rows.
    """

    name: str
    group: Group
    network: Network | None = None
    refine: Refine = "none"
    flip_average: bool = False
    about: str = ""

    @property
    def stage(self) -> str:
        """Which stage of the experiment makes its predictions."""
        return "predict" if self.refine == "none" else "refine"


PAPER_ROWS = (
    *(Row(f"{family}-{size}", "paper", Network(family, size))
      for family in ("Land", "RNN", "GAN") for size in SIZES),
    *(Row(f"SSL-{size}", "paper", Network("Land", size), "paper") for size in SIZES),
)  # fmt: skip
"""In the paper's order."""

OUR_ROWS = (
    *(
        Row(
            f"Fast-{size}", "ours", Network("Land", size), "fast",
            about=f"the network of Land-{size} with our refinement, against the 20,000 simulated "
            "atlases that ship, where SSL has the 100 training poses",
        )
        for size in SIZES
    ),
    Row(
        "Product", "ours", flip_average=True,
        about="the model that ships: two passes, trained on 6,000 other simulated cases",
    ),
    Row(
        "Product-fast", "ours", refine="fast", flip_average=True,
        about="the model that ships, with our refinement",
    ),
)  # fmt: skip


def peer_rows(folder: Path, cases: Sequence[str]) -> tuple[Row, ...]:
    """The peers whose predictions of the test cases lie in an experiment's folder, by name.

    Raises:
        BadInput: one is called like a row of ours, or lacks a test case.
    """
    there = (folder / PEERS).iterdir() if (folder / PEERS).is_dir() else ()
    names = sorted(path.name for path in there if path.is_dir() and visible_files(path, "*.json"))
    taken = {row.name for row in (*PAPER_ROWS, *OUR_ROWS)} & set(names)
    if taken:
        raise BadInput(
            folder / PEERS,
            expected="names that no row of the experiment has",
            found=", ".join(sorted(taken)),
            remedy="rename the folder",
        )
    for name in names:
        _check_peer(folder / PEERS / name, cases)
    return tuple(Row(name, "peer", about=_about(folder / PEERS / name)) for name in names)


def _check_peer(folder: Path, cases: Sequence[str]) -> None:
    missing = [case for case in cases if not (folder / f"{case}.json").is_file()]
    if missing:
        raise BadInput(
            folder,
            expected=f"a pose for each of the {len(cases)} test cases; one that was not found is a "
            "pose without landmarks",
            found=f"{len(missing)} missing, such as {missing[0]}.json",
            remedy="add them, or take the folder away",
        )


def _about(folder: Path) -> str:
    path = folder / "about.txt"
    return " ".join(path.read_text().split()) if path.is_file() else ""

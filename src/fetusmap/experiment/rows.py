"""The rows of the tables: eight methods of the paper, our methods, and other tools (peers)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fetusmap.errors import BadInput
from fetusmap.experiment.profile import SIZES, Network
from fetusmap.files import visible_files
from fetusmap.refine import Refine

Group = Literal["paper", "ours", "peer"]
Dose = Literal["paper", "tuned"]
Atlases = Literal["training", "shipped"]

PEERS = "peers"
"""Subfolder of an experiment in which each peer has a folder of pose files, <case>.json."""

SHIPPED_MODEL = "default"
"""Model of the rows without a network of their own."""


@dataclass(frozen=True)
class Row:
    """One method in the tables.

    Attributes:
        name: name in the tables.
        group: whether the method is the paper's, ours, or a peer's.
        network: network of the experiment; None for the shipped model and for peers.
        refine: how the predictions are refined.
        atlases: poses to refine with: those of the training cases, or the atlases of the package.
        dose: learning rate and steps of the test-time training: the paper's, or those that were
            chosen on training cases.
        flip_average: whether heatmaps are averaged with those of the mirror image, which the paper
            does not do.
        about: description in words; empty for the paper's rows.
    """

    name: str
    group: Group
    network: Network | None = None
    refine: Refine = "none"
    atlases: Atlases = "training"
    dose: Dose = "paper"
    flip_average: bool = False
    about: str = ""

    @property
    def stage(self) -> str:
        """Stage of the experiment that makes the predictions."""
        return "predict" if self.refine == "none" else "refine"


PAPER_ROWS = (
    *(Row(f"{family}-{size}", "paper", Network(family, size))
      for family in ("Land", "RNN", "GAN") for size in SIZES),
    *(Row(f"SSL-{size}", "paper", Network("Land", size), "test-time-training")
      for size in SIZES),
)  # fmt: skip
"""The methods of the paper, in the order of its tables."""

OUR_ROWS = (
    *(
        Row(
            f"SSL-tuned-{size}", "ours", Network("Land", size), "test-time-training", dose="tuned",
            about=f"SSL-{size} with a learning rate and a number of steps that were chosen on "
            "training cases",
        )
        for size in SIZES
    ),
    *(
        Row(
            f"SSL-tuned-20k-{size}", "ours", Network("Land", size), "test-time-training",
            "shipped", dose="tuned",
            about=f"SSL-tuned-{size} with the 20,000 simulated atlases of the package in place of "
            "the training poses",
        )
        for size in SIZES
    ),
    *(
        Row(
            f"Fast-100-{size}", "ours", Network("Land", size), "fast",
            about=f"the network of Land-{size} with our refinement and the training poses",
        )
        for size in SIZES
    ),
    *(
        Row(
            f"Fast-{size}", "ours", Network("Land", size), "fast", "shipped",
            about=f"Fast-100-{size} with the 20,000 simulated atlases of the package",
        )
        for size in SIZES
    ),
    *(
        Row(
            f"GRU-{size}", "ours", Network("GRU", size),
            about=f"RNN-{size} with gates (a gated recurrent unit), which the paper does not name",
        )
        for size in SIZES
    ),
    Row(
        "Sides-R4", "ours", Network("Sides", "R4"),
        about="Land-R4 with a cross-entropy of left against right beside the squared errors",
    ),
    Row(
        "Pairs-R4", "ours", Network("Pairs", "R4"),
        about="Land-R4 that predicts pairs; the library of the training poses names the sides",
    ),
    Row(
        "Product", "ours", flip_average=True,
        about="the shipped model: a cascade of two passes, trained on 6,000 other simulated cases",
    ),
    Row(
        "Product-fast", "ours", refine="fast", atlases="shipped", flip_average=True,
        about="the shipped model with our refinement",
    ),
)  # fmt: skip


def peer_rows(folder: Path, cases: Sequence[str]) -> tuple[Row, ...]:
    """Return the peers whose predictions lie in an experiment's folder, sorted by name.

    Args:
        folder: folder of the experiment.
        cases: names of the test cases.

    Raises:
        BadInput: a peer has the name of another row, or lacks a test case.
    """
    paths = (folder / PEERS).iterdir() if (folder / PEERS).is_dir() else ()
    names = sorted(path.name for path in paths if path.is_dir() and visible_files(path, "*.json"))
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
            expected=f"a pose for each of the {len(cases)} test cases; where nothing was found, a "
            "pose without landmarks",
            found=f"{len(missing)} missing, such as {missing[0]}.json",
            remedy="add them, or move the folder elsewhere",
        )


def _about(folder: Path) -> str:
    path = folder / "about.txt"
    return " ".join(path.read_text().split()) if path.is_file() else ""

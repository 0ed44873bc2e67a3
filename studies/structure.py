"""Draw the structure of the package: its parts in layers, and which part imports which.

`python -m studies.structure` draws the checked-out tree. `--source` and `--project` name another
tree, for example an older one, to compare the two pictures. The layers are those of import-linter.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import subprocess
import sys
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from PIL import Image

from fetusmap.report.theme import MUTED, PANEL, TEXT, new_figure
from studies.imports import PACKAGE

ROOT = Path(__file__).parents[1]

COLORS = {
    "interfaces": "#d65f8f",
    "applications": "#f28e2b",
    "core": "#4c9be8",
    "ground": "#59c36a",
}
GROUP_OF = {
    **dict.fromkeys(("cli", "serve", "experiment", "scale", "predictions"), "interfaces"),
    **dict.fromkeys(("adapt", "track", "train", "report"), "applications"),
    **dict.fromkeys(
        ("anatomy", "volume", "geometry", "files", "documents", "workers", "threads", "errors",
         "types"),
        "ground",
    ),
}  # fmt: skip
"""Group of a part, as the page on the architecture names them; all other parts are the core."""

EVERYWHERE = ("errors", "types")
"""Parts that almost every other part imports; no arrows are drawn to them."""

WIDTH, ROW_HEIGHT, BOX_HEIGHT = 12.0, 0.78, 0.44
MIN_BOX_WIDTH, WIDTH_PER_LINE = 1.15, 0.00042
"""Inches; and inches of a box's width per line of code."""

COLUMN = 0.5
"""Inches between the places at which a box may stand."""

ROUNDS = 4000
"""Tries to move one box to a better place."""


@dataclass(frozen=True)
class Part:
    """A package or module directly below the root package.

    Attributes:
        lines: of all its Python files.
        files: number of its Python files.
        imports: for each other part, how many of this part's modules import modules of it.
    """

    lines: int
    files: int
    imports: dict[str, int]


def main() -> None:
    """Draw a tree and write its numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=ROOT / "src")
    parser.add_argument("--project", type=Path, default=ROOT / "pyproject.toml")
    parser.add_argument("--title", default="The package's structure")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs/images/structure-after.png")
    parser.add_argument("--json", type=Path, default=ROOT / "studies/structure.json")
    arguments = parser.parse_args()
    layers = read_layers(arguments.project)
    parts = read_parts(arguments.source)
    save_small(draw_structure(parts, layers, arguments.title), arguments.picture)
    described = {
        "layers": layers,
        "lines": sum(part.lines for part in parts.values()),
        "files": sum(part.files for part in parts.values()),
        "upward_imports": upward_imports(parts, layers),
        "parts": {name: asdict(part) for name, part in parts.items()},
    }
    arguments.json.write_text(json.dumps(described, indent=1) + "\n")


def save_small(figure: Figure, path: Path, colors: int = 64) -> None:
    """Write a figure as PNG of few colours, which takes a third of the bytes."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    Image.open(picture).convert("RGB").quantize(colors).save(path, optimize=True)


def read_layers(project: Path) -> list[list[str]]:
    """Parts of each layer, from the top down, as the first contract of import-linter lists them."""
    contracts = tomllib.loads(project.read_text())["tool"]["importlinter"]["contracts"]
    layers: list[str] = contracts[0]["layers"]
    return [
        [name.strip().removeprefix(f"{PACKAGE}.") for name in layer.split("|")] for layer in layers
    ]


def read_parts(source: Path) -> dict[str, Part]:
    """Read the parts of the package below a source folder; nothing of it is executed."""
    command = [sys.executable, "-m", "studies.imports", str(source)]
    counted = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    counts: dict[str, dict[str, int]] = json.loads(counted.stdout)
    return {name: Part(*_size(source / PACKAGE / name), counts[name]) for name in counts}


def _size(path: Path) -> tuple[int, int]:
    """Lines and number of the Python files of a package, or of a module named without suffix."""
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    return sum(len(file.read_text().splitlines()) for file in files), len(files)


def upward_imports(parts: dict[str, Part], layers: list[list[str]]) -> list[str]:
    """Imports between parts that do not lead to a lower layer; none in a sound structure."""
    level = {name: row for row, names in enumerate(layers) for name in names}
    return [
        f"{name} imports {other}"
        for name, part in parts.items()
        for other in part.imports
        if name in level and other in level and level[other] <= level[name]
    ]


def direct_imports(parts: dict[str, Part]) -> list[tuple[str, str]]:
    """Imports between parts that no chain of other imports implies (the transitive reduction)."""
    below: dict[str, set[str]] = {}

    def reach(name: str) -> set[str]:
        if name not in below:
            below[name] = set()  # ends the walk in a cycle
            below[name] = {o for i in parts[name].imports for o in (i, *reach(i))}
        return below[name]

    return [
        (name, other)
        for name, part in parts.items()
        for other in part.imports
        if not any(other in reach(third) for third in part.imports if third != other)
    ]


def draw_structure(parts: dict[str, Part], layers: list[list[str]], title: str) -> Figure:
    """Draw the parts as boxes in their layers, and their direct imports as arrows."""
    rows = [[name for name in names if name in parts] for names in layers]
    rows = [names for names in rows if names]
    arrows = [(a, b) for a, b in direct_imports(parts) if b not in EVERYWHERE]
    height = ROW_HEIGHT * len(rows) + 0.75
    figure = new_figure(WIDTH, height)
    axes = figure.subplots()
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    axes.set_axis_off()
    boxes = place_boxes(rows, parts, arrows, height - 1.0)
    for importer, imported in arrows:
        _draw_arrow(axes, boxes[importer], boxes[imported], COLORS[_group(importer)])
    for name, box in boxes.items():
        _draw_box(axes, box, name, parts[name])
    total = sum(len(part.imports) for part in parts.values())
    lines = sum(part.lines for part in parts.values())
    files = sum(part.files for part in parts.values())
    axes.text(0.05, height - 0.22, title, color=TEXT, fontsize=14, weight="bold", va="center")
    axes.text(
        0.05, height - 0.52,
        f"{len(parts)} parts, {files} files, {lines:,} lines. An arrow is an import; of {total} "
        "imports between parts, those that follow from others and those of errors and types are "
        "left out.",
        color=MUTED, fontsize=8.5, va="center",
    )  # fmt: skip
    for number, (group, color) in enumerate(COLORS.items()):
        axes.text(
            WIDTH - 0.1 - 1.25 * (len(COLORS) - 1 - number), height - 0.22, group, color=color,
            fontsize=10, ha="right", va="center", weight="bold",
        )  # fmt: skip
    return figure


@dataclass(frozen=True)
class Box:
    """Where a part is drawn, in inches: middle of the box, and its width."""

    x: float
    y: float
    width: float

    @property
    def top(self) -> tuple[float, float]:
        """Where arrows to this box end."""
        return self.x, self.y + BOX_HEIGHT / 2 + 0.03

    @property
    def bottom(self) -> tuple[float, float]:
        """Where arrows from this box begin."""
        return self.x, self.y - BOX_HEIGHT / 2


def place_boxes(
    rows: list[list[str]], parts: dict[str, Part], arrows: list[tuple[str, str]], top: float
) -> dict[str, Box]:
    """Find places at which few arrows pass behind boxes or cross each other.

    One box after the other is moved to a random place of its row; the move is undone if it makes
    the drawing worse. The same tree always gives the same drawing.
    """
    rng = random.Random(0)  # noqa: S311
    boxes = {}
    row_of = {}
    for row, names in enumerate(rows):
        for number, name in enumerate(names):
            width = max(MIN_BOX_WIDTH, 0.75 + WIDTH_PER_LINE * parts[name].lines)
            x = WIDTH * (number + 0.5) / len(names)
            boxes[name] = Box(x, top - ROW_HEIGHT * row, width)
            row_of[name] = names
    cost = _cost(boxes, arrows)
    for _ in range(ROUNDS):
        name = rng.choice(list(boxes))
        before = boxes[name]
        x = COLUMN * rng.randint(0, int(WIDTH / COLUMN))
        fits = before.width / 2 < x < WIDTH - before.width / 2
        free = all(
            abs(x - boxes[other].x) > (before.width + boxes[other].width) / 2 + 0.3
            for other in row_of[name]
            if other != name
        )
        if not (fits and free):
            continue
        boxes[name] = Box(x, before.y, before.width)
        changed = _cost(boxes, arrows)
        if changed > cost:
            boxes[name] = before
        else:
            cost = changed
    return boxes


def _cost(boxes: dict[str, Box], arrows: list[tuple[str, str]]) -> float:
    """How hard the drawing is to read: arrows behind boxes, crossings, and slanting arrows."""
    lines = [(boxes[a].bottom, boxes[b].top) for a, b in arrows]
    cost = 0.0
    for number, ((x1, y1), (x2, y2)) in enumerate(lines):
        cost += 0.3 * abs(x2 - x1)
        for name, box in boxes.items():
            if name not in arrows[number] and y2 < box.y < y1:
                x = x1 + (x2 - x1) * (y1 - box.y) / (y1 - y2)
                cost += 5.0 * (abs(x - box.x) < box.width / 2 + 0.1)
        for (x3, y3), (x4, y4) in lines[:number]:
            low, high = max(y2, y4), min(y1, y3)
            if low < high:
                first = [x1 + (x2 - x1) * (y1 - y) / (y1 - y2) for y in (low, high)]
                second = [x3 + (x4 - x3) * (y3 - y) / (y3 - y4) for y in (low, high)]
                cost += (first[0] - second[0]) * (first[1] - second[1]) < 0
    return cost


def _group(name: str) -> str:
    return GROUP_OF.get(name, "core")


def _draw_box(axes: Axes, box: Box, name: str, part: Part) -> None:
    corner = (box.x - box.width / 2, box.y - BOX_HEIGHT / 2)
    axes.add_patch(
        FancyBboxPatch(
            corner, box.width, BOX_HEIGHT, boxstyle="round,pad=0.02", facecolor=PANEL,
            edgecolor=COLORS[_group(name)], linewidth=1.6, zorder=3,
        )
    )  # fmt: skip
    axes.text(box.x, box.y + 0.09, name, color=TEXT, fontsize=11, ha="center", va="center",
              weight="bold", zorder=4)  # fmt: skip
    files = f"{part.files} file{'s' * (part.files > 1)}"
    axes.text(box.x, box.y - 0.12, f"{part.lines:,} lines, {files}", color=MUTED, fontsize=7.5,
              ha="center", va="center", zorder=4)  # fmt: skip


def _draw_arrow(axes: Axes, start: Box, end: Box, color: str) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start.bottom, end.top, arrowstyle="-|>", mutation_scale=11, shrinkA=0, shrinkB=0,
            color=color, alpha=0.85, linewidth=1.3, zorder=2,
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()

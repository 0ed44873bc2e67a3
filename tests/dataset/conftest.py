"""Small cases to make datasets of."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fetusmap as fm


@pytest.fixture
def make_volume() -> Callable[..., fm.Volume]:
    """A tiny oblique volume around the origin, different for every name."""

    def make(name: str, shape: tuple[int, int, int] = (20, 18, 22)) -> fm.Volume:
        rng = np.random.default_rng(sum(name.encode()))
        grid = fm.Grid.from_spacing(shape, (4.0, 4.5, 3.5), (-40, -40, -30))
        return fm.Volume(rng.integers(0, 255, shape, dtype=np.uint8), grid, name=name)

    return make


@pytest.fixture
def dataset_folder(tmp_path: Path, make_volume: Callable[..., fm.Volume]) -> Path:
    """Six cases of three subjects, one of them not annotated."""
    folder = tmp_path / "dataset"
    with fm.DatasetWriter(
        folder, name="six", licence="CC0-1.0", skeleton=fm.load_skeleton(), made_by={"seed": 3}
    ) as writer:
        for n in range(6):
            pose = fm.reference_pose(40.0 + n) if n else None
            writer.add(
                make_volume(f"case-{n}"),
                pose,
                subject=f"subject-{n // 2}",
                gestational_age_days=70.0 + n,
                facts={"maker": "none"},
            )
        writer.splits = {"train": ("case-0", "case-1", "case-2", "case-3"), "test": ("case-5",)}
    return folder

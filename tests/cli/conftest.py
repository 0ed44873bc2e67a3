"""Run command lines inside the test process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import fetusmap as fm
from fetusmap.cli import console
from fetusmap.cli.main import run


@dataclass
class Outcome:
    """What a command line did."""

    code: int
    out: str
    err: str


@pytest.fixture
def fetusmap(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Call it with words; it returns exit code and output."""
    monkeypatch.setattr(console.out, "width", 120)

    def call(*words: object, debug: bool = False) -> Outcome:
        code = run([str(word) for word in words], debug=debug)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A small oblique volume on disk."""
    rng = np.random.default_rng(0)
    grid = fm.Grid.from_spacing((20, 24, 28), (0.5, 0.6, 0.7), (1, 2, 3))
    path = tmp_path / "case.nii.gz"
    fm.save_volume(fm.Volume(rng.integers(5, 250, grid.shape, dtype=np.uint8), grid), path)
    return path


@pytest.fixture
def pose(tmp_path: Path) -> Path:
    """The example pose on disk."""
    path = tmp_path / "pose.json"
    fm.save_pose(fm.reference_pose(60.0), path)
    return path

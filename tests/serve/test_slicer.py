"""The script for 3D Slicer, with a stand-in for Slicer: what it loads, and what it sends back."""

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fetusmap.corrections import CORRECTIONS_FILE, read_log
from fetusmap.io import load_volume

from .conftest import GRID, TOKEN

SCRIPT = Path(__file__).parents[2] / "examples" / "slicer_review.py"


class Slicer:
    """Loads files, and saves the point list after somebody dragged its second point."""

    def __init__(self):
        self.volume, self.markups = None, None

    def loadVolume(self, path):  # noqa: N802 - Slicer's name
        self.volume = load_volume(path)

    def loadMarkups(self, path):  # noqa: N802
        self.markups = json.loads(Path(path).read_text())

    def getNode(self, name):  # noqa: N802
        (node,) = (m for m in self.markups["markups"] if m["name"] == name)
        return node

    def saveNode(self, node, path):  # noqa: N802
        node["controlPoints"][1]["position"] = [1.0, 2.0, 3.0]
        Path(path).write_text(json.dumps({**self.markups, "markups": [node]}))


def test_a_case_is_opened_and_the_dragged_point_comes_back(running, results, monkeypatch):
    slicer = Slicer()
    monkeypatch.setitem(sys.modules, "slicer", SimpleNamespace(util=slicer))
    script = runpy.run_path(str(SCRIPT))
    address = f"http://127.0.0.1:{running}/?token={TOKEN}"
    script["open_case"](address, "clear")
    np.testing.assert_allclose(slicer.volume.grid.affine, GRID.affine, atol=1e-6)
    label = slicer.markups["markups"][0]["controlPoints"][1]["label"]
    assert script["send_back"](address, "clear", author="Anna") == [label]
    (entry,) = read_log(results / "clear" / CORRECTIONS_FILE).entries
    assert (entry.author, entry.action) == ("Anna", "import")
    assert entry.landmarks[label].position == (1, 2, 3)
    with pytest.raises(ValueError, match="the address"):
        script["open_case"]("file:///etc/passwd?token=x", "clear")

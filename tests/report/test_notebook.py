"""What a notebook gets is the page of the case, in a sandbox, and only that."""

from html.parser import HTMLParser

import numpy as np

import fetusmap as fm
from fetusmap.report import case_page

SCRIPT = '"></iframe><script>alert(1)</script>'


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_a_view_is_a_frame_with_the_page_of_the_case():
    grid = fm.Grid.centered((24, 24, 24), (3.0, 3.0, 3.0), (0.0, 0.0, 20.0))
    grey = np.random.default_rng(0).integers(0, 255, grid.shape).astype(np.uint8)
    volume, pose = fm.Volume(grey, grid, name=SCRIPT), fm.reference_pose(40.0)
    shown = fm.view(volume, pose, height_px=500)
    ((tag, attributes),) = Tags(shown._repr_html_()).found
    assert tag == "iframe"
    assert attributes["sandbox"] == "allow-scripts"
    assert attributes["srcdoc"] == case_page(volume, pose, SCRIPT)
    assert "height: 500px" in attributes["style"]
    assert len(repr(shown)) < 100

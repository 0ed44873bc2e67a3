"""The picture of a prediction: what is written on it."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.text import Text

from fetusmap.anatomy import Pose, Provenance, Quality, load_skeleton, reference_pose
from fetusmap.geometry import Grid
from fetusmap.report import draw_prediction
from fetusmap.volume import Volume


@pytest.fixture
def volume():
    rng = np.random.default_rng(0)
    array = rng.integers(0, 255, (40, 44, 48)).astype(np.uint8)
    return Volume(array, Grid.centered((40, 44, 48), 1.0, (0, 0, 20)), name="a scan")


def texts_of(figure):
    figure.draw_without_rendering()
    return " | ".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))


def test_planes_names_lengths_and_reasons_are_on_it(volume):
    quality = Quality(score=0.31, reasons=("left and right are uncertain",))
    pose = replace(reference_pose(60.0), quality=quality)
    said = texts_of(draw_prediction(volume, pose))
    for words in ("sagittal plane", "coronal plane", "transverse plane", "left knee",
                  "from the front", "from its right side", "quality 0.31", "a scan",
                  "left and right are uncertain"):  # fmt: skip
        assert words in said
    assert f"{pose.lengths_mm()['left_femur']:.0f}" in said


def test_a_pose_without_landmarks_can_be_drawn(volume):
    skeleton = load_skeleton()
    nowhere = Pose(skeleton, np.full((16, 3), np.nan), quality=Quality(score=0.0, reasons=("no",)))
    written = texts_of(draw_prediction(volume, nowhere))
    assert "quality 0.00" in written
    assert "no" in written.split(" | ")


def test_doubts_about_the_file_are_on_it(volume):
    pose = replace(
        reference_pose(60.0),
        quality=Quality(score=0.2, reasons=("the body is 121 mm long",)),
        provenance=Provenance(warnings=("no unit: taken as $mm", "2 of 90 frames are left out")),
    )
    lines = "the body is 121 mm long\nfile: no unit: taken as $mm; 2 of 90 frames are left out"
    assert lines in texts_of(draw_prediction(volume, pose)).split(" | ")


def test_long_doubts_stay_inside_the_picture(volume):
    """At most eight lines, each narrower than the figure."""
    reasons = tuple(f"the lengths of part {n} are implausible: {'word ' * 20}" for n in range(20))
    pose = replace(reference_pose(60.0), quality=Quality(score=0.2, reasons=reasons))
    figure = draw_prediction(volume, pose)
    figure.draw_without_rendering()
    (label,) = [text for text in figure.findobj(Text) if text.get_text().startswith("the lengths")]
    lines = label.get_text().split("\n")
    assert len(lines) == 8
    assert lines[-1] == "... and more, see pose.json"
    box = label.get_window_extent()
    assert figure.bbox.x0 < box.x0 < box.x1 < figure.bbox.x1
    assert box.y0 > 0


def test_without_a_quality_none_is_written(volume):
    assert "quality" not in texts_of(draw_prediction(volume, reference_pose(60.0)))

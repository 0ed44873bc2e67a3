"""Figures of skeletons that are not built in: any names, any number of landmarks, any sides."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from fetusmap.anatomy import JointAngle, Pose, Segment, Skeleton
from fetusmap.atlas import PoseLibrary
from fetusmap.geometry import Grid
from fetusmap.report import (
    ComparedCase,
    body_views,
    draw_cases,
    draw_library,
    draw_pose,
    draw_prediction,
    draw_skeleton,
    draw_volume,
)
from fetusmap.report.sides import sided_angles, sided_segments
from fetusmap.report.theme import new_figure
from fetusmap.volume import Volume

COLORS = {"left": "#010203", "right": "#040506", "midline": "#070809"}


def own_skeleton(count):
    """Pairs named by a suffix after three landmarks of the trunk, joined to the first of them."""
    pairs = tuple((f"p{n}_L", f"p{n}_R") for n in range((count - 3) // 2))
    rest = tuple(f"extra{n}" for n in range((count - 3) % 2))
    sided = [name for pair in pairs for name in pair]
    return Skeleton(
        f"own-{count}",
        ("low", "mid", "top", *sided, *rest),
        (Segment("back", "low", "top"), *(Segment(f"to_{n}", "top", n) for n in sided)),
        pairs,
        angles=tuple(JointAngle(f"bend_{n}", ("top", n), ("top", "low"), "") for n in sided),
        trunk=("low", "mid", "top"),
        lateral_pairs=pairs[:1],
        colors=COLORS,
    )


@pytest.fixture(params=[5, 22])
def pose(request):
    skeleton = own_skeleton(request.param)
    points = np.random.default_rng(1).normal(0, 12, (len(skeleton), 3))
    points[:3] = [[0, 0, 0], [0, -3, 20], [0, 0, 40]]
    points[3:5] = [[-9, 2, 38], [9, 2, 38]]
    return Pose(skeleton, points)


@pytest.fixture
def volume():
    array = np.random.default_rng(0).integers(0, 255, (30, 30, 40)).astype(np.uint8)
    return Volume(array, Grid.centered((30, 30, 40), 2.5, (0, 0, 20)), name="a scan")


def texts_of(figure):
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text"))]


def test_sides_of_segments_and_angles_come_from_the_mirror_pairs():
    skeleton = own_skeleton(5)
    assert sided_segments(skeleton) == {
        "back": ("back", "midline"),
        "to_p0_L": ("to p0", "left"),
        "to_p0_R": ("to p0", "right"),
    }
    assert sided_angles(skeleton)["bend_p0_R"] == ("bend p0", "right")


def test_measures_without_a_common_word_are_named_by_both():
    segments = (Segment("wing", "top", "L"), Segment("fin", "top", "R"))
    skeleton = Skeleton("odd", ("top", "L", "R"), segments, (("L", "R"),))
    assert sided_segments(skeleton)["fin"] == ("wing / fin", "right")


def test_a_measure_without_its_partner_stands_alone():
    skeleton = Skeleton("one-arm", ("top", "L", "R"), (Segment("arm", "top", "L"),), (("L", "R"),))
    assert sided_segments(skeleton) == {"arm": ("arm", "midline")}


def test_dots_have_the_colour_of_their_side(pose):
    axes = new_figure(4, 4).subplots()
    draw_skeleton(axes, pose, body_views(pose)[0], names=False)
    colors = [to_hex(dots.get_facecolor()[0]) for dots in axes.collections]
    pairs = len(pose.skeleton.mirror_pairs)
    assert [colors.count(COLORS[side]) for side in ("left", "right", "midline")] == [
        pairs, pairs, len(pose.skeleton) - 2 * pairs,
    ]  # fmt: skip


def test_both_sides_of_a_length_share_a_line_of_the_table(pose):
    axes = draw_pose(pose).axes[2]
    lengths = pose.lengths_mm()
    label = "to p0"
    height = next(t.get_position()[1] for t in axes.texts if t.get_text() == label)
    line = [t for t in axes.texts if t.get_position()[1] == height]
    assert [t.get_text() for t in line] == [
        label, f"{lengths['to_p0_L']:.1f}", f"{lengths['to_p0_R']:.1f}",
    ]  # fmt: skip
    assert [t.get_color() for t in line[1:]] == [COLORS["left"], COLORS["right"]]


def test_predictions_and_volumes_are_drawn(pose, volume):
    written = texts_of(draw_prediction(volume, pose))
    assert {name.replace("_", " ") for name in pose.skeleton.landmarks} <= set(written)
    dots = sum(len(axes.collections) for axes in draw_volume(volume, pose).axes[3:])
    assert dots == 2 * len(pose.skeleton)


def test_libraries_are_drawn_with_their_angles(pose):
    skeleton = pose.skeleton
    library = PoseLibrary(skeleton, np.stack([pose.positions_mm] * 3).astype(np.float32))
    front, _, angles = draw_library(library).axes
    assert len(front.collections[1].get_offsets()) == 3 * len(skeleton)
    written = [text.get_text() for text in angles.texts]
    assert "bend p0" in written
    assert len(written) == 2 * len(skeleton.mirror_pairs)  # a label and a spread for each joint


def test_cases_are_compared(pose):
    moved = Pose(pose.skeleton, pose.positions_mm + np.array([0, 0, 7.0]))
    figure = draw_cases([ComparedCase("one", pose, {"ours": moved})])
    assert "ours   7.0 mm" in texts_of(figure)
    assert [text.get_text() for text in figure.axes[1].texts].count("7") == len(pose.skeleton)

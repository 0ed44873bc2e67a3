"""Figures show the landmarks where they are, in the colour of their side."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import fetusmap as fm
from fetusmap.geometry import affine_from, rotation_from_vector
from fetusmap.report import body_views, draw_joint_angles, draw_pose, draw_skeleton, draw_volume


@pytest.fixture
def pose() -> fm.Pose:
    """The example pose, turned and moved."""
    turn = rotation_from_vector([0.7, -1.1, 0.4])
    return fm.reference_pose(60.0).transform(affine_from(turn, [30, -20, 50]))


def test_from_the_front_the_fetus_has_its_right_arm_on_our_left(pose: fm.Pose) -> None:
    front, side = body_views(pose)
    seen = {m.name: front.project(m.position_mm) for m in pose}
    assert seen["right_shoulder"][0] < seen["neck"][0] < seen["left_shoulder"][0]
    assert seen["head"][1] > seen["neck"][1] > seen["sacrum"][1]
    from_right = {m.name: side.project(m.position_mm) for m in pose}
    assert from_right["right_shoulder"][2] > from_right["left_shoulder"][2]
    assert from_right["right_knee"][0] > from_right["sacrum"][0]


def test_views_are_rotations(pose: fm.Pose) -> None:
    for view in body_views(pose):
        assert np.allclose(view.axes @ view.axes.T, np.eye(3))
        assert np.linalg.det(view.axes) == pytest.approx(1.0)


def test_views_do_not_depend_on_how_the_fetus_lies(pose: fm.Pose) -> None:
    still = fm.reference_pose(60.0)
    for here, there in zip(body_views(pose), body_views(still), strict=True):
        moved = here.project(pose.positions_mm) - here.project(pose["sacrum"].position_mm)
        assert np.allclose(moved, there.project(still.positions_mm), atol=1e-9)


def test_dots_stand_where_the_landmarks_are_in_the_colour_of_their_side(pose: fm.Pose) -> None:
    axes = Figure().subplots()
    view = body_views(pose)[0]
    draw_skeleton(axes, pose, view, names=False)
    dots = {tuple(np.round(d.get_offsets()[0], 6)): d for d in axes.collections}
    assert len(dots) == 16
    for mark in pose:
        dot = dots[tuple(np.round(view.project(mark.position_mm)[:2], 6))]
        assert to_hex(dot.get_facecolor()[0]) == pose.skeleton.color(mark.side)


def test_every_present_landmark_is_named_once(pose: fm.Pose) -> None:
    positions = pose.positions_mm.copy()
    positions[pose.skeleton.index("left_wrist")] = np.nan
    axes = Figure().subplots()
    draw_skeleton(axes, fm.Pose(pose.skeleton, positions), body_views(pose)[0])
    names = [text.get_text() for text in axes.texts]
    expected = {n.replace("_", " ") for n in pose.skeleton.landmarks} - {"left wrist"}
    assert sorted(n for n in names if n != "10 mm") == sorted(expected)


@pytest.mark.parametrize("present", [16, 3, 1, 0])
def test_only_present_landmarks_and_the_segments_between_them_are_drawn(
    pose: fm.Pose, present: int
) -> None:
    positions = pose.positions_mm.copy()
    positions[present:] = np.nan
    figure = draw_pose(fm.Pose(pose.skeleton, positions))
    figure.canvas.draw()
    colors = {pose.skeleton.color(side) for side in ("left", "right", "midline")}
    names = {name.replace("_", " ") for name in pose.skeleton.landmarks[:present]}
    between = sum(bool((ends < present).all()) for ends in pose.skeleton.segment_index)
    for axes in figure.axes[:2]:
        segments = [line for line in axes.lines if to_hex(line.get_color()) in colors]
        assert sum(bool(np.isfinite(line.get_xydata()).all()) for line in segments) == between
        assert len(axes.collections) == present
        assert names <= {text.get_text() for text in axes.texts}
    table = [text.get_text() for text in figure.axes[2].texts]
    assert ("absent" in table) == (present < 16)  # the crown-rump estimate


def test_an_absent_length_is_a_dash(pose: fm.Pose) -> None:
    positions = pose.positions_mm.copy()
    positions[pose.skeleton.index("left_knee")] = np.nan
    axes = draw_pose(fm.Pose(pose.skeleton, positions)).axes[2]
    height = next(text.get_position()[1] for text in axes.texts if text.get_text() == "femur")
    line = [text.get_text() for text in axes.texts if text.get_position()[1] == height]
    right = pose.lengths_mm()["right_femur"]
    assert line == ["femur", "-", f"{right:.1f}"]


def test_volume_slices_cross_at_the_landmarks_and_show_their_voxels(pose: fm.Pose) -> None:
    grid = fm.Grid.from_spacing((40, 50, 60), (1.5, 1.4, 1.3), pose.positions_mm.mean(0) - 35)
    array = np.zeros(grid.shape, dtype=np.uint8)
    focus = np.round(grid.to_index(pose.positions_mm.mean(axis=0))).astype(int)
    array[tuple(focus)] = 200
    figure = draw_volume(fm.Volume(array, grid), pose)
    figure.canvas.draw()
    for panel, axis in zip(figure.axes[:3], (2, 1, 0), strict=True):
        image = np.asarray(panel.images[0].get_array())
        across, up = (a for a in range(3) if a != axis)
        assert image[focus[up], focus[across]] == 200
        assert image.sum() == 200


def test_joint_angle_drawing_has_a_panel_per_angle(pose: fm.Pose) -> None:
    figure = draw_joint_angles(pose)
    titles = [panel.get_title() for panel in figure.axes]
    assert titles == ["neck", "spine", "shoulder", "elbow", "hip", "knee"]
    for panel in figure.axes:
        name = panel.get_title()
        full = name if name in ("neck", "spine") else f"right_{name}"
        expected = f"{fm.joint_angles_deg(pose)[full]:.0f}\N{DEGREE SIGN}"
        assert expected in [text.get_text() for text in panel.texts]

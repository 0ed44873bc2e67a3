"""Planes of the body: by hand on symmetric poses, and under rigid maps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetusmap.anatomy import (
    LEVELS,
    Pose,
    body_axes,
    coronal_plane,
    load_skeleton,
    mid_sagittal_plane,
    plane_error,
    reference_pose,
    transverse_plane,
)
from fetusmap.errors import BadInput
from fetusmap.geometry import affine_from, random_rotations

SKELETONS = ["fetus-16", "fetus-22"]


def symmetric_pose(name="fetus-22"):
    """In the body frame (x right, y ventral, z cranial): x = 0 is the mid-sagittal plane."""
    pose = reference_pose(60.0, load_skeleton(name))
    skeleton, positions = pose.skeleton, pose.positions_mm
    axes = body_axes(pose)
    sacrum = pose[skeleton.trunk[0]].position_mm
    local = (positions - sacrum) @ axes
    mirrored = local[skeleton.mirror_index] * [-1, 1, 1]
    return Pose(skeleton, (local + mirrored) / 2)


@pytest.mark.parametrize("name", SKELETONS)
def test_the_planes_of_a_symmetric_body_by_hand(name):
    pose = symmetric_pose(name)
    sagittal = mid_sagittal_plane(pose)
    np.testing.assert_allclose(sagittal.normal, [-1, 0, 0], atol=1e-9)  # seen from the left
    np.testing.assert_allclose(sagittal.upwards, [0, 0, 1], atol=1e-9)
    np.testing.assert_allclose(sagittal.rightwards, [0, -1, 0], atol=1e-9)  # the face looks left
    midline = [n for n in pose.skeleton.landmarks if pose.skeleton.side(n) == "midline"]
    points = np.array([pose[n].position_mm for n in midline])
    np.testing.assert_allclose(sagittal.distance_mm(points), 0, atol=1e-9)
    coronal = coronal_plane(pose)
    np.testing.assert_allclose(coronal.rightwards, [-1, 0, 0], atol=1e-9)  # left is on the right
    np.testing.assert_allclose(coronal.normal, [0, 1, 0], atol=1e-9)  # seen from the front
    pelvis = transverse_plane(pose, "abdomen")
    np.testing.assert_allclose(pelvis.normal, [0, 0, -1], atol=1e-9)  # seen from the feet
    np.testing.assert_allclose(pelvis.upwards, [0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(pelvis.center_mm, pose["spine"].position_mm)


def all_planes(pose):
    return [
        mid_sagittal_plane(pose), coronal_plane(pose),
        *(transverse_plane(pose, level) for level in LEVELS),
    ]  # fmt: skip


@given(st.integers(0, 2**32 - 1))
def test_planes_move_with_the_body_and_are_right_handed(seed):
    rng = np.random.default_rng(seed)
    pose = symmetric_pose()
    noisy = Pose(pose.skeleton, pose.positions_mm + rng.normal(0, 1.5, pose.positions_mm.shape))
    move = affine_from(random_rotations(rng, 1)[0], rng.normal(0, 50, 3))
    for here, there in zip(all_planes(noisy), all_planes(noisy.transform(move)), strict=True):
        turn = move[:3, :3]
        np.testing.assert_allclose(there.axes, turn @ here.axes, atol=1e-7)
        np.testing.assert_allclose(there.center_mm, turn @ here.center_mm + move[:3, 3], atol=1e-6)
        np.testing.assert_allclose(here.axes.T @ here.axes, np.eye(3), atol=1e-9)
        assert np.linalg.det(here.axes) == pytest.approx(1)


def test_the_fit_is_better_than_the_axes_of_the_trunk():
    """By a second path: errors of both on the same noise."""
    rng = np.random.default_rng(0)
    true = symmetric_pose()
    fitted, trunk = [], []
    for _ in range(200):
        noisy = Pose(true.skeleton, true.positions_mm + rng.normal(0, 1.0, true.positions_mm.shape))
        fitted.append(plane_error(mid_sagittal_plane(noisy), mid_sagittal_plane(true)).degrees)
        trunk.append(np.degrees(np.arccos(min(1.0, abs(body_axes(noisy)[0, 0])))))
    assert np.median(fitted) < 0.8 * np.median(trunk)


def test_the_error_of_a_plane_by_hand():
    plane = mid_sagittal_plane(symmetric_pose())
    turned = Pose(symmetric_pose().skeleton, symmetric_pose().positions_mm)
    angle = np.radians(10)
    about_z = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    shift = np.array([2.0, 0, 0])
    moved = mid_sagittal_plane(turned.transform(affine_from(about_z, shift)))
    assert plane_error(moved, plane).degrees == pytest.approx(10)
    expected = abs((plane.center_mm - moved.center_mm) @ moved.normal)
    assert plane_error(moved, plane).offset_mm == pytest.approx(expected)
    assert plane_error(plane, plane) == (pytest.approx(0, abs=1e-5), pytest.approx(0))


def test_the_grid_of_a_plane_is_its_picture():
    plane = coronal_plane(symmetric_pose())
    grid = plane.grid(60.0, 40.0, 0.5)
    assert grid.shape == (120, 80, 1)
    np.testing.assert_allclose(grid.center_mm, plane.center_mm)
    np.testing.assert_allclose(grid.direction[:, 0], plane.rightwards, atol=1e-12)
    corners = grid.to_world(np.array([[0.0, 0, 0], [119, 79, 0], [0, 79, 0]]))
    np.testing.assert_allclose(plane.distance_mm(corners), 0, atol=1e-9)


def test_missing_landmarks_are_left_out_or_refused():
    pose = symmetric_pose()
    rows = {name: pose[name].position_mm for name in pose.skeleton.landmarks}
    for name in ("head", "crown", "left_hip"):
        del rows[name]
    partial = Pose.from_positions(rows, pose.skeleton)
    assert plane_error(mid_sagittal_plane(partial), mid_sagittal_plane(pose)).degrees < 1e-5
    with pytest.raises(BadInput, match="transverse plane, head: expected"):
        transverse_plane(partial, "head")
    with pytest.raises(BadInput, match="one of head, chest, abdomen, pelvis"):
        transverse_plane(pose, "knee")
    with pytest.raises(BadInput, match="planes of the body"):
        mid_sagittal_plane(Pose(pose.skeleton, np.full_like(pose.positions_mm, np.nan)))

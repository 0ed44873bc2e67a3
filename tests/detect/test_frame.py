"""Body frames of known poses, and grids that hold what they have to hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from fetusmap.anatomy import load_skeleton, plain_from_skeleton, reference_pose, skeleton_from_plain
from fetusmap.detect import BodyFrame, BodyFrameGrid, WholeVolumeGrid, body_frame_of
from fetusmap.errors import BadInput
from fetusmap.geometry import Grid
from fetusmap.simulate import draw_poses

ROTATIONS = st.from_type(Rotation)
OFFSETS = st.tuples(*[st.floats(-200.0, 200.0)] * 3)
SKELETON = load_skeleton()


def upright() -> np.ndarray:
    """Sacrum at (1, 2, 3), neck 20 mm above it, the body's right at +x."""
    positions = np.full((16, 3), np.nan)
    for name, point in {
        "sacrum": (0, 0, 0),
        "neck": (0, 0, 20),
        "right_shoulder": (8, 0, 20),
        "left_shoulder": (-8, 0, 20),
        "right_hip": (4, 1, 0),
        "left_hip": (-4, 1, 0),
    }.items():
        positions[SKELETON.index(name)] = np.add(point, (1, 2, 3))
    return positions


def test_an_upright_pose_has_the_frame_of_the_axes():
    frame = body_frame_of(SKELETON, upright())
    assert frame.sacrum_mm.tolist() == [1, 2, 3]
    np.testing.assert_allclose(frame.axes, np.eye(3), atol=1e-12)
    assert frame.trunk_mm == pytest.approx(20)


def test_the_reference_pose_has_its_sacrum_at_the_origin_and_its_right_along_x():
    frame = body_frame_of(SKELETON, reference_pose(100.0).positions_mm)
    assert frame.sacrum_mm.tolist() == [0, 0, 0]
    assert frame.trunk_mm == pytest.approx(np.hypot(3.4, 50.6))
    # The neck lies 3.4 mm behind the sacrum and 50.6 mm above it.
    tilt = np.arctan2(-3.4, 50.6)
    expected = [[1, 0, 0], [0, np.cos(tilt), np.sin(tilt)], [0, -np.sin(tilt), np.cos(tilt)]]
    np.testing.assert_allclose(frame.axes, expected, atol=1e-9)


@given(rotation=ROTATIONS, offset=OFFSETS, scale=st.floats(0.3, 3.0), pose=st.integers(0, 9))
def test_the_frame_goes_along_when_the_body_moves_turns_and_grows(rotation, offset, scale, pose):
    positions = draw_poses(10, seed=4).on(SKELETON).positions_mm[pose].astype(float)
    still = body_frame_of(SKELETON, positions)
    moved = body_frame_of(SKELETON, scale * rotation.apply(positions) + offset)
    np.testing.assert_allclose(
        moved.sacrum_mm, scale * rotation.apply(still.sacrum_mm) + offset, atol=1e-9
    )
    np.testing.assert_allclose(moved.axes, rotation.as_matrix() @ still.axes, atol=1e-9)
    assert moved.trunk_mm == pytest.approx(scale * still.trunk_mm)
    assert np.linalg.det(moved.axes) == pytest.approx(1)


def test_exchanged_sides_turn_the_frame_about_the_trunk():
    positions = reference_pose(60.0).positions_mm
    frame = body_frame_of(SKELETON, positions)
    turned = body_frame_of(SKELETON, positions[SKELETON.mirror_index])
    np.testing.assert_allclose(turned.axes, frame.axes * [-1, -1, 1], atol=1e-12)


@pytest.mark.parametrize(
    "absent",
    [
        ("sacrum",),
        ("neck",),
        ("right_shoulder", "right_hip"),
        ("left_shoulder", "left_hip", "right_hip"),
    ],
)
def test_without_trunk_or_lateral_pairs_there_is_no_frame(absent):
    positions = upright()
    positions[SKELETON.indices(absent)] = np.nan
    assert body_frame_of(SKELETON, positions) is None


@pytest.mark.parametrize("name", ["spine", "head", "left_ankle", "right_shoulder", "left_hip"])
def test_other_landmarks_may_be_missing(name):
    positions = reference_pose(60.0).positions_mm.copy()
    positions[SKELETON.index(name)] = np.nan
    frame = body_frame_of(SKELETON, positions)
    whole = body_frame_of(SKELETON, reference_pose(60.0).positions_mm)
    np.testing.assert_allclose(frame.axes, whole.axes, atol=1e-6)


def test_a_trunk_without_length_gives_no_frame():
    positions = upright()
    positions[SKELETON.index("neck")] = positions[SKELETON.index("sacrum")]
    assert body_frame_of(SKELETON, positions) is None


def test_a_skeleton_without_trunk_has_no_frames():
    plain = plain_from_skeleton(SKELETON)
    own = skeleton_from_plain({key: value for key, value in plain.items() if key != "trunk"})
    assert own.trunk is None
    assert body_frame_of(own, reference_pose(60.0).positions_mm) is None


@pytest.mark.parametrize(("name", "margin"), [("fetus-16", 0.17), ("fetus-22", 0.1)])
def test_the_canonical_grid_holds_every_landmark_of_simulated_poses_with_a_margin(name, margin):
    look, skeleton = BodyFrameGrid(), load_skeleton(name)
    for pose in draw_poses(400, seed=11).on(skeleton).positions_mm.astype(float):
        frame = body_frame_of(skeleton, pose)
        assert look.of_frame(frame).contains(pose, margin * frame.trunk_mm).all()


@given(rotation=ROTATIONS, sacrum=OFFSETS, trunk=st.floats(5.0, 60.0))
def test_the_canonical_grid_stands_in_the_bodys_frame(rotation, sacrum, trunk):
    look = BodyFrameGrid(0.05, (16, 32, 48), (0.1, 0.2, 0.4))
    axes = rotation.as_matrix()
    grid = look.of_frame(BodyFrame(np.array(sacrum), axes, trunk))
    assert grid.shape == (16, 32, 48)
    assert not grid.is_left_handed
    np.testing.assert_allclose(grid.direction, axes, atol=1e-12)
    np.testing.assert_allclose(grid.spacing_mm, 0.05 * trunk, rtol=1e-12)
    # From the sacrum 0.1 trunk lengths to the right, 0.2 to the front, 0.4 up.
    right, ventral, cranial = axes.T
    middle = sacrum + trunk * (0.1 * right + 0.2 * ventral + 0.4 * cranial)
    np.testing.assert_allclose(grid.center_mm, middle, atol=1e-9)


@pytest.mark.parametrize("trunk", [0.0, -1.0, np.nan])
def test_a_frame_without_a_trunk_makes_no_grid(trunk):
    with pytest.raises(BadInput, match="body frame: expected a trunk longer than 0 mm, found"):
        BodyFrameGrid().of_frame(BodyFrame(np.zeros(3), np.eye(3), trunk))


@given(
    shape=st.tuples(*[st.integers(1, 120)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 2.0)] * 3),
    rotation=ROTATIONS,
    multiple=st.sampled_from([4, 8, 16]),
    step=st.sampled_from([1.5, 2.25, 4.5]),
)
def test_the_whole_grid_is_the_smallest_of_its_multiple_over_the_box(
    shape, spacing, rotation, multiple, step
):
    grid = Grid.from_spacing(shape, spacing, (7, -8, 9), rotation.as_matrix())
    around = WholeVolumeGrid(step).around(grid, multiple)
    assert around.contains(grid.corners_mm(), -1e-4).all()
    assert all(n % multiple == 0 for n in around.shape)
    fewer = step * (np.array(around.shape) - multiple)
    assert (fewer <= grid.extent_mm + 1e-4).all()
    np.testing.assert_allclose(around.spacing_mm, step, rtol=1e-12)
    np.testing.assert_allclose(around.center_mm, grid.center_mm, atol=1e-9)
    np.testing.assert_allclose(around.direction, grid.direction, atol=1e-9)


@given(rotation=ROTATIONS)
def test_a_box_that_fits_exactly_gets_no_voxel_more_at_any_angle(rotation):
    # 48 x 72 x 24 voxels of 1 mm are 32 x 48 x 16 of 1.5 mm.
    grid = Grid.from_spacing((48, 72, 24), 1.0, (3, 4, 5), rotation.as_matrix())
    assert WholeVolumeGrid(1.5).around(grid, 16).shape == (32, 48, 16)

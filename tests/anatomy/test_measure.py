"""Measurements on poses whose answers are computed by hand, and what leaves them unchanged."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from fetusmap.anatomy import (
    Pose,
    body_axes,
    crown_rump_length,
    joint_angles_deg,
    load_skeleton,
    measurements,
    reference_pose,
    trunk_flexion_deg,
    trunk_length_mm,
)
from fetusmap.anatomy.skeleton_file import plain_from_skeleton, skeleton_from_plain
from fetusmap.geometry import affine_from

SEEDS = st.integers(0, 2**32 - 1)
ROTATIONS = st.from_type(Rotation)
OFFSETS = st.tuples(*[st.floats(-200.0, 200.0)] * 3)

UPRIGHT = {
    "head": (0, 0, 120),
    "neck": (0, 0, 100),
    "spine": (0, 0, 50),
    "sacrum": (0, 0, 0),
    "left_shoulder": (-20, 0, 100),
    "right_shoulder": (20, 0, 100),
    "left_hip": (-10, 0, 0),
    "right_hip": (10, 0, 0),
}
"""A straight trunk along z: x right, y ventral, z cranial."""


def pose_of(**moved) -> Pose:
    """The upright trunk with some landmarks moved, added, or (None) taken away."""
    placed = {name: place for name, place in {**UPRIGHT, **moved}.items() if place is not None}
    return Pose.from_positions(placed)


def random_pose(seed: int, absent: int = 0) -> Pose:
    rng = np.random.default_rng(seed)
    positions = rng.normal(scale=30, size=(16, 3))
    positions[rng.permutation(16)[:absent]] = np.nan
    return Pose(load_skeleton(), positions)


def exchanged(names: dict[str, float]) -> dict[str, float]:
    """The same values with left and right traded in their names."""
    swap = {"left": "right", "right": "left"}
    return {
        "_".join(swap.get(part, part) for part in name.split("_")): value
        for name, value in names.items()
    }


def turned(direction, degrees):
    """`direction` turned in its plane with the z axis, from z."""
    angle = np.radians(degrees)
    return np.sin(angle) * np.array(direction) + np.cos(angle) * np.array([0, 0, 1])


def with_shoulders(neck) -> dict[str, np.ndarray]:
    """A neck with a shoulder 20 mm to each side of it."""
    step = np.array([20, 0, 0])
    return {"neck": neck, "left_shoulder": neck - step, "right_shoulder": neck + step}


# --- Joint angles ---


@pytest.mark.parametrize(
    ("wrist", "degrees"),
    [
        ((-20, 10, 80), 90),
        ((-30, 0, 80), 90),
        ((-20, 0, 60), 180),
        ((-20, 0, 90), 0),
        ((-20, 10, 90), 45),
        ((-20, 7, 80 - 7 / np.sqrt(3)), 120),
    ],
)
def test_the_elbow_angle_is_the_interior_angle(wrist, degrees):
    pose = pose_of(left_elbow=(-20, 0, 80), left_wrist=wrist)
    assert joint_angles_deg(pose)["left_elbow"] == pytest.approx(degrees, abs=1e-12)


@pytest.mark.parametrize(
    ("ankle", "degrees"),
    [((10, 30, -20), 90), ((10, 60, 0), 180), ((10, 0, 0), 0), ((10, 15, 15 * np.sqrt(3)), 60)],
)
def test_the_knee_angle_is_the_interior_angle(ankle, degrees):
    pose = pose_of(right_knee=(10, 30, 0), right_ankle=ankle)
    assert joint_angles_deg(pose)["right_knee"] == pytest.approx(degrees, abs=1e-12)


@pytest.mark.parametrize(
    ("elbow", "degrees"), [((20, 0, 70), 0), ((50, 0, 100), 90), ((20, 0, 130), 180)]
)
def test_the_shoulder_angle_is_zero_along_the_trunk_and_180_overhead(elbow, degrees):
    angles = joint_angles_deg(pose_of(right_elbow=elbow))
    assert angles["right_shoulder"] == pytest.approx(degrees, abs=1e-12)


@pytest.mark.parametrize(
    ("knee", "degrees"), [((-10, 0, 30), 0), ((-10, 30, 0), 90), ((-10, 0, -30), 180)]
)
def test_the_hip_angle_is_zero_with_the_knee_drawn_up_and_180_when_extended(knee, degrees):
    angles = joint_angles_deg(pose_of(left_knee=knee))
    assert angles["left_hip"] == pytest.approx(degrees, abs=1e-12)


def test_neck_and_spine_are_180_when_the_trunk_is_straight_and_less_when_it_bends():
    assert joint_angles_deg(pose_of())["neck"] == 180
    assert joint_angles_deg(pose_of())["spine"] == 180
    bent = joint_angles_deg(pose_of(head=(0, 20, 100), spine=(0, -50, 50)))
    assert bent["neck"] == pytest.approx(135, abs=1e-12)
    assert bent["spine"] == pytest.approx(90, abs=1e-12)


@pytest.mark.parametrize("bend", [1e-3, 1e-6, 1e-9])
def test_an_almost_straight_joint_keeps_its_digits(bend):
    # The arc cosine would lose anything below about 1e-6 degrees.
    wrist = (-20 + 20 * np.sin(np.radians(bend)), 0, 80 - 20 * np.cos(np.radians(bend)))
    pose = pose_of(left_elbow=(-20, 0, 80), left_wrist=wrist)
    assert 180 - joint_angles_deg(pose)["left_elbow"] == pytest.approx(bend, rel=1e-4, abs=5e-14)


def test_a_joint_angle_is_nan_without_its_landmarks_and_for_a_bone_of_no_length():
    angles = joint_angles_deg(pose_of(left_elbow=(-20, 0, 80), left_wrist=(-20, 0, 80)))
    assert np.isnan(angles["left_elbow"])
    assert np.isnan(angles["right_elbow"])
    assert angles["left_shoulder"] == 0
    assert list(angles) == [angle.name for angle in load_skeleton().angles]


# --- Trunk and body axes ---


def test_trunk_length_is_the_straight_distance_from_sacrum_to_neck():
    assert trunk_length_mm(pose_of(spine=(0, -30, 50), neck=(0, 30, 40))) == 50
    assert np.isnan(trunk_length_mm(pose_of(neck=None)))


def test_the_body_axes_of_an_upright_trunk_are_right_ventral_cranial():
    np.testing.assert_array_equal(body_axes(pose_of()), np.eye(3))
    np.testing.assert_allclose(body_axes(reference_pose())[:, 0], [1, 0, 0], atol=1e-15)


def test_cranial_runs_from_sacrum_to_neck_and_right_is_made_perpendicular_to_it():
    # Shoulders and hips slope; the trunk leans towards the belly by atan(3 / 4).
    leaning = pose_of(
        neck=(0, 60, 80),
        left_shoulder=(-20, 60, 70),
        right_shoulder=(20, 60, 90),
        left_hip=(-20, 0, -10),
        right_hip=(20, 0, 10),
    )
    across = np.array([80.0, 0, 40])
    cranial = np.array([0, 0.6, 0.8])
    right = across - cranial * (across @ cranial)
    right /= np.linalg.norm(right)
    expected = np.column_stack([right, np.cross(cranial, right), cranial])
    np.testing.assert_allclose(body_axes(leaning), expected, atol=1e-15)


def test_shoulders_and_hips_twisted_against_each_other_share_their_directions():
    sine, cosine = 20 * np.sin(0.4), 20 * np.cos(0.4)
    twisted = pose_of(
        left_shoulder=(-cosine, -sine, 100),
        right_shoulder=(cosine, sine, 100),
        left_hip=(-cosine, sine, 0),
        right_hip=(cosine, -sine, 0),
    )
    np.testing.assert_allclose(body_axes(twisted), np.eye(3), atol=1e-15)


def test_one_lateral_pair_is_enough_for_the_body_axes():
    np.testing.assert_array_equal(body_axes(pose_of(left_hip=None)), np.eye(3))
    np.testing.assert_array_equal(body_axes(pose_of(right_shoulder=None)), np.eye(3))


@pytest.mark.parametrize(
    "moved",
    [
        {"neck": None},
        {"sacrum": None},
        {"left_hip": None, "left_shoulder": None},
        {"neck": (0, 0, 0)},
        {"left_hip": None, "left_shoulder": (0, 0, 30), "right_shoulder": (0, 0, 60)},
    ],
    ids=["no neck", "no sacrum", "no pair", "trunk of no length", "pair along the trunk"],
)
def test_body_axes_that_are_not_determined_are_nan_and_so_is_the_flexion(moved):
    pose = pose_of(**moved)
    assert np.isnan(body_axes(pose)).all()
    assert np.isnan(trunk_flexion_deg(pose))


@given(seed=SEEDS, rotation=ROTATIONS, offset=OFFSETS)
def test_body_axes_are_a_rotation_and_turn_with_the_body(seed, rotation, offset):
    pose = random_pose(seed)
    axes = body_axes(pose)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1, abs=1e-12)
    moved = pose.transform(affine_from(rotation.as_matrix(), offset))
    np.testing.assert_allclose(body_axes(moved), rotation.as_matrix() @ axes, atol=1e-9)


@given(seed=SEEDS, rotation=ROTATIONS, offset=OFFSETS)
def test_in_the_mirrored_body_ventral_and_cranial_are_reflected_and_right_is_opposite(
    seed, rotation, offset
):
    pose = random_pose(seed)
    normal = rotation.apply([1.0, 0.0, 0.0])
    reflect = np.eye(3) - 2 * np.outer(normal, normal)
    axes = body_axes(pose.mirror(normal, offset))
    np.testing.assert_allclose(axes, reflect @ body_axes(pose) * [-1, 1, 1], atol=1e-9)
    assert np.linalg.det(axes) == pytest.approx(1, abs=1e-12)


def test_wrong_side_labels_turn_right_and_ventral_round():
    axes = body_axes(reference_pose().exchange_sides())
    np.testing.assert_allclose(axes, body_axes(reference_pose()) * [-1, -1, 1], atol=1e-15)


@pytest.mark.parametrize("bend", [-100, -30, 0, 1e-6, 30, 90, 150])
def test_flexion_is_the_bend_at_the_spine_and_positive_towards_the_belly(bend):
    neck = np.array([0, 0, 50]) + 50 * turned((0, 1, 0), bend)
    pose = pose_of(**with_shoulders(neck))
    assert trunk_flexion_deg(pose) == pytest.approx(bend, abs=1e-12)


def test_both_halves_of_the_trunk_count_for_the_flexion():
    # The lower half leans back by 20 degrees and the upper half forward by 10.
    spine = 50 * turned((0, 1, 0), -20)
    pose = pose_of(spine=spine, neck=spine + 50 * turned((0, 1, 0), 10))
    assert trunk_flexion_deg(pose) == pytest.approx(30, abs=1e-12)


@pytest.mark.parametrize("bend", [-40, -10, 25, 60])
def test_bending_to_the_side_is_no_flexion(bend):
    neck = np.array([0, 0, 50]) + 50 * turned((1, 0, 0), bend)
    pose = pose_of(**with_shoulders(neck))
    assert trunk_flexion_deg(pose) == pytest.approx(0, abs=1e-12)
    assert joint_angles_deg(pose)["spine"] == pytest.approx(180 - abs(bend), abs=1e-12)


def test_flexion_is_nan_without_the_spine():
    assert np.isnan(trunk_flexion_deg(pose_of(spine=None)))


# --- Crown-rump length ---


def pose_path_mm(pose):
    path = [pose[name].position_mm for name in ("head", "neck", "spine", "sacrum")]
    return np.linalg.norm(np.diff(path, axis=0), axis=1)


def test_the_crown_rump_length_of_a_straight_trunk_is_its_path_over_the_fraction():
    # 74.5 mm from head to sacrum stand for 100 mm; each of the steps of 24.5, 20 and 30 mm varies
    # by 4.5 % and the fraction by 5 %.
    straight = pose_of(head=(0, 0, 74.5), neck=(0, 0, 50), spine=(0, 0, 30))
    found = crown_rump_length(straight)
    assert found.length_mm == pytest.approx(100, rel=1e-14)
    between = 0.045 * np.sqrt(24.5**2 + 20**2 + 30**2) / 0.745
    assert found.sd_mm == pytest.approx(np.hypot(between, 5.0), rel=1e-12)


def test_bending_does_not_shorten_the_crown_rump_length():
    bent = pose_of(head=(0, 24.5, 20), neck=(0, 0, 20), spine=(0, 0, 0), sacrum=(0, 18, -24))
    assert crown_rump_length(bent).length_mm == pytest.approx(100, rel=1e-14)


def test_the_reference_pose_has_the_crown_rump_length_it_was_asked_for():
    assert crown_rump_length(reference_pose(60.0)).length_mm == pytest.approx(60, abs=0.05)


def test_landmark_errors_of_a_straight_path_act_at_its_two_ends_only():
    # Moving an inner landmark along or across a straight path does not change it to first order.
    straight = pose_of()
    quiet, noisy = crown_rump_length(straight), crown_rump_length(straight, 2.0)
    lengths = pose_path_mm(straight)
    # The second-order lengthening, 2 s^2 / d per step, is taken off.
    shorter = sum(2 * 2.0**2 / d for d in lengths) / 0.745
    assert noisy.length_mm == pytest.approx(quiet.length_mm - shorter, rel=1e-12)
    fixed = quiet.sd_mm**2 - (0.05 * quiet.length_mm) ** 2 + (0.05 * noisy.length_mm) ** 2
    noise = np.sqrt(noisy.sd_mm**2 - fixed)
    assert noise == pytest.approx(np.sqrt(2) * 2.0 / 0.745, rel=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_landmark_errors_agree_with_a_monte_carlo_simulation(seed):
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(3, 3))
    path = 15 * np.cumsum(steps / np.linalg.norm(steps, axis=1, keepdims=True), axis=0)
    path = np.vstack([np.zeros(3), path])
    names = ("head", "neck", "spine", "sacrum")
    pose = Pose.from_positions(dict(zip(names, path, strict=True)))
    quiet, noisy = crown_rump_length(pose), crown_rump_length(pose, 0.3)
    draws = path + rng.normal(scale=0.3, size=(40_000, 4, 3))
    drawn = np.linalg.norm(np.diff(draws, axis=1), axis=2).sum(axis=1) / 0.745
    fixed = quiet.sd_mm**2 - (0.05 * quiet.length_mm) ** 2 + (0.05 * noisy.length_mm) ** 2
    # 40,000 draws know a standard deviation to 0.35 %.
    assert np.sqrt(noisy.sd_mm**2 - fixed) == pytest.approx(drawn.std(), rel=0.015)


@pytest.mark.parametrize("sd_mm", [0.5, 1.0, 1.5])
def test_the_estimate_is_not_longer_for_noisy_landmarks(sd_mm):
    rng = np.random.default_rng(9)
    names = ("head", "neck", "spine", "sacrum")
    pose = reference_pose(60.0)
    path = np.array([pose[name].position_mm for name in names])
    found = [
        crown_rump_length(
            Pose.from_positions(dict(zip(names, path + noise, strict=True))), sd_mm
        ).length_mm
        for noise in rng.normal(scale=sd_mm, size=(3000, 4, 3))
    ]
    # Uncorrected, the mean would be 0.15, 0.6 and 1.2 mm too long; 3,000 draws know it to 0.05 mm.
    assert np.mean(found) == pytest.approx(crown_rump_length(pose).length_mm, abs=0.15)


def test_the_shape_variation_is_that_of_three_independent_segments():
    rng = np.random.default_rng(4)
    steps = np.array([24.5, 20.0, 30.0])
    drawn = (steps * (1 + 0.045 * rng.standard_normal((100_000, 3)))).sum(axis=1) / 0.745
    found = crown_rump_length(pose_of(head=(0, 0, 74.5), neck=(0, 0, 50), spine=(0, 0, 30)))
    assert np.sqrt(found.sd_mm**2 - 5.0**2) == pytest.approx(drawn.std(), rel=0.01)


@pytest.mark.parametrize("absent", ["head", "neck", "spine", "sacrum"])
def test_the_crown_rump_length_is_nan_when_its_path_has_a_gap(absent):
    found = crown_rump_length(pose_of(**{absent: None}), 1.0)
    assert np.isnan(found.length_mm)
    assert np.isnan(found.sd_mm)


def test_the_crown_rump_length_is_nan_for_a_skeleton_without_the_path():
    plain = plain_from_skeleton(load_skeleton())
    del plain["crown_rump"]
    found = crown_rump_length(reference_pose(60.0, skeleton_from_plain(plain)))
    assert np.isnan([found.length_mm, found.sd_mm]).all()


# --- What leaves the measurements unchanged ---


@given(seed=SEEDS, absent=st.integers(0, 4), rotation=ROTATIONS, offset=OFFSETS)
def test_no_measurement_changes_when_the_pose_is_moved_and_turned(seed, absent, rotation, offset):
    pose = random_pose(seed, absent)
    moved = pose.transform(affine_from(rotation.as_matrix(), offset))
    for measure in (Pose.lengths_mm, joint_angles_deg):
        expected = measure(pose)
        assert measure(moved) == pytest.approx(expected, abs=1e-8, nan_ok=True)
    for measure in (trunk_length_mm, lambda p: crown_rump_length(p, 1.0).sd_mm):
        assert measure(moved) == pytest.approx(measure(pose), abs=1e-8, nan_ok=True)
    flexions = trunk_flexion_deg(pose), trunk_flexion_deg(moved)
    # A trunk folded on itself may say 180 as -180.
    assume(not abs(flexions[0]) > 179.9)
    assert flexions[1] == pytest.approx(flexions[0], abs=1e-6, nan_ok=True)


@given(seed=SEEDS, absent=st.integers(0, 4))
def test_in_the_mirrored_fetus_left_and_right_measurements_trade_places(seed, absent):
    pose = random_pose(seed, absent)
    mirrored = pose.mirror((1, 2, 3), (4, 5, 6))
    for measure in (Pose.lengths_mm, joint_angles_deg):
        expected = exchanged(measure(pose))
        assert measure(mirrored) == pytest.approx(expected, abs=1e-8, nan_ok=True)
    assume(not abs(trunk_flexion_deg(pose)) > 179.9)
    assert trunk_flexion_deg(mirrored) == pytest.approx(
        trunk_flexion_deg(pose), abs=1e-6, nan_ok=True
    )


def test_coinciding_landmarks_leave_an_uncertainty():
    found = crown_rump_length(pose_of(head=(0, 0, 50), neck=(0, 0, 50)), 1.0)
    assert np.isfinite([found.length_mm, found.sd_mm]).all()


def test_the_list_of_measurements_holds_every_value_once():
    pose = reference_pose(60.0)
    found = {(m.kind, m.name): m.value for m in measurements(pose)}
    assert len(found) == len(measurements(pose)) == 15 + 10 + 1 + 3 + 3
    assert found["length", "left_femur"] == pose.lengths_mm()["left_femur"]
    assert found["angle", "right_knee"] == joint_angles_deg(pose)["right_knee"]
    assert found["angle", "trunk_flexion"] == trunk_flexion_deg(pose)
    assert found["estimated", "crown_rump_length"] == crown_rump_length(pose).length_mm

"""Rotations against scipy, which follows the same conventions except for quaternion order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.transform import Rotation

from fetusmap.geometry import (
    angle_between_rotations,
    random_rotations,
    rotation_about,
    rotation_from_quaternion,
    rotation_from_vector,
    vector_from_rotation,
)
from fetusmap.geometry.rotation import cross_matrix, quaternion_from_rotation

ROTATIONS = st.from_type(Rotation)
AXIS = np.array([2.0, -3.0, 6.0]) / 7.0
ANGLES = [0.0, 1e-12, 1e-9, 1e-6, 1e-3, 1.0, 3.0, np.pi - 1e-6, np.pi - 1e-9]


def test_a_quarter_turn_about_z_carries_x_to_y():
    np.testing.assert_allclose(
        rotation_about([0, 0, 5], np.pi / 2), [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-15
    )


@given(rotation=ROTATIONS)
def test_the_exponential_map_agrees_with_scipy(rotation):
    np.testing.assert_allclose(
        rotation_from_vector(rotation.as_rotvec()), rotation.as_matrix(), atol=1e-14
    )


@pytest.mark.parametrize("angle", [*ANGLES, np.pi, 2 * np.pi, 10.0])
def test_the_exponential_map_agrees_with_scipy_at_special_angles(angle):
    expected = Rotation.from_rotvec(AXIS * angle).as_matrix()
    np.testing.assert_allclose(rotation_from_vector(AXIS * angle), expected, atol=2e-15)


@pytest.mark.parametrize("angle", ANGLES)
def test_the_logarithm_gives_the_vector_back_with_all_its_digits(angle):
    vector = AXIS * angle
    rotation = Rotation.from_rotvec(vector).as_matrix()
    # A matrix holds an angle near pi, or near 0, to an absolute precision of about 1e-16.
    np.testing.assert_allclose(vector_from_rotation(rotation), vector, rtol=1e-12, atol=5e-16)


@pytest.mark.parametrize("axis", [AXIS, [1, 0, 0], [0, -1, 0], [0, 0, 1], [0.6, 0.8, 0]])
def test_the_logarithm_of_a_half_turn_is_pi_about_the_axis_in_either_direction(axis):
    vector = vector_from_rotation(2 * np.outer(axis, axis) - np.eye(3))
    assert np.linalg.norm(vector) == pytest.approx(np.pi, abs=1e-12)
    np.testing.assert_allclose(np.cross(vector, axis), 0, atol=1e-12)


@given(rotation=ROTATIONS)
def test_logarithm_then_exponential_is_the_identity(rotation):
    matrix = rotation.as_matrix()
    vector = vector_from_rotation(matrix)
    assert np.linalg.norm(vector) <= np.pi + 1e-15
    np.testing.assert_allclose(rotation_from_vector(vector), matrix, atol=1e-14)


def test_maps_are_batched_over_leading_axes():
    vectors = np.random.default_rng(1).normal(size=(2, 3, 3))
    rotations = rotation_from_vector(vectors)
    logs = vector_from_rotation(rotations)
    assert rotations.shape == (2, 3, 3, 3)
    for i in range(2):
        for j in range(3):
            np.testing.assert_array_equal(rotations[i, j], rotation_from_vector(vectors[i, j]))
            np.testing.assert_array_equal(logs[i, j], vector_from_rotation(rotations[i, j]))


@given(rotation=ROTATIONS, length=st.floats(1e-3, 1e3), angle=st.floats(-7.0, 7.0))
def test_rotation_about_does_not_depend_on_the_length_of_the_axis(rotation, length, angle):
    axis = rotation.apply([1.0, 0.0, 0.0])
    expected = Rotation.from_rotvec(axis * angle).as_matrix()
    np.testing.assert_allclose(rotation_about(axis * length, angle), expected, atol=1e-13)


@given(rotation=ROTATIONS)
def test_quaternions_agree_with_scipy(rotation):
    expected = rotation.as_quat(scalar_first=True)
    np.testing.assert_allclose(rotation_from_quaternion(expected), rotation.as_matrix(), atol=1e-14)
    found = quaternion_from_rotation(rotation.as_matrix())
    # q and -q are the same rotation.
    assert abs(found @ expected) == pytest.approx(1.0, abs=1e-14)
    np.testing.assert_allclose(rotation_from_quaternion(found), rotation.as_matrix(), atol=1e-14)


@pytest.mark.parametrize("part", range(4))
def test_each_quaternion_part_alone_survives_the_round_trip(part):
    quaternion = np.eye(4)[part]
    found = quaternion_from_rotation(rotation_from_quaternion(quaternion))
    np.testing.assert_array_equal(np.abs(found), quaternion)


@given(first=ROTATIONS, second=ROTATIONS)
def test_the_angle_between_rotations_agrees_with_scipy_and_is_symmetric(first, second):
    found = angle_between_rotations(first.as_matrix(), second.as_matrix())
    assert found == pytest.approx((first.inv() * second).magnitude(), abs=1e-14)
    assert found == pytest.approx(
        float(angle_between_rotations(second.as_matrix(), first.as_matrix())), abs=1e-14
    )


@pytest.mark.parametrize("angle", ANGLES)
def test_the_angle_to_a_turned_copy_is_the_turn_even_when_tiny(angle):
    start = Rotation.from_rotvec([0.3, -0.2, 0.9])
    turned = (start * Rotation.from_rotvec(AXIS * angle)).as_matrix()
    found = angle_between_rotations(start.as_matrix(), turned)
    assert found == pytest.approx(angle, abs=1e-15)


def test_cross_matrix_times_a_vector_is_the_cross_product():
    first, second = np.random.default_rng(3).normal(size=(2, 10, 3))
    np.testing.assert_allclose(
        (cross_matrix(first) @ second[..., None])[..., 0], np.cross(first, second), atol=1e-15
    )


@pytest.fixture(scope="module")
def many_rotations():
    return random_rotations(np.random.default_rng(20190101), 20_000)


def test_random_rotations_are_rotations(many_rotations):
    assert many_rotations.shape == (20_000, 3, 3)
    products = many_rotations @ np.swapaxes(many_rotations, 1, 2)
    np.testing.assert_allclose(products, np.broadcast_to(np.eye(3), products.shape), atol=1e-14)
    np.testing.assert_allclose(np.linalg.det(many_rotations), 1.0, atol=1e-14)


def test_random_rotations_have_the_angles_of_the_uniform_distribution(many_rotations):
    angles = np.linalg.norm(vector_from_rotation(many_rotations), axis=1)
    # The Haar measure of rotations by at most t is (t - sin t) / pi.
    assert stats.kstest(angles, lambda t: (t - np.sin(t)) / np.pi).pvalue > 0.01


def test_random_rotations_carry_each_axis_uniformly_over_the_sphere(many_rotations):
    # On a sphere each coordinate is uniform from -1 to 1 (Archimedes).
    for row in range(3):
        for column in range(3):
            coordinate = many_rotations[:, row, column]
            assert stats.kstest(coordinate, stats.uniform(-1, 2).cdf).pvalue > 0.001
    # Each entry has variance 1/3.
    assert np.abs(many_rotations.mean(axis=0)).max() < 4 * np.sqrt(1 / 3 / 20_000)


def test_a_seed_reproduces_random_rotations_to_the_byte():
    first, second = (random_rotations(np.random.default_rng(7), 5).tobytes() for _ in range(2))
    assert first == second
    assert random_rotations(np.random.default_rng(7), 0).shape == (0, 3, 3)

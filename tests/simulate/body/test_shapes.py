"""Signed distances against brute force, and the smooth union against its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from fetusmap.simulate.body.shapes import Ellipsoid, RoundCone, ball, smooth_union

POINTS = arrays(float, (20, 3), elements=st.floats(-40.0, 40.0))
PLACES = st.tuples(*[st.floats(-20.0, 20.0)] * 3).map(np.array)
SIZES = st.tuples(*[st.floats(2.0, 20.0)] * 3).map(np.array)


def distance(shape, points):
    return shape.distance(*np.asarray(points, np.float32).T).astype(float)


@st.composite
def ellipsoids(draw):
    turn = draw(st.from_type(Rotation)).as_matrix()
    return Ellipsoid(draw(PLACES), turn, draw(SIZES))


@st.composite
def round_cones(draw):
    first, second = draw(st.floats(0.5, 8.0)), draw(st.floats(0.5, 8.0))
    return RoundCone(draw(PLACES), draw(PLACES), first, second)


def shapes():
    return st.one_of(ellipsoids(), round_cones())


@given(center=PLACES, radius=st.floats(0.5, 20), points=POINTS)
def test_balls_are_exact(center, radius, points):
    expected = np.linalg.norm(points - center, axis=1) - radius
    np.testing.assert_allclose(distance(ball(center, radius), points), expected, atol=1e-4)


@given(start=PLACES, end=PLACES, radius=st.floats(0.5, 10), points=POINTS)
def test_capsules_are_exact(start, end, radius, points):
    """Brute force: the nearest of 2001 points of the axis."""
    axis = start + np.linspace(0, 1, 2001)[:, None] * (end - start)
    apart = np.linalg.norm(points[:, None] - axis, axis=-1).min(axis=1)
    # Between two of those points the axis is at most half a step nearer.
    slack = 0.5 * np.linalg.norm(end - start) / 2000
    found = distance(RoundCone(start, end, radius, radius), points)
    assert (found <= apart - radius + 1e-3).all()
    assert (found >= apart - radius - slack - 1e-3).all()


@given(cone=round_cones(), points=POINTS)
def test_round_cones_are_right_to_first_order_in_their_slope(cone, points):
    """The solid is the union of the balls along the axis; the distance to it is never less."""
    length = np.linalg.norm(cone.end - cone.start)
    slope = abs(cone.end_radius - cone.start_radius) / max(length, 1e-9)
    part = np.linspace(0, 1, 2001)[:, None]
    axis = cone.start + part * (cone.end - cone.start)
    radii = cone.start_radius + part[:, 0] * (cone.end_radius - cone.start_radius)
    true = (np.linalg.norm(points[:, None] - axis, axis=-1) - radii).min(axis=1)
    found = distance(cone, points)
    assert (found >= true - 1e-3).all()
    if slope < 0.5:
        # At radius rho about the axis the nearest ball stands slope * rho further along it.
        nearest = np.linalg.norm(points[:, None] - axis, axis=-1).min(axis=1)
        assert (found - true <= 0.6 * slope**2 * nearest + 0.01).all()


def test_a_cone_without_length_is_a_ball_of_its_first_radius():
    found = distance(RoundCone(np.ones(3), np.ones(3), 2.0, 2.0), [[1, 1, 5], [1, 1, 1], [4, 5, 1]])
    np.testing.assert_allclose(found, [2, -2, 3], atol=1e-6)


@given(shape=ellipsoids(), points=POINTS)
def test_the_sign_says_whether_a_point_is_inside_an_ellipsoid(shape, points):
    form = ((((points - shape.center) @ shape.axes) / shape.semi_axes) ** 2).sum(axis=1)
    found = distance(shape, points)
    clear = np.abs(form - 1) > 1e-3
    np.testing.assert_array_equal((found < 0)[clear], (form < 1)[clear])


def test_the_middle_of_an_ellipsoid_is_inside_it():
    shape = Ellipsoid(np.array([1.0, 2.0, 3.0]), np.eye(3), np.array([2.0, 3.0, 4.0]))
    assert distance(shape, [[1.0, 2.0, 3.0]])[0] < -1


@given(
    shape=ellipsoids(),
    directions=arrays(float, (20, 3), elements=st.floats(-1.0, 1.0)),
    height=st.floats(-0.3, 0.3),
)
def test_distances_near_an_ellipsoid_are_right_to_first_order(shape, directions, height):
    """A point `height` along the normal of a surface point is `height` away."""
    directions = directions[np.linalg.norm(directions, axis=1) > 0.1]
    on_unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    normal = on_unit / shape.semi_axes
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    points = shape.center + (on_unit * shape.semi_axes + height * normal) @ shape.axes.T
    found = distance(shape, points)
    # The strongest curvature is that at the tip of the longest axis.
    curvature = shape.semi_axes.max() / shape.semi_axes.min() ** 2
    np.testing.assert_allclose(found, height, atol=2e-3 + 1.5 * curvature * height**2)


@given(shape=shapes(), turn=st.from_type(Rotation), shift=PLACES, points=POINTS)
def test_a_moved_shape_is_the_shape_at_points_moved_back(shape, turn, shift, points):
    rotation = turn.as_matrix()
    moved = distance(shape.transformed(rotation, shift), points)
    back = distance(shape, (points - shift) @ rotation)
    np.testing.assert_allclose(moved, back, atol=5e-3, rtol=1e-3)


@given(shape=ellipsoids(), points=POINTS)
def test_local_coordinates_are_those_along_the_axes(shape, points):
    found = np.stack(shape.local(*points.astype(np.float32).T), axis=-1)
    np.testing.assert_allclose(found, (points - shape.center) @ shape.axes, atol=1e-3)


@given(shape=shapes(), points=POINTS)
def test_the_balls_of_a_shape_hold_it(shape, points):
    """Every point inside lies in the hull of the balls: in all directions no farther than they."""
    inside = points[distance(shape, points) < -1e-3]
    centers, radii = shape.balls()
    directions = np.random.default_rng(0).standard_normal((30, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    reach = (centers @ directions.T + radii[:, None]).max(axis=0)
    assert (inside @ directions.T <= reach + 1e-3).all()


@given(shape=ellipsoids())
def test_surface_points_of_an_ellipsoid_lie_on_it(shape):
    np.testing.assert_allclose(distance(shape, shape.surface_points()), 0, atol=5e-3)


@given(start=PLACES, end=PLACES, radius=st.floats(0.5, 8.0))
def test_surface_points_of_a_capsule_lie_on_it_or_between_its_ends(start, end, radius):
    capsule = RoundCone(start, end, radius, radius)
    points = capsule.surface_points()
    found = distance(capsule, points)
    assert found.max() < 2e-3
    # Around the first end, all that does not look at the other one is surface.
    behind = (points - start) @ (end - start) <= 0
    behind[len(points) // 2 :] = False
    np.testing.assert_allclose(found[behind], 0, atol=2e-3)


FIELDS = arrays(np.float32, 50, elements=st.floats(-30, 30, width=32))


@given(first=FIELDS, second=FIELDS, blend=st.floats(0.1, 6.0))
def test_smooth_unions_never_exceed_the_minimum_nor_fall_far_below_it(first, second, blend):
    union, least = smooth_union(first, second, blend), np.minimum(first, second)
    assert (union <= least).all()
    assert (union >= least - blend / 4 - 1e-5).all()
    far = np.abs(first - second) >= blend * 1.0001
    np.testing.assert_array_equal(union[far], least[far])
    np.testing.assert_array_equal(union, smooth_union(second, first, blend))


@pytest.mark.parametrize("blend", [0.5, 2.2, 6.0])
def test_smooth_unions_are_deepest_where_the_distances_are_equal(blend):
    level = np.array([3.0], np.float32)
    assert smooth_union(level, level, blend)[0] == pytest.approx(3 - blend / 4)
    # min(a, b) - (k - |a - b|)^2 / 4k, by hand half-way to where it ends.
    half = np.array([3.0 + blend / 2], np.float32)
    assert smooth_union(level, half, blend)[0] == pytest.approx(3 - blend / 16)

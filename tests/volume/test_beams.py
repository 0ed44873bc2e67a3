"""Beam coordinates there and back, boxes that hold what they should, lattices that nest."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from fetusmap.simulate.body.shapes import Ellipsoid, RoundCone, ball
from fetusmap.volume.beams import ROWS_PER_BLOCK, BeamLattice, row_blocks

WHOLE = (slice(None),) * 3


def box_around(lattice, centers_mm, radii_mm, margin_mm=0.0):
    """The box of a single hull of balls."""
    return lattice.boxes_around(centers_mm[None], radii_mm[None], margin_mm)[0]


@st.composite
def lattices(draw, counts=(24, 22, 20)):
    axes = [
        np.linspace(draw(st.floats(2, 20)), draw(st.floats(90, 130)), counts[0]),
        np.radians(np.linspace(-1, 1, counts[1]) * draw(st.floats(25, 46))),
        np.radians(np.linspace(-1, 1, counts[2]) * draw(st.floats(21, 49))),
    ]
    return BeamLattice(draw(st.floats(38, 60)), draw(st.floats(22, 40)), *axes)


def inside_field(lattice, parts):
    """(N, 3) range, theta, phi at parts 0 to 1 of the lattice's axes."""
    axes = (lattice.ranges_mm, lattice.thetas_rad, lattice.phis_rad)
    return np.stack(
        [a[0] + p * (a[-1] - a[0]) for a, p in zip(axes, parts.T, strict=True)], axis=-1
    )


PARTS = arrays(float, (30, 3), elements=st.floats(0.0, 1.0))


def test_world_positions_by_hand():
    lattice = BeamLattice(42.0, 30.0, np.arange(3.0), np.arange(3.0), np.arange(3.0))
    beams = np.array(
        [(0, 0, 0), (60, 0, 0), (18, np.pi / 6, 0), (60, 0, np.pi / 6), (18, np.pi / 6, np.pi / 2)]
    )
    depth = 60 * np.cos(np.pi / 6)
    expected = [
        (0, 0, 0),
        (0, 60, 0),
        (30, depth - 42, 0),
        (0, 90 * np.cos(np.pi / 6) - 30, 45),
        (30, -30, depth - 12),
    ]
    np.testing.assert_allclose(lattice.to_world(beams), expected, atol=1e-12)
    assert lattice.steps == (1.0, 1.0, 1.0)


@given(lattice=lattices(), parts=PARTS)
def test_to_beam_inverts_to_world(lattice, parts):
    beam = inside_field(lattice, parts)
    world = lattice.to_world(beam)
    np.testing.assert_allclose(lattice.to_beam(world), beam, atol=1e-9)
    assert lattice.contains(lattice.to_world(inside_field(lattice, 0.001 + 0.998 * parts))).all()


@given(
    lattice=lattices(),
    points=arrays(float, (30, 3), elements=st.floats(-80.0, 80.0)),
)
def test_to_world_inverts_to_beam(lattice, points):
    points[:, 1] = np.abs(points[:, 1])  # below the probe
    np.testing.assert_allclose(lattice.to_world(lattice.to_beam(points)), points, atol=1e-9)


@given(lattice=lattices())
def test_range_is_the_distance_from_the_surface_along_the_beam(lattice):
    """One millimetre of range is one millimetre of space, whatever the angles."""
    beam = inside_field(lattice, np.random.default_rng(0).random((20, 3)))
    ahead = lattice.to_world(beam + np.array([1.0, 0, 0])) - lattice.to_world(beam)
    np.testing.assert_allclose(np.linalg.norm(ahead, axis=1), 1, atol=1e-12)


@given(lattice=lattices(), parts=PARTS)
def test_directions_are_those_of_the_beams(lattice, parts):
    """The normal of the array, turned by the sweep."""
    beam = inside_field(lattice, parts)
    theta, phi = beam[:, 1], beam[:, 2]
    expected = np.stack([np.sin(theta), np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi)])
    found = lattice.directions(lattice.to_world(beam))
    np.testing.assert_allclose(found, expected.T, atol=1e-9)


@given(lattice=lattices(), where=st.tuples(*[st.integers(1, 17)] * 3))
def test_the_coarsest_step_is_the_distance_to_the_farthest_neighbour(lattice, where):
    """Never less; towards the sides beams of neighbouring frames come a little closer."""
    positions = np.stack(np.broadcast_arrays(*lattice.positions(WHOLE)), axis=-1)
    here = positions[where]
    farthest = max(
        np.linalg.norm(positions[tuple(np.array(where) + step)] - here)
        for step in np.concatenate([np.eye(3, dtype=int), -np.eye(3, dtype=int)])
    )
    found = float(lattice.coarsest_step_mm(here))
    assert 0.93 * farthest < found < 1.6 * farthest


@given(lattice=lattices())
def test_positions_are_the_world_positions_of_the_samples(lattice):
    beam = np.stack(
        np.meshgrid(lattice.ranges_mm, lattice.thetas_rad, lattice.phis_rad, indexing="ij"), axis=-1
    )
    expected = lattice.to_world(beam)
    found = np.stack(np.broadcast_arrays(*lattice.positions(WHOLE)), axis=-1)
    assert found.shape == (*lattice.shape, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-3)
    box = (slice(3, 7), slice(0, 5), slice(10, None))
    part = np.stack(np.broadcast_arrays(*lattice.positions(box)), axis=-1)
    np.testing.assert_array_equal(part, found[box])


@pytest.mark.parametrize(
    ("beam", "seen"),
    [
        ((50, 0, 0), True), ((10, 0.5, -0.5), True), ((9.9, 0, 0), False), ((90.1, 0, 0), False),
        ((50, 0.51, 0), False), ((50, 0, -0.51), False), ((50, -0.5, 0.5), True),
    ],
)  # fmt: skip
def test_the_field_ends_at_the_outermost_samples(beam, seen):
    spread = np.linspace(-0.5, 0.5, 5)
    lattice = BeamLattice(42.0, 30.0, np.linspace(10, 90, 5), spread, spread)
    inward = np.array(beam) + (0 if not seen else 1e-9 * np.array([1, -np.sign(beam[1]),
                                                                 -np.sign(beam[2])]))  # fmt: skip
    assert lattice.contains(lattice.to_world(inward)) == seen


@given(
    lattice=lattices((25, 25, 25)),
    factors=st.tuples(*[st.sampled_from([1, 2, 3, 4, 6])] * 3),
)
def test_nodes_of_a_decimated_lattice_are_nodes_of_the_full_one(lattice, factors):
    coarse = lattice.decimated(factors)
    for name, factor in zip(("ranges_mm", "thetas_rad", "phis_rad"), factors, strict=True):
        fine, few = getattr(lattice, name), getattr(coarse, name)
        np.testing.assert_array_equal(few, fine[::factor])
        assert few[-1] == fine[-1]  # 24 steps: all those factors divide them
    nodes = tuple(slice(None, None, factor) for factor in factors)
    fine = np.broadcast_arrays(*lattice.positions(WHOLE))[1]
    np.testing.assert_array_equal(np.broadcast_arrays(*coarse.positions(WHOLE))[1], fine[nodes])


@given(rows=st.integers(1, 500))
def test_row_blocks_cover_every_row_once_and_leave_none_alone(rows):
    blocks = list(row_blocks(rows))
    covered = [n for block in blocks for n in range(block.start, block.stop)]
    assert covered == list(range(rows))
    sizes = [block.stop - block.start for block in blocks]
    assert max(sizes) <= ROWS_PER_BLOCK + 1
    assert min(sizes) > 1 or rows == 1


def in_box(lattice, box):
    chosen = np.zeros(lattice.shape, bool)
    if box is not None:
        chosen[box] = True
    return chosen


SPOTS = st.tuples(st.floats(-60, 60), st.floats(-5, 130), st.floats(-70, 70)).map(np.array)


@given(lattice=lattices(), center=SPOTS, radius=st.floats(0.2, 25), margin=st.floats(0, 9))
def test_boxes_hold_every_sample_within_the_margin_of_a_ball(lattice, center, radius, margin):
    distance = ball(center, radius).distance(*lattice.positions(WHOLE))
    box = box_around(lattice, center[None], np.array([radius]), margin)
    assert not ((distance < margin - 1e-3) & ~in_box(lattice, box)).any()


@given(
    lattice=lattices(),
    start=SPOTS,
    along=st.tuples(*[st.floats(-20, 20)] * 3).map(np.array),
    radii=st.tuples(*[st.floats(0.3, 8)] * 2),
)
def test_boxes_hold_capsules_that_bulge_less_than_the_margin(lattice, start, along, radii):
    """In beam coordinates a chord of length l at a distance d from the axis bulges by l^2 / 8 d."""
    end, margin = start + along, 0.5
    depth = min(start[1], end[1]) + min(lattice.motor_radius_mm, lattice.probe_radius_mm)
    assume(depth > 20)
    assume(along @ along / (8 * depth) < margin)
    capsule = RoundCone(start, end, *radii)
    distance = capsule.distance(*lattice.positions(WHOLE))
    box = box_around(lattice, *capsule.balls(), margin)
    assert not ((distance < -1e-3) & ~in_box(lattice, box)).any()


@given(
    lattice=lattices(),
    center=SPOTS,
    turn=st.from_type(Rotation),
    semi=st.tuples(*[st.floats(3, 25)] * 3).map(np.array),
)
def test_boxes_hold_turned_ellipsoids(lattice, center, turn, semi):
    shape = Ellipsoid(center, turn.as_matrix(), semi)
    distance = shape.distance(*lattice.positions(WHOLE))
    box = box_around(lattice, *shape.balls())
    assert not ((distance < -1e-3) & ~in_box(lattice, box)).any()


def test_many_boxes_are_found_as_one_by_one():
    rng = np.random.default_rng(0)
    spread = np.radians(np.linspace(-30, 30, 30))
    lattice = BeamLattice(42.0, 30.0, np.linspace(10, 90, 40), spread, spread)
    centers = rng.uniform([-60, -10, -60], [60, 120, 60], (50, 2, 3))
    radii = rng.uniform(0.5, 6, (50, 2))
    boxes = lattice.boxes_around(centers, radii, 1.0)
    assert boxes == [box_around(lattice, *hull, 1.0) for hull in zip(centers, radii, strict=True)]
    assert 5 < sum(box is None for box in boxes) < 45


def test_there_is_no_box_around_what_the_beams_do_not_meet():
    spread = np.radians(np.linspace(-30, 30, 30))
    lattice = BeamLattice(42.0, 30.0, np.linspace(10, 90, 40), spread, spread)
    for center in ([0.0, -30.0, 0.0], [0.0, 150.0, 0.0], [90.0, 30.0, 0.0], [0.0, 20.0, 95.0]):
        assert box_around(lattice, np.array([center]), np.array([2.0])) is None
    box = box_around(lattice, np.array([[0.0, 50.0, 0.0]]), np.array([5.0]))
    assert in_box(lattice, box).sum() < 0.05 * np.prod(lattice.shape)

"""The upsampler against exact functions; distances on a lattice against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fetusmap.simulate import Seeds, SimulationSettings, draw_case
from fetusmap.simulate.body.shapes import smooth_union
from fetusmap.simulate.scanner.fields import Placement, Upsampler, compute_fields
from fetusmap.volume.beams import BeamLattice

FACTORS = st.sampled_from([(4, 2, 2), (3, 2, 2), (2, 1, 1), (1, 1, 1), (5, 3, 1), (1, 2, 3)])
SHAPES = st.tuples(*[st.integers(2, 7)] * 3)


def full_shape(factors, shape):
    return tuple((n - 1) * f + 1 for n, f in zip(shape, factors, strict=True))


def upsampled(factors, coarse):
    upsampler = Upsampler(factors, coarse.shape)
    rows = full_shape(factors, coarse.shape)[0]
    return upsampler.rows(upsampler.spread(coarse), 0, rows)


@given(
    factors=FACTORS,
    shape=SHAPES,
    slopes=st.tuples(*[st.floats(-3, 3)] * 3),
    offset=st.floats(-10, 10),
)
def test_linear_functions_are_upsampled_exactly(factors, shape, slopes, offset):
    axes = [np.arange(n) for n in full_shape(factors, shape)]
    i, j, k = np.meshgrid(*axes, indexing="ij")
    full = (offset + slopes[0] * i + slopes[1] * j + slopes[2] * k).astype(np.float32)
    found = upsampled(factors, full[:: factors[0], :: factors[1], :: factors[2]])
    assert found.shape == full.shape
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, full, atol=1e-4)


@st.composite
def coarse_fields(draw):
    return draw(arrays(np.float32, draw(SHAPES), elements=st.floats(-100, 100, width=32)))


@given(factors=FACTORS, coarse=coarse_fields())
def test_nodes_are_reproduced_and_values_between_them_lie_between(factors, coarse):
    found = upsampled(factors, coarse)
    np.testing.assert_array_equal(found[:: factors[0], :: factors[1], :: factors[2]], coarse)
    assert coarse.min() - 1e-4 <= found.min() <= found.max() <= coarse.max() + 1e-4


@given(factors=FACTORS, coarse=coarse_fields(), data=st.data())
def test_any_range_of_rows_equals_those_of_the_whole(factors, coarse, data):
    upsampler = Upsampler(factors, coarse.shape)
    spread = upsampler.spread(coarse)
    rows = full_shape(factors, coarse.shape)[0]
    first = data.draw(st.integers(0, rows - 1))
    last = data.draw(st.integers(first + 1, rows))
    part = upsampler.rows(spread, first, last)
    whole = upsampler.rows(spread, 0, rows)
    np.testing.assert_allclose(part, whole[first:last], rtol=1e-5, atol=1e-4)


@pytest.fixture(scope="module")
def drawn():
    return draw_case(SimulationSettings(), Seeds.of_case(3, 1))


@pytest.fixture(scope="module")
def square_lattice():
    """Beams from so far away that they run side by side: nearly a grid of 2.5 mm."""
    far = 2000.0
    across = np.arange(-60, 60, 2.5) / (far + 80)
    return BeamLattice(far, far, np.arange(10.0, 150.0, 2.5), across, across)


@pytest.fixture(scope="module")
def placed(drawn, square_lattice, make_probe):
    """The case's fields, with its sac in the middle of the square lattice."""
    probe = make_probe(shift_mm=np.array([0.0, 80.0, 0.0]) - drawn.scene.uterus.sac.center)
    placement = Placement.of(square_lattice, probe)
    fields = compute_fields(placement, drawn.body, drawn.scene, probe)
    points = np.stack(np.broadcast_arrays(*placement.still((slice(None),) * 3)), axis=-1)
    return fields, points - probe.shift_mm


def test_the_skin_is_the_smooth_union_of_all_solids(drawn, placed):
    """Brute force: every solid over the whole lattice, without boxes."""
    fields, points = placed
    x, y, z = np.moveaxis(points.astype(np.float32), -1, 0)
    expected = np.full(x.shape, 1000.0, np.float32)
    for shapes, blend in ((drawn.body.outline, 0.036), (drawn.body.limbs, 0.016)):
        for shape in shapes:
            expected = smooth_union(expected, shape.distance(x, y, z), blend * drawn.body.crl_mm)
    near = expected < 3  # what comes later asks no farther than this
    assert near.sum() > 500
    np.testing.assert_allclose(fields.body[near], expected[near], atol=0.1)
    assert (fields.body[~near] > 2.9).all()


def test_walls_nest(drawn, placed):
    """Body within amnion within sac within placenta and decidua."""
    fields, _ = placed
    uterus = drawn.scene.uterus
    body, sac = fields.body < 0, fields.sac < 0
    assert body.sum() > 200
    assert not (body & ~sac).any()
    # Fluid at least as thick as the clearance, but for the rounding of the union (3 mm / 4).
    near = (fields.body < uterus.clearance_mm - 1e-3) & (fields.sac > 1e-3)
    assert not near.any()
    assert (fields.placenta <= fields.sac - uterus.decidua_mm + 1e-4).all()
    assert (fields.placenta >= fields.sac - uterus.decidua_mm - uterus.placenta_mm - 1e-4).all()
    if fields.amnion is not None:
        assert not ((fields.amnion < 0) & (fields.sac > 1e-3)).any()
        assert not (body & (fields.amnion > 0)).any()


def test_the_placenta_is_thickest_where_it_is_said_to_be(drawn, placed):
    fields, points = placed
    uterus, sac = drawn.scene.uterus, drawn.scene.uterus.sac
    own = (points - sac.center) @ sac.axes / sac.semi_axes
    length = np.linalg.norm(own, axis=-1)
    cosine = own @ uterus.placenta_direction / np.maximum(length, 1e-6)
    thickness = fields.sac - fields.placenta
    around = (length > 0.8) & (length < 1.4)
    there, rim = around & (cosine > 0.98), around & (cosine < uterus.placenta_cosine)
    np.testing.assert_allclose(
        thickness[there], uterus.decidua_mm + uterus.placenta_mm, rtol=0.05
    )  # fmt: skip
    np.testing.assert_allclose(thickness[rim], uterus.decidua_mm, atol=1e-3)


def test_early_an_amnion_stands_off_the_wall_and_later_it_does_not(square_lattice, make_probe):
    found = {}
    for weeks in (10.0, 14.0):
        gaps = []
        for number in range(3):
            case = draw_case(SimulationSettings(weeks=(weeks, weeks)), Seeds.of_case(1, number))
            probe = make_probe(shift_mm=np.array([0.0, 80.0, 0.0]) - case.scene.uterus.sac.center)
            placement = Placement.of(square_lattice, probe)
            amnion = compute_fields(placement, case.body, case.scene, probe).amnion
            gaps.append(amnion is not None)
        found[weeks] = sum(gaps)
    assert found[10.0] == 3
    assert found[14.0] <= 1


def test_textures_have_mean_0_and_deviation_1_and_are_smooth(placed):
    texture = placed[0].texture
    assert texture.std() == pytest.approx(1, abs=0.01)
    assert abs(texture.mean()) < 0.3
    for axis in range(3):
        step = np.diff(texture, axis=axis).std()
        assert step < 1.1  # independent samples would differ by the root of 2


def test_motion_moves_the_body_and_leaves_the_walls(drawn, square_lattice, make_probe):
    """A drift of 10 mm in depth: the first frame meets the body 5 mm nearer, the last farther."""
    shift = np.array([0.0, 80.0, 0.0]) - drawn.scene.uterus.sac.center
    still, moving = (
        make_probe(shift_mm=shift, drift_mm=np.array([0.0, drift, 0.0])) for drift in (0.0, 10.0)
    )
    one, other = (
        compute_fields(Placement.of(square_lattice, p), drawn.body, drawn.scene, p)
        for p in (still, moving)
    )
    # 5 mm is two steps of range.
    for frame, samples in ((0, -2), (-1, 2)):
        rolled = np.roll(one.body[..., frame], samples, axis=0)
        kept = slice(3, -3)
        near = rolled[kept] < 3
        moved = other.body[..., frame][kept]
        np.testing.assert_allclose(moved[near], rolled[kept][near], atol=0.05)
    wall = (np.abs(one.sac) < 2) & (one.body > 8) & (other.body > 8)
    assert wall.sum() > 500
    np.testing.assert_array_equal(one.sac[wall], other.sac[wall])
